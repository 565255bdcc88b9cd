"""The check of word2vec's kernels is checked: wrong arithmetic of every kind, and it must catch each.

The kernels change the tables themselves, so what is checked is the change of one step: it has to be minus the
learning rate times the gradient, which is computed by finite differences of the formula in float64.
"""

import inspect

import numpy as np
import pytest

from models.vectors import adagrad, hogwild

LEARNING_RATE = np.float32(0.5)
r = np.random.default_rng(0)
EMBEDDING, OUTPUT = (r.standard_normal((6, 16)).astype(np.float32) * 0.5 for _ in range(2))
SIGNS = np.array([1, -1, -1, 1, -1], np.float32)
# inputs and rows of an example: one input or several, a word twice among either
EXAMPLES = [([2], [1, 4, 0]), ([2, 5, 3], [1, 4, 0]), ([2, 2, 1], [3, 3, 0, 1]), ([0, 1, 2, 3], [5, 5, 5, 2, 1])]


class Lanes:
    """lanes.py in numpy: the same kernel as plain Python."""

    WIDTH = 16
    multiply_add = staticmethod(lambda a, b, c: a * b + c)
    broadcast = staticmethod(np.float32)
    zero = staticmethod(lambda: np.zeros(16, np.float32))
    sum = staticmethod(np.sum)
    load = staticmethod(lambda table, row, column: table[row, column : column + 16].copy())
    divided_by_root = staticmethod(lambda a, b: a / np.sqrt(b))

    @staticmethod
    def store(vector, table, row, column):
        table[row, column : column + 16] = vector


class Simd:
    """simd.py's decorators as nothing, its sigmoid as numpy."""

    parallel = serial = inline = staticmethod(lambda function: function)
    sigmoid = staticmethod(lambda x: 1 / (1 + np.exp(-x)))


def kernel(module, name, replacements=()):
    """A function of a module as plain Python, with the source of the kernels changed."""
    source = inspect.getsource(module)
    source = source[source.index("@simd.parallel") :]
    for old, new in replacements:
        assert source.count(old) == 1, f"{old!r} is there {source.count(old)} times"
        source = source.replace(old, new)
    namespace = vars(module) | {"lanes": Lanes, "simd": Simd, "prange": range}
    exec(compile(source, "planted", "exec"), namespace)
    return namespace[name]


def loss(embedding, output, inputs, rows):
    hidden = embedding[inputs].mean(0)
    return np.log1p(np.exp(-SIGNS[: len(rows)] * (output[rows] @ hidden))).sum()


def numerical(function, table, eps=1e-6):
    gradient = np.zeros_like(table)
    for index in np.ndindex(table.shape):
        before = table[index]
        values = []
        for step in (eps, -eps):
            table[index] = before + step
            values.append(function())
        table[index] = before
        gradient[index] = (values[0] - values[1]) / (2 * eps)
    return gradient


def gradients(inputs, rows):
    tables = [EMBEDDING.astype(np.float64), OUTPUT.astype(np.float64)]
    return [numerical(lambda: loss(*tables, inputs, rows), table) for table in tables]


EXPECTED = [gradients(*example) for example in EXAMPLES]


def check_step(step):
    """Raises AssertionError unless a step is one of gradient descent on the loss, and returns its likelihood."""
    for (inputs, rows), expected in zip(EXAMPLES, EXPECTED, strict=True):
        embedding, output = EMBEDDING.copy(), OUTPUT.copy()
        scratch = [np.zeros((1, 16), np.float32), np.zeros((1, 16), np.float32), np.zeros(8, np.float32)]
        ids, nodes = np.array(inputs, np.int32), np.array(rows, np.int32)
        likelihood = step(embedding, output, ids, nodes, SIGNS[: len(rows)], LEARNING_RATE, scratch)
        assert -np.log(likelihood) == pytest.approx(loss(EMBEDDING, OUTPUT, inputs, rows), rel=1e-5)
        for now, before, gradient in zip((embedding, output), (EMBEDDING, OUTPUT), expected, strict=True):
            np.testing.assert_allclose(now - before, -LEARNING_RATE * gradient, rtol=1e-4, atol=1e-6)


def test_the_right_step_passes():
    check_step(kernel(hogwild, "_step"))


def test_the_compiled_kernels_make_that_step():
    """Through the functions that training calls, in numba."""
    for (inputs, rows), expected in zip(EXAMPLES, EXPECTED, strict=True):
        embedding, output = EMBEDDING.copy(), OUTPUT.copy()
        starts = np.array([0, len(inputs)], np.int64)
        paths = hogwild.Paths(np.array([0, len(rows)], np.int64), np.array(rows, np.int32), SIGNS)
        ids, outputs = np.array(inputs, np.int32), np.zeros((1, 1), np.int32)
        found = hogwild.learn_hierarchical(embedding, output, ids, starts, outputs, 1, LEARNING_RATE, paths)
        assert found == pytest.approx(loss(EMBEDDING, OUTPUT, inputs, rows), rel=1e-5)
        for now, before, gradient in zip((embedding, output), (EMBEDDING, OUTPUT), expected, strict=True):
            np.testing.assert_allclose(now - before, -LEARNING_RATE * gradient, rtol=1e-4, atol=1e-6)


COEFFICIENT = "learning_rate * sign * (_ONE - right)"
ADDED = "            total = lanes.multiply_add(lanes.broadcast(coefficients[k]), row, total)\n"
STORED = "            lanes.store(changed, output, rows[k], column)\n"
INPUTS = "    for i in range({}len(inputs)):\n        for column in range(0, width, lanes.WIDTH):\n"
LIKELIHOOD = "likelihood {} max(right, _SMALLEST)"
FAULTS = {
    "factor 2": [(COEFFICIENT, f"2 * {COEFFICIENT}")],
    "one per mille": [(COEFFICIENT, f"1.001 * {COEFFICIENT}")],
    "wrong way": [(COEFFICIENT, f"-{COEFFICIENT}")],
    "no sign": [(COEFFICIENT, "learning_rate * (_ONE - right)")],
    "the wrong probability": [(COEFFICIENT, "learning_rate * sign * right")],
    "no learning rate": [(COEFFICIENT, "sign * (_ONE - right)")],
    "a coarse table of sigmoids": [(COEFFICIENT, "learning_rate * sign * (_ONE - np.round(right * 50) / 50)")],
    "the first decision left out": [("(decisions):  # before", "(1, decisions):  # before")],
    "the sum of the inputs instead of their mean": [("share = _ONE / np.float32(len(inputs))", "share = _ONE")],
    "the inputs' gradient not shared, as in the C program": [
        ("lanes.broadcast(share), lanes.load(gradient", "lanes.broadcast(_ONE), lanes.load(gradient")
    ],
    "the first input not updated": [(INPUTS.format(""), INPUTS.format("1, "))],
    "the inputs' gradient from rows that have changed already": [
        (STORED, f"{STORED}            total = lanes.multiply_add(lanes.broadcast(coefficients[k]), changed, total)\n"),
        (ADDED, ""),
    ],
    "a row that is there twice updated once": [
        (STORED, STORED.replace("changed", "changed - row + OUTPUT[rows[k], column : column + 16]"))
    ],
    "the output not updated": [(STORED, "")],
    "the loss of the last decision only": [(LIKELIHOOD.format("*="), LIKELIHOOD.format("="))],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_step_is_caught(fault):
    step = kernel(hogwild, "_step", FAULTS[fault])
    step.__globals__["OUTPUT"] = OUTPUT
    with pytest.raises(AssertionError):
        check_step(step)


# GloVe's kernel, the same way: AdaGrad with the sums it starts from.

GLOVE = [r.standard_normal(shape).astype(np.float32) for shape in [(4, 16), (4, 16), (4, 1), (4, 1)]]
SUMS = [r.uniform(0.5, 2, table.shape).astype(np.float32) for table in GLOVE]
CELL = (2, 1, 0.7, 0.6)  # word, neighbour, ln X, f(X)


def glove_loss(tables):
    i, j, log, weight = CELL
    w, c, b, d = tables
    return weight * (w[i] @ c[j] + b[i, 0] + d[j, 0] - log) ** 2 / 2


def check_cell(fit):
    tables = [table.astype(np.float64) for table in GLOVE]
    slopes = [numerical(lambda: glove_loss(tables), table) for table in tables]
    found, sums = [table.copy() for table in GLOVE], [total.copy() for total in SUMS]
    i, j, log, weight = CELL
    cell = (np.array([i], np.int32), np.array([j], np.int32), np.float32([log]), np.float32([weight]))
    assert fit(tuple(found), tuple(sums), cell, LEARNING_RATE).sum() == pytest.approx(glove_loss(tables), rel=1e-5)
    for now, before, total, started, slope in zip(found, GLOVE, sums, SUMS, slopes, strict=True):
        np.testing.assert_allclose(total, started + slope**2, rtol=1e-4)
        expected = before - LEARNING_RATE * slope / np.sqrt(started + slope**2)
        np.testing.assert_allclose(now, expected, rtol=1e-4, atol=1e-6)


def test_the_right_cell_passes():
    check_cell(kernel(adagrad, "fit_cells"))
    check_cell(adagrad.fit_cells)


GLOVE_FAULTS = {
    "factor 2": [("g = weights[n] * error", "g = 2 * weights[n] * error")],
    "no weight": [("g = weights[n] * error", "g = error")],
    "the logarithm added": [("- logs[n]", "+ logs[n]")],
    "one bias forgotten": [("bias[i, 0] + context_bias[j, 0]", "bias[i, 0]")],
    "one bias not updated": [("_update_bias(context_bias, context_bias_sums, j, g, learning_rate)", "pass")],
    "a gradient from its own row": [("lanes.multiply_add(g, y, nothing)", "lanes.multiply_add(g, x, nothing)")],
    "uphill": [("lanes.broadcast(-learning_rate)", "lanes.broadcast(learning_rate)")],
    "divided by the sum before": [("root(dx, x_sum)", "root(dx, lanes.load(a_sums, i, column))")],
    "the sum not kept": [("lanes.store(y_sum, b_sums, j, column)", "pass")],
}


@pytest.mark.parametrize("fault", GLOVE_FAULTS)
def test_a_wrong_cell_is_caught(fault):
    with pytest.raises(AssertionError):
        check_cell(kernel(adagrad, "fit_cells", GLOVE_FAULTS[fault]))
