"""x.exp_() and similar methods: the function's values in the same memory, with its gradient; random numbers."""

import inspect

import numpy as np
import pytest

import minigrad as mg
from minigrad.overwriting import Overwriting

DRAWN = {"uniform_", "normal_", "bernoulli_", "fill_diagonal_"}
ALIASES = {"clip_", "divide_", "multiply_", "subtract_"}
WRITTEN = sorted(name for name in vars(Overwriting) if not name.startswith("_") and name not in DRAWN | ALIASES)
NUMBER = ["floor_divide_", "fmod_", "remainder_"]
X = np.array([[0.25, 0.5, 0.75], [1.25, 1.5, 1.75]])
INDEX = np.array([1, 0])


def arguments(name: str) -> tuple:
    """What the method takes besides x."""
    other = mg.tensor(X + 1)
    return {
        "addcdiv_": (other, other),
        "addcmul_": (other, other),
        "cumsum_": (1,),
        "lerp_": (other, 0.25),
        "index_add_": (0, mg.tensor(INDEX), other),
        "index_copy_": (0, mg.tensor(INDEX), other),
        "index_fill_": (0, mg.tensor([1]), 2.0),
        "masked_scatter_": (other > 2, other),
        "scatter_": (1, mg.tensor([[1], [2]]), other),
        "scatter_add_": (1, mg.tensor([[1], [2]]), other),
    }.get(name, (0.7,) if name in NUMBER else ())


@pytest.mark.parametrize("name", WRITTEN)
def test_writes_what_the_function_gives(name):
    x = mg.tensor(X)
    memory = x.data
    expected = getattr(mg, name[:-1])(mg.tensor(X), *arguments(name)).data
    assert getattr(x, name)(*arguments(name)) is x
    np.testing.assert_array_equal(memory, expected)
    assert name[:-1] in inspect.getdoc(getattr(mg.Tensor, name))


@pytest.mark.parametrize("name", [n for n in WRITTEN if n not in ("ceil_", "floor_", "round_", "sign_", "trunc_")])
def test_carries_the_gradient(name):
    if name == "floor_divide_":
        pytest.skip("has none")
    leaf = mg.tensor(X, requires_grad=True)
    y = getattr(mg, name[:-1])(leaf * 1.0, *arguments(name))
    (expected,) = mg.grad((y * y).sum(), leaf)
    z = leaf * 1.0
    getattr(z, name)(*arguments(name))
    (found,) = mg.grad((z * z).sum(), leaf)
    np.testing.assert_allclose(found.data, expected.data)


def test_a_leaf_is_written_to_under_no_grad_only():
    x = mg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="exp_"):
        x.exp_()
    with mg.no_grad():
        x.exp_()
    np.testing.assert_allclose(x.data, np.e, rtol=1e-6)


def test_random_numbers_are_written():
    mg.manual_seed(0)
    x = mg.empty(200, 200)
    memory = x.data
    assert x.normal_(3.0, 2.0) is x
    assert memory.mean() == pytest.approx(3, abs=0.05)
    assert memory.std() == pytest.approx(2, abs=0.05)
    x.uniform_(-1, 3)
    assert -1 <= memory.min() < -0.99
    assert 2.99 < memory.max() <= 3
    x.bernoulli_(0.25)
    assert set(np.unique(memory)) == {0, 1}
    assert memory.mean() == pytest.approx(0.25, abs=0.02)
    first, second = (mg.zeros(3).normal_(generator=mg.Generator().manual_seed(4)).tolist() for _ in range(2))
    assert first == second


def test_aliases():
    assert mg.Tensor.clip_ is mg.Tensor.clamp_
    assert mg.tensor([3.0]).subtract_(1).multiply_(4).divide_(2).item() == 4


def test_diagonal_is_filled():
    x = mg.zeros(2, 3)
    np.testing.assert_array_equal(x.fill_diagonal_(5).data, [[5, 0, 0], [0, 5, 0]])


REFUSED = {
    "integers": (lambda: mg.zeros(2, dtype=mg.long).normal_(), TypeError, "int64"),
    "exp of integers": (lambda: mg.ones(2, dtype=mg.long).exp_(), TypeError, "exp_.*float32.*int64"),
    "std": (lambda: mg.zeros(2).normal_(0, -1), ValueError, "std=-1"),
    "range": (lambda: mg.zeros(2).uniform_(2, 1), ValueError, "from 2 to 1"),
    "p": (lambda: mg.zeros(2).bernoulli_(1.5), ValueError, "p=1.5"),
    "diagonal": (lambda: mg.zeros(2).fill_diagonal_(1), ValueError, "expected a matrix"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        call()
