"""Shapes taken apart at their edges: 0-d, empty, negative dims, sizes that do not fit."""

import numpy as np
import pytest

import minigrad as mg

ROW = mg.arange(4)

VALUES = {
    "roll 0-d": (lambda: mg.roll(mg.tensor(5), 3), 5),
    "roll nothing": (lambda: mg.roll(mg.zeros(0), 2, 0), np.zeros(0)),
    "roll beyond its size": (lambda: mg.roll(ROW, 5, -1), [3, 0, 1, 2]),
    "roll a matrix as if flat": (lambda: mg.roll(mg.tensor([[1, 2], [3, 4]]), 1), [[4, 1], [2, 3]]),
    "rot90 backwards": (lambda: mg.rot90(mg.tensor([[1, 2], [3, 4]]), -1), [[3, 1], [4, 2]]),
    "rot90 by negative dims": (lambda: mg.rot90(mg.tensor([[1, 2], [3, 4]]), 1, (-1, -2)), [[3, 1], [4, 2]]),
    "repeat 0-d": (lambda: mg.repeat_interleave(mg.tensor(7), 3), [7, 7, 7]),
    "repeat 0 times": (lambda: mg.repeat_interleave(ROW, 0), np.zeros(0)),
    "repeat, a number each": (lambda: mg.repeat_interleave(mg.tensor([[1, 2]]), mg.tensor([2, 0]), -1), [[1, 1]]),
    "tile with fewer dims": (lambda: mg.tile(mg.tensor([[1], [2]]), 2), [[1, 1], [2, 2]]),
    "movedim, negative": (lambda: mg.movedim(mg.zeros(2, 3, 4), -1, 0), np.zeros((4, 2, 3))),
    "t of a number": (lambda: mg.t(mg.tensor(3.0)), 3.0),
    "narrow to nothing": (lambda: mg.narrow(ROW, 0, 4, 0), np.zeros(0)),
    "narrow from the end": (lambda: mg.narrow(ROW, -1, -2, 2), [2, 3]),
    "select the last": (lambda: mg.select(ROW, 0, -1), 3),
    "unflatten with -1": (lambda: mg.unflatten(ROW, -1, (2, -1)), [[0, 1], [2, 3]]),
    "windows of all": (lambda: ROW.unfold(0, 4, 1), [[0, 1, 2, 3]]),
    "windows of a number": (lambda: mg.tensor(3).unfold(0, 1, 1), [3]),
    "a grid of a number": (lambda: mg.meshgrid(mg.tensor(1), mg.tensor([2, 3]))[0], [[1, 1]]),
    "a grid, xy": (lambda: mg.meshgrid(mg.tensor([1, 2]), mg.tensor([3, 4, 5]), indexing="xy")[0], [[1, 2]] * 3),
    "the choices from nothing": (lambda: mg.cartesian_prod(mg.arange(2), mg.arange(0)), np.zeros((0, 2))),
    "blocks, one a number": (lambda: mg.block_diag(mg.tensor(1.0), mg.tensor([[2.0, 3.0]])), [[1, 0, 0], [0, 2, 3]]),
}
REFUSED = {
    "roll": (lambda: mg.roll(ROW, (1, 2)), ValueError, "2 shifts without dims"),
    "roll 0-d": (lambda: mg.roll(mg.tensor(1), 1, 0), IndexError, "of a 0-d tensor; leave dims out"),
    "rot90": (lambda: mg.rot90(mg.ones(2, 2), 1, (1, -1)), ValueError, "are the same dimension"),
    "repeat, shape": (lambda: mg.repeat_interleave(ROW, mg.tensor([1, 2])), ValueError, r"expected \(4,\)"),
    "repeat, fractions": (lambda: mg.repeat_interleave(ROW, mg.ones(4)), TypeError, "use integers"),
    "repeat, negative": (lambda: mg.repeat_interleave(ROW, -1), ValueError, "must not be negative"),
    "movedim": (lambda: mg.movedim(mg.ones(2, 3), (0, 1), 0), ValueError, "2 sources, 1 destinations"),
    "t": (lambda: mg.t(mg.ones(1, 2, 3)), ValueError, "two dimensions at most"),
    "narrow": (lambda: mg.narrow(ROW, 0, 3, 2), IndexError, "do not fit dim 0 of size 4"),
    "select": (lambda: mg.select(ROW, 0, 4), IndexError, "4"),
    "unflatten": (lambda: mg.unflatten(ROW, 0, (3, -1)), ValueError, "do not multiply to dim 0"),
    "unfold": (lambda: ROW.unfold(0, 5, 1), ValueError, "sizes fit, steps are positive"),
    "meshgrid": (lambda: mg.meshgrid(mg.ones(2, 2)), ValueError, "expected one dimension"),
    "broadcast": (lambda: mg.broadcast_tensors(mg.ones(2), mg.ones(3)), ValueError, "do not go together"),
}


@pytest.mark.parametrize(("call", "expected"), VALUES.values(), ids=VALUES)
def test_values(call, expected):
    result = call()
    np.testing.assert_array_equal(result.data, expected)
    assert result.shape == np.shape(expected)


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_in_words(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_windows_that_overlap_add_their_gradients():
    x = mg.ones(4, requires_grad=True)
    x.unfold(-1, 2, 1).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [1.0, 2.0, 2.0, 1.0])
