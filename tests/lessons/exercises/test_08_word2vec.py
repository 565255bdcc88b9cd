"""The exercises of lesson 8."""

import numpy as np
import pytest

import minigrad as mg
import nn
from models.word2vec import Word2Vec, Word2VecConfig
from nn import functional as F
from nn.alias import alias_table
from nn.huffman import huffman_paths, huffman_tree
from tests.lessons.exercises import expect

RNG = np.random.default_rng(8)
HIDDEN, WEIGHT = RNG.standard_normal((3, 4)), RNG.standard_normal((6, 4))
TARGET, NEGATIVES = np.array([2, 0, 5]), np.array([[1, 3], [4, 4], [0, 2]])
COUNTS = np.array([8, 4, 2, 1, 1])  # the tree of the lesson: paths of 1, 2, 3, 4 and 4 decisions
TREE = np.array([6, 4, 2, 0, 1, 3, 5, 7])


def log_sigmoid(x):
    return -np.log1p(np.exp(-x))


class TestNegativeSampling:
    def test_the_loss_of_each_example(self):
        """-ln σ(wₜ·h) - Σₖ ln σ(-wₖ·h), for three examples with two negatives each, none reduced."""
        expected = [
            -log_sigmoid(WEIGHT[t] @ h) - sum(log_sigmoid(-WEIGHT[k] @ h) for k in row)
            for h, t, row in zip(HIDDEN, TARGET, NEGATIVES, strict=True)
        ]
        got = F.negative_sampling_loss(mg.tensor(HIDDEN), mg.tensor(WEIGHT), TARGET, NEGATIVES, reduction="none")
        expect.close(got, expected, "the negative sampling loss of three examples")

    def test_knowing_nothing(self):
        """With all products 0, each of 1 + k decisions costs ln 2, and the mean over examples is (1 + k) ln 2."""
        got = F.negative_sampling_loss(mg.zeros(3, 4), mg.tensor(WEIGHT.astype("float32")), TARGET, NEGATIVES)
        expect.close(got, 3 * np.log(2), "the mean loss for hidden vectors of zeros and two negatives")

    def test_its_gradients(self):
        """The gradients with respect to hidden and weight agree with differences, a negative drawn twice included."""
        expect.gradients(
            lambda h, w: F.negative_sampling_loss(h, w, TARGET, NEGATIVES), [HIDDEN, WEIGHT], "negative sampling"
        )

    def test_negatives_are_drawn_by_count(self):
        """20,000 negatives come as often as counts^0.75 says, the target left out: none is its row's target."""
        mg.manual_seed(0)
        layer = nn.NegativeSamplingLoss(5, 4, [60, 30, 5, 4, 1], num_negatives=20)
        drawn = layer.sample(np.full(1000, 1))
        expect.equal(drawn.shape, (1000, 20), "the shape of the negatives of 1000 targets, 20 each")
        expect.holds((drawn != 1).all(), "no negative is its target, word 1")
        shares = np.array([60, 0, 5, 4, 1]) ** 0.75
        got = np.bincount(drawn.ravel(), minlength=5) / drawn.size
        expect.close(got, shares / shares.sum(), "how often each word was drawn for target 1", rtol=0, atol=0.015)


def drawn_by(thresholds, aliases):
    """The probabilities that a table draws with: each column has 1/n, split at its threshold."""
    n = len(thresholds)
    return (np.bincount(np.arange(n), thresholds, n) + np.bincount(aliases, 1 - np.asarray(thresholds), n)) / n


class TestAlias:
    def test_two_weights(self):
        """For weights 3 and 1 column 1 is half full, and word 0 fills the rest."""
        thresholds, aliases = alias_table([3, 1])
        expect.close(thresholds, [1, 0.5], "the thresholds for weights 3 and 1")
        expect.equal(int(aliases[1]), 0, "who fills column 1")

    def test_it_draws_what_was_asked(self):
        """The probabilities that the columns add up to are proportional to the weights, in every table."""
        rng = np.random.default_rng(1)
        for weights in ([5.0], [1, 1, 1], [8, 4, 2, 1, 1], [0, 3, 0, 7], rng.random(40) ** 4):
            weights = np.asarray(weights, float)
            got = drawn_by(*alias_table(weights))
            expect.close(got, weights / weights.sum(), f"probabilities of the table for {weights.round(3)}", atol=1e-9)

    def test_thresholds_are_shares_of_a_column(self):
        """Every threshold lies between 0 and 1, and every alias is one of the n words."""
        thresholds, aliases = alias_table(np.arange(1, 30) ** 1.5)
        expect.holds((thresholds >= 0).all() and (thresholds <= 1).all(), "all thresholds lie between 0 and 1")
        expect.holds((aliases >= 0).all() and (aliases < 29).all(), "all aliases are words, 0 to 28")

    def test_what_is_no_distribution(self):
        """Weights below 0, not finite or all 0 are a ValueError."""
        for weights in ([1.0, -1.0], [0.0, 0.0], [1.0, np.inf]):
            with pytest.raises(ValueError):
                alias_table(weights)


def depths(tree):
    """How many decisions lead to each class, by walking up."""
    classes = len(tree) // 2 + 1
    found = []
    for node in range(classes):
        steps = 0
        while node != 2 * classes - 2:
            node, steps = int(tree[node] >> 1) + classes, steps + 1
        found.append(steps)
    return found


class TestHuffman:
    def test_the_tree_of_the_lesson(self):
        """For counts 8, 4, 2, 1, 1: the tree derived by hand in the lesson."""
        expect.equal(huffman_tree(COUNTS), TREE, "the tree for counts [8, 4, 2, 1, 1]")

    def test_equal_counts_make_a_balanced_tree(self):
        """For eight equal counts, three decisions lead to every word."""
        expect.equal(
            depths(huffman_tree(np.full(8, 3))), [3] * 8, "decisions to each of eight words that are as frequent"
        )

    def test_paths_are_as_short_as_they_can_be(self):
        """The summed weight of inner nodes, count times decisions added up, is that of the best tree there is."""
        for counts, best in (([1, 1, 1, 1, 4], 16), ([45, 13, 12, 16, 9, 5], 224), ([3, 3, 2, 2, 1], 25)):
            got = int(np.dot(depths(huffman_tree(counts)), counts))
            expect.equal(got, best, f"decisions for all words of a text with counts {counts}")

    def test_paths_go_up_to_the_root(self):
        """Nodes and signs from the leaf to the root, 0 where a path has ended."""
        nodes, signs = huffman_paths(TREE, np.array([0, 2, 4]))
        expect.equal(nodes, np.array([[3, 0, 0, 0], [1, 2, 3, 0], [0, 1, 2, 3]]), "inner nodes above words 0, 2 and 4")
        expect.equal(signs, np.array([[1, 0, 0, 0], [1, -1, -1, 0], [-1, -1, -1, -1]]), "their signs")

    def test_what_is_no_vocabulary(self):
        """Less than two classes, or a count below 0, is a ValueError."""
        for counts in ([3], [1, -1]):
            with pytest.raises(ValueError):
                huffman_tree(np.array(counts))


# of each word, (inner node, sign) on its path in TREE
PATHS = [[(3, 1)], [(2, 1), (3, -1)], [(1, 1), (2, -1), (3, -1)], [(0, 1), (1, -1), (2, -1), (3, -1)]]
PATHS.append([(0, -1), *PATHS[3][1:]])


class TestHierarchicalSoftmax:
    def test_the_loss_of_each_word(self):
        """-Σ ln σ(±vₙ·h) over the nodes above the target, for every word of the lesson's tree."""
        h, w = RNG.standard_normal((5, 3)), RNG.standard_normal((4, 3))
        expected = [-sum(log_sigmoid(s * (w[n] @ h[t])) for n, s in path) for t, path in enumerate(PATHS)]
        got = F.hierarchical_softmax(mg.tensor(h), mg.tensor(w), np.arange(5), TREE, reduction="none")
        expect.close(got, expected, "the loss of words 0 to 4")

    def test_knowing_nothing(self):
        """With all products 0 each decision costs ln 2, and the five words take 2.8 decisions on average."""
        got = F.hierarchical_softmax(mg.zeros(5, 3), mg.ones(4, 3), np.arange(5), TREE)
        expect.close(got, 2.8 * np.log(2), "the mean loss for hidden vectors of zeros")

    def test_its_gradients(self):
        """The gradients with respect to hidden and weight agree with finite differences."""
        h, w = RNG.standard_normal((4, 3)), RNG.standard_normal((4, 3))
        targets = np.array([3, 0, 3, 2])
        expect.gradients(lambda h, w: F.hierarchical_softmax(h, w, targets, TREE), [h, w], "hierarchical softmax")

    def test_probabilities_add_up_to_one(self):
        """exp of log_prob is the product of decisions for each word, and adds up to 1 over all words."""
        layer = nn.HierarchicalSoftmax(5, 3, COUNTS)
        layer.weight.data[...] = RNG.standard_normal((4, 3))
        h = RNG.standard_normal((2, 3)).astype("float32")
        got = np.exp(layer.log_prob(mg.tensor(h)).detach().numpy())
        expect.close(got.sum(1), [1, 1], "the sum of the probabilities of five words, for two hidden vectors")
        w = layer.weight.detach().numpy()
        expected = [[np.exp(sum(log_sigmoid(s * (w[n] @ row)) for n, s in path)) for path in PATHS] for row in h]
        expect.close(got, expected, "the probabilities of five words, for two hidden vectors", rtol=1e-4)


def model(architecture, output):
    config = Word2VecConfig(5, 3, architecture, output, negatives=2)
    made = Word2Vec(config, COUNTS)
    rng = np.random.default_rng(2)
    for parameter in made.parameters():
        parameter.data = rng.standard_normal(parameter.shape)
    return made


BAGS, OUTPUTS = np.array([[1, 2, -1], [4, 0, 2]]), np.array([[3, 0, 1], [1, 2, 2]])


class TestBagOfWords:
    def test_the_mean_of_the_words_that_are_there(self):
        """CBOW with negative sampling: the mean of two and of three vectors predicts; losses are summed."""
        made = model("cbow", "negative-sampling")
        v, u = made.embedding.weight.detach().numpy(), made.output.weight.detach().numpy()
        expected = 0.0
        for h, row in zip((v[[1, 2]].mean(0), v[[4, 0, 2]].mean(0)), OUTPUTS, strict=True):
            expected -= log_sigmoid(u[row[0]] @ h) + log_sigmoid(-u[row[1:]] @ h).sum()
        expect.close(made(BAGS, OUTPUTS), expected, "the loss of the bags [1, 2] and [4, 0, 2]")

    def test_skip_gram_is_a_bag_of_one(self):
        """With one input word each, its vector is the mean."""
        made = model("skip-gram", "negative-sampling")
        v, u = made.embedding.weight.detach().numpy(), made.output.weight.detach().numpy()
        expected = -log_sigmoid(u[1] @ v[2]) - log_sigmoid(-u[0] @ v[2]) - log_sigmoid(-u[3] @ v[2])
        got = made(np.array([[2]]), np.array([[1, 0, 3]]))
        expect.close(got, expected, "the loss of word 2 that predicts word 1, negatives 0 and 3")

    def test_with_a_tree(self):
        """With hierarchical softmax the target is found on its path, and there are no negatives."""
        made = model("cbow", "hierarchical-softmax")
        v, w = made.embedding.weight.detach().numpy(), made.output.weight.detach().numpy()
        h = v[[1, 2]].mean(0), v[[4, 0, 2]].mean(0)
        expected = -sum(log_sigmoid(s * (w[n] @ h[i])) for i, t in enumerate((3, 1)) for n, s in PATHS[t])
        expect.close(made(BAGS, OUTPUTS[:, :1]), expected, "the loss of targets 3 and 1, with the tree")

    def test_each_word_gets_its_share_of_the_gradient(self):
        """The gradient of the table: finite differences; padding gives word 0 nothing."""
        made = model("cbow", "negative-sampling")

        def loss(table):
            made.embedding.forward = lambda ids: F.embedding(ids, table)
            return made(BAGS[:1], OUTPUTS[:1])

        expect.gradients(loss, [made.embedding.weight], "the loss of the bag [1, 2], padded to 3 words")
