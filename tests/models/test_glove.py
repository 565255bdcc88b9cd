"""GloVe: counting against a plain double loop, and the two paths of fitting."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from models.errors import UserError
from models.glove import Cooccurrences, GloVe, GloVeConfig, GloVeTrainer, GloVeTraining
from models.vectors import cooccurrence
from models.vectors.adagrad import HogwildTrainer
from models.vectors.cooccurrence import count_cooccurrences
from models.vectors.vocabulary import Vocabulary


@pytest.fixture
def one_thread():
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    yield
    numba.set_num_threads(before)


def sentences(seed=0, n=40, words=12):
    r = np.random.default_rng(seed)
    return [[f"w{i}" for i in r.integers(0, words, r.integers(1, 12))] for _ in range(n)]


def encoded(found):
    vocabulary = Vocabulary.from_sentences(found, min_count=1)
    return vocabulary, vocabulary.encode(found)


def dense(cells: Cooccurrences, size: int) -> np.ndarray:
    matrix = np.zeros((size, size))
    matrix[cells.rows, cells.columns] = cells.counts
    assert (matrix != 0).sum() == len(cells.counts)  # no cell twice
    return matrix


# Counting.


@given(st.integers(0, 1000), st.integers(1, 6))
def test_counts_are_sums_of_inverse_distances(seed, window):
    vocabulary, text = encoded(sentences(seed))
    expected = np.zeros((len(vocabulary), len(vocabulary)))
    for ids in text.sentences:
        for i, a in enumerate(ids):
            for j, b in enumerate(ids):
                if i != j and abs(i - j) <= window:
                    expected[a, b] += 1 / abs(i - j)
    found = dense(count_cooccurrences(text, len(vocabulary), window), len(vocabulary))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_little_memory_gives_the_same_counts(monkeypatch):
    vocabulary, text = encoded(sentences(1, n=300, words=200))
    plain = count_cooccurrences(text, len(vocabulary), 5)
    runs = []
    merge = cooccurrence._merge
    monkeypatch.setattr(cooccurrence, "_merge", lambda *a: runs.append(len(a[0])) or merge(*a))
    small = count_cooccurrences(text, len(vocabulary), 5, memory=512 * 3 * 16)
    assert runs
    assert runs[0] > 5
    for a, b in zip(plain, small, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    with pytest.raises(UserError, match=r"memory=1e\+03 bytes: this text takes .* at least"):
        count_cooccurrences(text, len(vocabulary), 5, memory=1e3)


@pytest.mark.parametrize("window", [0, 3, 100])
def test_a_window_that_does_not_fit(window):
    vocabulary, text = encoded([["a", "b", "a"]])
    with pytest.raises(UserError, match=f"window={window}, and the text has 3 words"):
        count_cooccurrences(text, len(vocabulary), window)


# Fitting.


def prepared(**training):
    vocabulary, text = encoded(sentences(2))
    mg.manual_seed(3)
    cells = count_cooccurrences(text, len(vocabulary), 4)
    return GloVe(GloVeConfig(len(vocabulary), 20)), cells, GloVeTraining(**({"epochs": 3, "x_max": 2.0} | training))


def test_the_loss_is_the_papers():
    """Equation 8, cell by cell, in float64."""
    model, cells, _ = prepared()
    w, c, b, d = (parameter.detach().numpy().astype(np.float64) for parameter in model.parameters())
    trainer = GloVeTrainer(model, cells, GloVeTraining(x_max=2.0))
    expected = 0.0
    for i, j, x in zip(*cells, strict=True):
        f = min(1, (x / 2.0) ** 0.75)
        expected += f * (w[i] @ c[j] + b[i, 0] + d[j, 0] - np.log(x)) ** 2 / 2
    loss = model(trainer.rows, trainer.columns, trainer.logs, trainer.weights)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(model.vectors(), w + c, rtol=1e-6)


def test_gradients_are_finite_differences():
    model, cells, training = prepared()
    model.double()
    trainer = GloVeTrainer(model, cells, training)
    batch = [
        trainer.rows[:9],
        trainer.columns[:9],
        *(a[:9].astype(np.float64) for a in (trainer.logs, trainer.weights)),
    ]
    assert mg.gradcheck(lambda *parameters: model(*batch), list(model.parameters()))


@pytest.mark.parametrize("learning_rate", [0.05, 0.5])
def test_both_paths_agree_at_one_thread(learning_rate, one_thread):
    results = []
    for trainer_class in (GloVeTrainer, HogwildTrainer):
        trainer = trainer_class(*prepared(learning_rate=learning_rate))
        losses = [loss for loss, _ in trainer]
        state = trainer.optimizer.state
        parameters = list(trainer.model.parameters())
        results.append(
            [losses, *(p.detach().numpy() for p in parameters), *(np.asarray(state[p]["sum"]) for p in parameters)]
        )
    for engine, fast in zip(*results, strict=True):
        np.testing.assert_allclose(fast, engine, rtol=1e-4, atol=2e-6)
    assert results[1][0][-1] < 0.7 * results[1][0][0]


def test_a_resumed_run_equals_an_unbroken_one(one_thread):
    model, cells, training = prepared(epochs=4)
    list(HogwildTrainer(model, cells, training))
    first = HogwildTrainer(*prepared(epochs=4))
    for _ in first:
        if first.step == 2:
            break
    again = GloVe(model.config)
    again.load_state_dict(first.model.state_dict())
    second = HogwildTrainer(again, cells, training)
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.step = first.step
    list(second)
    for ours, theirs in zip(again.parameters(), model.parameters(), strict=True):
        np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy())


def test_the_fit_recovers_the_logarithms():
    """A matrix ln X = w·w̃ + b + b̃ of low rank is fitted almost exactly."""
    r = np.random.default_rng(0)
    u, v = r.standard_normal((30, 3)), r.standard_normal((30, 3))
    logs = u @ v.T + r.standard_normal((30, 1)) + r.standard_normal(30)
    rows, columns = np.divmod(np.arange(900, dtype=np.int32), 30)
    cells = Cooccurrences(rows, columns, np.exp(logs).reshape(-1).astype(np.float32))
    mg.manual_seed(0)
    trainer = HogwildTrainer(GloVe(GloVeConfig(30, 8)), cells, GloVeTraining(epochs=400, x_max=1.0))
    losses = [loss for loss, _ in trainer]
    assert losses[-1] < 0.01 * losses[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GloVeConfig(1), "vocab_size=1: expected a whole number, 2 or above"),
        (lambda: GloVeConfig(5, 0), "embedding_dim=0"),
        (lambda: GloVeTraining(epochs=0), "epochs=0"),
        (lambda: GloVeTraining(window=0), "window=0"),
        (lambda: GloVeTraining(learning_rate=0), "learning_rate=0"),
        (lambda: GloVeTraining(x_max=0), "x_max=0"),
        (lambda: GloVeTraining(alpha=-1), "alpha=-1"),
        (lambda: GloVeTraining(seed=-1), "seed=-1"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(UserError, match=message):
        make()
