"""detect_anomaly: the first NaN or Inf, and the line that made it."""

import inspect

import numpy as np
import pytest

import minigrad as mg
from minigrad.function import Function, observers


def line_of(mark: str) -> int:
    """The number of this file's line that ends in `# mark`."""
    lines = inspect.getsource(inspect.getmodule(line_of)).splitlines()
    return next(i for i, line in enumerate(lines, 1) if line.endswith(f"  # {mark}"))


def expect(message: str, mark: str):
    return pytest.raises(mg.AnomalyError, match=f"(?s){message}.*test_anomaly.py:{line_of(mark)}: .*# {mark}$")


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


def test_forward_nan_names_the_line():
    x = mg.tensor([1.0, -1.0], requires_grad=True)
    with (
        expect(r"Log made the first NaN, 1 of 2 elements, the first at \[1\], from float32", "negative log"),
        mg.detect_anomaly(),
    ):
        y = mg.exp(x) * 0.0
        mg.log(y + x)  # negative log


def test_forward_inf():
    with expect("Div made the first Inf", "by zero"), mg.detect_anomaly():
        mg.ones(3) / mg.tensor([1.0, 0.0, 2.0])  # by zero


def test_backward_names_the_forward_line():
    x = mg.tensor([4.0, 0.0], requires_grad=True)
    with expect("rule of Sqrt made the first Inf, .* in the gradient of its input 0", "root"), mg.detect_anomaly():
        y = mg.sqrt(x)  # root
        (y * 2.0).sum().backward()


def test_a_nan_that_came_in_is_not_blamed_on_what_it_meets():
    x = mg.tensor([float("nan"), 1.0], requires_grad=True)
    with mg.detect_anomaly():
        (x * 2.0).sum().backward()


def test_masking_with_minus_infinity_is_fine():
    x = mg.randn(3, 4, requires_grad=True)
    with mg.detect_anomaly():
        mg.softmax(mg.masked_fill(x, np.arange(4) > 1, -np.inf)).sum().backward()


def test_a_row_of_minus_infinity_is_not():
    x = mg.randn(3, requires_grad=True)
    with expect("Softmax made the first NaN", "blind"), mg.detect_anomaly():
        masked = mg.masked_fill(x, np.ones(3, bool), -np.inf)
        mg.softmax(masked)  # blind


def test_inside_a_layer_the_users_line_is_named():
    from minigrad.checkpointing import checkpoint

    with expect("Log made the first NaN", "outermost"), mg.detect_anomaly():
        checkpoint(mg.log, mg.tensor([-1.0], requires_grad=True))  # outermost


def test_partial_gradients_are_looked_into():
    class Poison(Function):
        def forward(self, x):
            return x * 1

        def backward(self, grad):
            return grad * np.nan

    x = mg.ones(3, requires_grad=True)
    with expect("rule of Poison made the first NaN", "poison"), mg.detect_anomaly():
        Poison()(x[1:]).sum().backward()  # poison


def test_an_operation_that_raises_leaves_no_trace():
    with pytest.raises(ValueError, match="could not be broadcast"), mg.detect_anomaly():
        mg.ones(2) + mg.ones(3)
    assert not observers


def test_with_profile_and_nested():
    x = mg.ones(3, requires_grad=True)
    with mg.profile() as p, mg.detect_anomaly(), mg.detect_anomaly():
        (x * 2.0).sum().backward()
    assert [row["name"] for row in p.rows()[:-1]].count("Mul") == 1
    assert not observers
