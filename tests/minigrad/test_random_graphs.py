"""Random programs, with views, writes in place, 0-d tensors and mixed dtypes: their gradients are right or refused.

Without torch the oracle is the difference quotient in float64; with it (-m parity) PyTorch. MINIGRAD_GRAPHS sets how
many programs are run, 200 by default.
"""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.tensor import Tensor
from tests.support.programs import Program, is_refusal

COUNT = int(os.environ.get("MINIGRAD_GRAPHS", "200"))


def run(program: Program, m, inputs) -> tuple[float, list] | None:
    """The loss and the gradients, zero where nothing flows; None where the library refuses in words."""
    try:
        loss = program.loss(m, inputs)
        if getattr(loss, "requires_grad", False):
            loss.backward()
    except (RuntimeError, ValueError) as error:
        if is_refusal(error):
            return None
        raise
    grads = [np.zeros(tuple(x.shape)) if x.grad is None else np.asarray(x.grad.detach()) for x in inputs]
    return float(loss), grads


def difference_quotients(program: Program) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The gradients from values alone, without recording; and where two step sizes agree, so that there is one."""

    def loss(inputs) -> float:
        with mg.no_grad():
            return float(program.loss(mg, [Tensor(x) for x in inputs]))

    found, smooth = [], []
    for i, x in enumerate(program.inputs):
        grads = np.zeros((2, *x.shape))
        for place in np.ndindex(x.shape):
            for k, eps in enumerate((1e-5, 1e-6)):
                ends = []
                for step in (eps, -eps):
                    moved = [a.copy() for a in program.inputs]
                    moved[i][place] += step
                    ends.append(loss(moved))
                grads[(k, *place)] = (ends[0] - ends[1]) / (2 * eps)
        found.append(grads[0])
        smooth.append(np.abs(grads[0] - grads[1]) <= 1e-5 * (1 + np.abs(grads[0])))
    return found, smooth


def run_seed(seed: int) -> str:
    """Compare one program in float64 with its difference quotients: "right", "refused" or "too coarse"."""
    program = Program(seed)
    ours = run(program, mg, [Tensor(x, requires_grad=True) for x in program.inputs])
    if ours is None:
        return "refused"
    if not abs(ours[0]) < 1e5 or "float32" in repr(program):  # as where(condition, 0.5, …) of booleans is
        return "too coarse"
    for grad, expected, smooth in zip(ours[1], *difference_quotients(program), strict=True):
        scale = 1 + np.abs(expected).max(initial=0)
        np.testing.assert_allclose(grad[smooth], expected[smooth], rtol=1e-4, atol=1e-5 * scale, err_msg=repr(program))
    return "right"


@settings(max_examples=COUNT)
@given(st.integers(0, 2**32 - 1))
def test_random_programs_agree_with_finite_differences(seed):
    run_seed(seed)


def test_most_random_programs_are_not_refused():
    found = [run_seed(seed) for seed in range(60)]
    assert found.count("right") > 40


@pytest.mark.parity
@settings(max_examples=COUNT)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_random_programs_agree_with_torch(seed, mixed):
    torch = pytest.importorskip("torch")
    program = Program(seed, dtypes=(np.float64, np.float32) if mixed else (np.float64,), beside_torch=True)
    ours = run(program, mg, [Tensor(x.copy(), requires_grad=True) for x in program.inputs])
    theirs = run(program, torch, [torch.tensor(x, requires_grad=True) for x in program.inputs])
    if ours is None or theirs is None or not abs(theirs[0]) < 1e5:
        return
    single = "float32" in repr(program)  # as where(condition, 0.5, …) gives it of booleans, too
    rtol, atol = (5e-2, 5e-2) if "half" in repr(program) else (2e-3, 2e-4) if single else (1e-8, 1e-9)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=rtol, atol=atol, err_msg=repr(program))
    for grad, expected in zip(ours[1], theirs[1], strict=True):
        assert (grad.shape, grad.dtype) == (expected.shape, expected.dtype)
        scale = 1 + np.abs(expected).max(initial=0)
        np.testing.assert_allclose(grad, expected, rtol=rtol, atol=atol * scale, err_msg=repr(program))
