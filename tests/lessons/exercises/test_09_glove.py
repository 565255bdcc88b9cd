"""The exercises of lesson 9."""

from types import SimpleNamespace

import numpy as np

from models.glove import GloVe, GloVeConfig
from models.vectors import evaluation
from models.vectors.projection import pca
from models.vectors.word_vectors import WordVectors
from tests.lessons.exercises import expect

ROWS, COLUMNS = np.array([0, 3, 3, 1]), np.array([2, 2, 4, 0])
LOGS, WEIGHTS = np.log([4.0, 0.5, 12.0, 7.0]), np.array([0.5, 0.1, 1.0, 0.8])


def model():
    made, rng = GloVe(GloVeConfig(5, 3)), np.random.default_rng(9)
    for parameter in made.parameters():
        parameter.data = rng.standard_normal(parameter.shape)
    return made


class TestGloveLoss:
    def test_the_loss_of_one_cell(self):
        """½ f (w·u + b + c - ln X)², with numbers one can check: w·u = 2, biases 1 and 0.5, ln X = 3, f = 0.5."""
        made = GloVe(GloVeConfig(2, 2))
        made.weight.data = np.array([[1.0, 2.0], [9.0, 9.0]])
        made.context_weight.data = np.array([[9.0, 9.0], [4.0, -1.0]])
        made.bias.data, made.context_bias.data = np.array([[1.0], [9.0]]), np.array([[9.0], [0.5]])
        got = made(np.array([0]), np.array([1]), np.array([3.0]), np.array([0.5]))
        expect.close(got, 0.5 * 0.5 * 0.5**2, "½ · 0.5 · (2 + 1 + 0.5 - 3)²")

    def test_cells_are_added_up(self):
        """The losses of four cells with four weights, added up."""
        made = model()
        w, u, b, c = (parameter.detach().numpy() for parameter in made.parameters())
        expected = sum(
            0.5 * f * (w[i] @ u[k] + b[i, 0] + c[k, 0] - log) ** 2
            for i, k, log, f in zip(ROWS, COLUMNS, LOGS, WEIGHTS, strict=True)
        )
        expect.close(made(ROWS, COLUMNS, LOGS, WEIGHTS), expected, "the loss of four cells")

    def test_its_gradients(self):
        """The gradients with respect to both tables and both biases agree with finite differences."""
        made = model()
        values = [parameter.detach().numpy() for parameter in made.parameters()]

        def loss(weight, context_weight, bias, context_bias):
            tables = SimpleNamespace(weight=weight, context_weight=context_weight, bias=bias, context_bias=context_bias)
            return GloVe.forward(tables, ROWS, COLUMNS, LOGS, WEIGHTS)

        expect.gradients(loss, values, "GloVe's loss by w, u, b, c")

    def test_a_word_is_the_sum_of_both_its_vectors(self):
        """vectors() gives w + u of each word, as a numpy array."""
        made = model()
        expected = made.weight.detach().numpy() + made.context_weight.detach().numpy()
        got = made.vectors()
        expect.holds(isinstance(got, np.ndarray), "vectors() returns a numpy array")
        expect.close(got, expected, "the vectors of five words")


class TestSpearman:
    def test_the_example_of_the_lesson(self):
        """Ranks 1, 2, 3, 4 against 1, 3, 2, 4 give 0.8; the same order gives 1, the reverse -1."""
        expect.close(evaluation.spearman([10, 20, 30, 40], [0.1, 0.5, 0.3, 0.9]), 0.8, "the example")
        expect.close(evaluation.spearman([3, 1, 2], [9, 1, 4]), 1.0, "3, 1, 2 against their squares")
        expect.close(evaluation.spearman([3, 1, 2], [-3, -1, -2]), -1.0, "3, 1, 2 against -3, -1, -2")

    def test_longer_lists(self):
        """Without ties it is 1 - 6 Σd² / (n (n² - 1)), with ranks found by counting the smaller values."""
        rng = np.random.default_rng(3)
        x, y = rng.standard_normal(30), rng.standard_normal(30)
        d = [(x < p).sum() - (y < q).sum() for p, q in zip(x, y, strict=True)]
        expected = 1 - 6 * np.dot(d, d) / (30 * (30**2 - 1))
        expect.close(evaluation.spearman(x, y), expected, "the correlation of thirty random pairs")

    def test_equal_values_share_the_mean_of_their_ranks(self):
        """The ranks of 5, 2, 5, 1, 5 are 4, 2, 4, 1, 4; with such ranks the correlation is computed."""
        expect.close(evaluation._ranks(np.array([5.0, 2, 5, 1, 5])), [4, 2, 4, 1, 4], "the ranks of 5, 2, 5, 1, 5")
        expect.close(evaluation.spearman([1, 1, 2, 2], [1, 2, 3, 4]), 2 / np.sqrt(5), "1, 1, 2, 2 against 1, 2, 3, 4")

    def test_nothing_varies(self):
        """Where one list has one value only, there is no order to compare: nan. So with no values at all."""
        expect.close(evaluation.spearman([2, 2, 2], [1, 2, 3]), np.nan, "a list of equal values")
        expect.close(evaluation.spearman([], []), np.nan, "two empty lists")


WORDS = ["man", "woman", "king", "queen", "tree"]
TABLE = np.array([[4, 0, 0], [2, 2, 0], [4, 0, 4], [1, 1, 1.5], [-1, -2, 0.5]])


def units():
    return TABLE / np.linalg.norm(TABLE, axis=1, keepdims=True)


class TestAnalogies:
    def test_3cosadd(self):
        """The cosine of every word with king - man + woman, all of them unit vectors; -inf for these three."""
        u = units()
        direction = u[2] - u[0] + u[1]
        expected = u @ direction / np.linalg.norm(direction)
        expected[:3] = -np.inf
        got = WordVectors(WORDS, TABLE)._scores(np.array([[2, 1]]), np.array([[0]]), "3cosadd")
        expect.close(got, expected[None], "3CosAdd's scores of five words for king - man + woman", rtol=1e-4)

    def test_3cosmul(self):
        """The product of (1 + cos)/2 with king and with woman, divided by that with man plus 0.001."""
        u = units()
        alike = (1 + u @ u.T) / 2
        expected = alike[2] * alike[1] / (alike[0] + 0.001)
        expected[:3] = -np.inf
        got = WordVectors(WORDS, TABLE)._scores(np.array([[2, 1]]), np.array([[0]]), "3cosmul")
        expect.close(got, expected[None], "3CosMul's scores of five words for king - man + woman", rtol=1e-4)

    def test_several_queries_at_once(self):
        """A row for each query; without negative words 3CosAdd is the cosine itself."""
        got = WordVectors(WORDS, TABLE)._scores(np.array([[3], [4]]), np.zeros((2, 0), int), "3cosadd")
        expected = units()[[3, 4]] @ units().T
        expected[0, 3] = expected[1, 4] = -np.inf
        expect.close(got, expected, "the scores for queen and for tree", rtol=1e-4)

    def test_a_limit_on_the_answers(self):
        """With limit=3 only the first three words have scores, though the query has words beyond."""
        got = WordVectors(WORDS, TABLE)._scores(np.array([[3, 0]]), np.array([[4]]), "3cosadd", 3)
        expect.equal(got.shape, (1, 3), "the shape of the scores with limit=3")
        expect.equal(np.isinf(got), np.array([[True, False, False]]), "of man, woman, king only man was in the query")

    def test_the_answer(self):
        """man is to king as woman is to: queen."""
        got = WordVectors(WORDS, TABLE).analogy("man", "king", "woman", count=1)[0][0]
        expect.equal(got, "queen", "the best answer to man : king = woman : ?")


class TestPrincipalComponents:
    def test_points_on_a_line(self):
        """Points along (3, 4): one direction holds all of it, 5 apart, and the second coordinate is 0."""
        got = pca(np.array([[3.0, 4.0], [6.0, 8.0], [9.0, 12.0]]) + 100)
        expect.close(got, [[-5, 0], [0, 0], [5, 0]], "(3, 4), (6, 8), (9, 12), moved by 100", atol=1e-6)

    def test_it_equals_the_singular_value_decomposition(self):
        """The coordinates are U S of the centred points, with signs that make the largest coefficient positive."""
        points = np.random.default_rng(4).standard_normal((20, 5)) * [1, 4, 2, 8, 0.5] + 3
        u, s, axes = np.linalg.svd(points - points.mean(0), full_matrices=False)
        signs = np.sign(axes[np.arange(5), np.abs(axes).argmax(1)])
        for dimensions in (1, 2, 3):
            expected = (u * s * signs)[:, :dimensions]
            expect.close(pca(points, dimensions), expected, f"20 points in {dimensions} dimensions", atol=1e-6)

    def test_the_first_directions_vary_most(self):
        """Each coordinate has mean 0, and no later one varies more than one before it."""
        got = pca(np.random.default_rng(5).standard_normal((30, 6)) * [1, 1, 1, 7, 1, 3] + 5, 4)
        expect.close(got.mean(0), np.zeros(4), "the mean of each coordinate", atol=1e-8)
        expect.holds((np.diff(got.std(0)) <= 0).all(), "the spread of the coordinates falls from first to last")

    def test_more_dimensions_than_there_are(self):
        """Points with one column, asked for two: the second is 0."""
        expect.close(pca(np.array([[1.0], [5.0]])), [[-2, 0], [2, 0]], "the points 1 and 5 in a plane", atol=1e-8)
