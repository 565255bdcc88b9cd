"""word2vec: the draws, the two paths, resuming, and planted wrong gradients in the fast one."""

import dataclasses
import itertools

import numba
import numpy as np
import pytest

import minigrad as mg
from models.errors import DataError, UserError
from models.vectors import draws
from models.vectors.hogwild import HogwildTrainer
from models.vectors.vocabulary import Vocabulary, split_sentences
from models.word2vec import Word2Vec, Word2VecConfig, Word2VecTrainer, Word2VecTraining

KINDS = list(itertools.product(("skip-gram", "cbow"), ("negative-sampling", "hierarchical-softmax")))


@pytest.fixture(scope="module")
def sentences():
    """Sentences of words a1, b1, ...: the letter says which words keep company."""
    r = np.random.default_rng(0)
    return [[f"{letter}{n}" for n in r.zipf(1.6, r.integers(2, 9)) % 6] for letter in r.choice(list("abc"), 40)]


@pytest.fixture
def one_thread():
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


def prepared(sentences, kind, **training):
    vocabulary = Vocabulary.from_sentences(sentences, min_count=2)
    architecture, output = kind
    config = Word2VecConfig(len(vocabulary), 20, architecture, output, negatives=3)
    mg.manual_seed(1)
    settings = {"epochs": 2, "window": 3, "subsample": 0.05, "seed": 4} | training
    model = Word2Vec(config, vocabulary.counts)
    return model, vocabulary, vocabulary.encode(sentences), Word2VecTraining(**settings)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_both_paths_agree_at_one_thread(kind, sentences, one_thread):
    """The same draws, the same arithmetic: losses and both tables, after hundreds of steps of descent."""
    results = []
    for trainer_class in (Word2VecTrainer, HogwildTrainer):
        model, *rest = prepared(sentences, kind, learning_rate=0.3)
        trainer = trainer_class(model, *rest)
        losses = [loss for loss, _ in trainer]
        results.append([np.array(losses), *(parameter.detach().numpy() for parameter in model.parameters())])
    for engine, fast in zip(*results, strict=True):
        np.testing.assert_allclose(fast, engine, rtol=1e-4, atol=5e-6)
    assert np.abs(results[0][2]).max() > 0.1  # the output layer began at 0


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_a_resumed_run_equals_an_unbroken_one(kind, sentences, one_thread):
    model, *rest = prepared(sentences, kind, epochs=3)
    list(HogwildTrainer(model, *rest))
    broken, *rest = prepared(sentences, kind, epochs=3)
    first = HogwildTrainer(broken, *rest)
    next(iter(first))
    again = Word2Vec(broken.config)
    again.load_state_dict(broken.state_dict())
    second = HogwildTrainer(again, *rest)
    second.step = first.step
    list(second)
    for name, parameter in again.named_parameters():
        np.testing.assert_array_equal(parameter.detach().numpy(), dict(model.named_parameters())[name].detach().numpy())


def test_threads_draw_the_same_examples(sentences):
    """Whoever takes a part, its examples are the same: with a tiny learning rate the loss cannot tell."""
    losses = []
    for threads in (1, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        model, vocabulary, text, training = prepared(sentences * 400, KINDS[0], epochs=1)
        training = dataclasses.replace(training, learning_rate=1e-9, min_learning_rate=0)
        model.output.weight.data[:] = np.random.default_rng(0).standard_normal(model.output.weight.shape)
        trainer = HogwildTrainer(model, vocabulary, text, training)
        assert len(trainer.parts) > 4
        losses.append([loss for loss, _ in trainer])
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_words_that_keep_company_become_neighbours(kind, sentences):
    """And the loss at the end is what the model itself, asked in one batch, gives for the same examples."""
    model, vocabulary, text, training = prepared(sentences * 20, kind, epochs=8, learning_rate=0.1, subsample=0.0)
    trainer = HogwildTrainer(model, vocabulary, text, training)
    losses = [loss for loss, _ in trainer]
    assert losses[-1] < 0.95 * losses[0]
    vectors = model.vectors()
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = units @ units.T
    letters = np.array([word[0] for word in vocabulary.words])
    same = letters[:, None] == letters
    off = ~np.eye(len(letters), dtype=bool)
    assert cosines[same & off].mean() > cosines[~same].mean() + 0.3

    trainer.batch_size = 10_000
    batches = list(Word2VecTrainer.batches(trainer, epoch=7, part=0))
    with mg.no_grad():
        total = sum(model(inputs, outputs).item() for inputs, outputs in batches)
    mean = total / sum(len(outputs) for _, outputs in batches)
    assert mean == pytest.approx(losses[-1], rel=0.05)


# The draws.


def drawn(sentence, window=2, cbow=False, negatives=3, counts=(5, 4, 3, 2, 1), subsample=0.0, seed=0):
    keep, noise = draws.keep_thresholds(counts, subsample), draws.noise_table(counts)
    buffers = draws.buffers(window, negatives, len(sentence))
    state = draws.first_state(seed, 0, 0)
    sentence = np.array(sentence, np.int32)
    drawing = draws.Drawing(keep, *noise, window, cbow)
    n, _ = draws.draw_examples(sentence, drawing, np.uint64(state), buffers)
    _, inputs, starts, outputs = buffers
    return [inputs[starts[e] : starts[e + 1]].tolist() for e in range(n)], outputs[:n].copy()


def test_window_of_one():
    inputs, outputs = drawn([0, 1, 2], window=1)
    pairs = [(*bag, target) for bag, target in zip(inputs, outputs[:, 0].tolist(), strict=True)]
    assert pairs == [(0, 1), (1, 0), (1, 2), (2, 1)]
    inputs, outputs = drawn([0, 1, 2], window=1, cbow=True)
    assert inputs == [[1], [0, 2], [1]]
    assert outputs[:, 0].tolist() == [0, 1, 2]
    assert drawn([3], cbow=True)[0] == []


def test_nearer_neighbours_are_drawn_more_often():
    """A neighbour d away is in a window of 1..w with probability (w - d + 1)/w."""
    window, far = 4, np.zeros(5)
    sentence = np.arange(9)
    counts = np.ones(9)
    for seed in range(3000):
        inputs, outputs = drawn(sentence, window, counts=counts, negatives=0, seed=seed)
        for bag, target in zip(inputs, outputs[:, 0], strict=True):
            if bag == [4]:
                far[abs(target - 4)] += 1
    np.testing.assert_allclose(far[1:] / far.sum() * 10, [4, 3, 2, 1], atol=0.2)


def test_negatives_follow_the_noise_and_avoid_the_target():
    counts = np.array([1, 16, 81, 256])
    _, outputs = drawn([0, 1] * 400, negatives=9, counts=counts)
    assert (outputs[:, 1:] != outputs[:, :1]).all()
    of_zero = outputs[outputs[:, 0] == 0, 1:]
    shares = np.bincount(of_zero.reshape(-1), minlength=4) / of_zero.size
    np.testing.assert_allclose(shares, np.array([0, 8, 27, 64]) / 99, atol=0.02)


def test_frequent_words_are_left_out_at_the_rate_of_the_formula():
    counts = np.array([9000, 900, 100])
    ratio = counts / counts.sum() / 1e-2
    expected = np.minimum((np.sqrt(ratio) + 1) / ratio, 1)
    np.testing.assert_allclose(draws.keep_thresholds(counts, 1e-2) / 2**32, expected, rtol=1e-6)
    assert (draws.keep_thresholds(counts, 0) == 2**32 - 1).all()
    kept = 0
    for seed in range(400):
        inputs, _ = drawn([0] * 200, window=1, counts=counts, subsample=1e-2, negatives=0, seed=seed)
        kept += len(inputs) / 2 + 1  # each has two neighbours, but for the first and the last
    assert kept / (400 * 200) == pytest.approx(expected[0], rel=0.03)


@pytest.mark.parity
def test_keep_thresholds_are_gensims():
    word2vec = pytest.importorskip("gensim.models.word2vec")
    corpus = [["a"] * 500, ["b"] * 60, ["c"] * 7]
    theirs = word2vec.Word2Vec(corpus, min_count=1, sample=1e-2, vector_size=2).wv
    ours = draws.keep_thresholds([500, 60, 7], 1e-2)
    sample_int = [theirs.get_vecattr(word, "sample_int") for word in "abc"]
    np.testing.assert_allclose(ours, sample_int, atol=2)


# Bad input.


def test_split_sentences():
    assert split_sentences("O'er the to-night hill. 'Tis!\n\nROMEO:\nHow?? Élan 你好。是") == [
        ["o'er", "the", "to-night", "hill"], ["tis"], ["romeo", "how"], ["élan", "你好"], ["是"],
    ]  # fmt: skip
    line = "so on " * 40
    assert len(split_sentences(f"{line}\n{line}\nand on\nand on")) == 3  # paragraphs, then lines of verse


def test_rare_words_and_empty_sentences_are_left_out_and_long_ones_cut():
    vocabulary = Vocabulary.from_sentences([["a", "b", "a"], ["c"], ["b"] * 2500], min_count=2)
    assert vocabulary.words == ["b", "a"]
    assert vocabulary.counts.tolist() == [2501, 2]
    text = vocabulary.encode([["c"], ["a", "c", "b"], [], ["b"] * 2500])
    assert [len(ids) for ids in text.sentences] == [2, 1000, 1000, 500]
    assert text.sentences[0].tolist() == [1, 0]
    assert len(text) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "of 0 words in the text, 0 different ones"), ("to to to be", "1 different ones occur 2 times or more")],
)
def test_a_vocabulary_of_less_than_two_words(text, message):
    with pytest.raises(DataError, match=message):
        Vocabulary.from_sentences(split_sentences(text), min_count=2)


def test_a_window_longer_than_the_text():
    vocabulary = Vocabulary.from_sentences([["a", "b"]], min_count=1)
    with pytest.raises(UserError, match="window=5, and the text has 2 words of the vocabulary"):
        Word2VecTrainer(Word2Vec(Word2VecConfig(2, 3)), vocabulary, vocabulary.encode([["a", "b"]]), Word2VecTraining())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Word2VecConfig(1), "vocab_size=1: expected a whole number, 2 or above"),
        (lambda: Word2VecConfig(5, embedding_dim=0), "embedding_dim=0"),
        (lambda: Word2VecConfig(5, negatives=0), "negatives=0"),
        (lambda: Word2VecConfig(5, architecture="bag"), "architecture='bag': expected one of skip-gram, cbow"),
        (lambda: Word2VecConfig(5, output="softmax"), "output='softmax': expected one of negative"),
        (lambda: Word2VecTraining(epochs=0), "epochs=0"),
        (lambda: Word2VecTraining(window=0), "window=0"),
        (lambda: Word2VecTraining(subsample=-1), "subsample=-1"),
        (lambda: Word2VecTraining(learning_rate=0), "learning_rate=0"),
        (lambda: Word2VecTraining(min_learning_rate=1), "min_learning_rate=1.0: expected 0 to the learning rate"),
        (lambda: Word2VecTraining(seed=-1), "seed=-1"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(UserError, match=message):
        make()
