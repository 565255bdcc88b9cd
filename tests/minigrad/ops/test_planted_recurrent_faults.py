"""Wrong gradients planted in the fused LSTM, as changes to its source: every one must be caught.

In the reference, which float64 runs through, gradcheck has to see them; in the numba kernel, the
comparison with the reference.
"""

import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad import kernels
from minigrad.kernels.reference import recurrent as reference
from tests.minigrad.kernels.test_recurrent import calls

# fmt: off
REFERENCE_FAULTS = {
    "no gradient through time": ("dh[rows] = dgates[step] @ weight", "dh[rows] = 0"),
    "weight transposed": ("dh[rows] = dgates[step] @ weight", "dh[rows] = (dgates[step].reshape(-1, 4, n) @ weight.reshape(4, n, n).swapaxes(1, 2)[0]).sum(1)"),  # noqa: E501
    "no gradient through the cell": ("dc[rows] = dc_t * f", "dc[rows] = 0"),
    "forget gate forgotten": ("dc[rows] = dc_t * f", "dc[rows] = dc_t"),
    "output's gradient only at the last step": ("dh_t = dh[rows] + grad[step]", "dh_t = dh[rows]"),
    "tanh of the cell without its slope": ("dh_t * o * (1 - tanh_c * tanh_c)", "dh_t * o"),
    "slope of a sigmoid for the tanh": ("dg * (1 - g * g)", "dg * g * (1 - g)"),
    "forget and input exchanged": ("dc_t * g, dc_t * earlier[step]", "dc_t * earlier[step], dc_t * g"),
    "cell of this step, not the one before": ("dc_t * earlier[step]", "dc_t * cells[step]"),
    "wrong direction": ("steps(sizes, not reverse)", "steps(sizes, reverse)"),
    "weight gradient from this step's h": ("previous(h0, output, sizes, reverse)", "output"),
    "weight gradient in the wrong direction": ("previous(h0, output, sizes, reverse)", "previous(h0, output, sizes, not reverse)"),  # noqa: E501
    "factor 2": ("return dgates, dh", "return dgates * 2, dh"),
}
NUMBA_FAULTS = {
    "forget gate forgotten": ("    _multiply_by(f, dc)\n", ""),
    "output gate left out": ("dc[u] += dh[u] * o[u] *", "dc[u] += dh[u] *"),
    "slope of the tanh of the cell": ("(ONE - tanh_c[u] * tanh_c[u])", "(ONE - tanh_c[u])"),
}
# fmt: on


def planted(source: str, fault: tuple[str, str]) -> str:
    right, wrong = fault
    assert source.count(right) == 1, f"{right!r} occurs {source.count(right)} times: the fault no longer fits"
    return source.replace(right, wrong)


def check(reverse):
    random = np.random.default_rng(0)
    gates, h0, c0, weight = (
        mg.tensor(random.standard_normal(shape), requires_grad=True) for shape in ((6, 12), (3, 3), (3, 3), (12, 3))
    )
    mg.gradcheck(lambda *inputs: mg.cat(mg.lstm(*inputs, [3, 2, 1], reverse)), [gates, h0, c0, weight])


@pytest.mark.parametrize("reverse", [False, True])
def test_the_right_rule_passes(reverse):
    check(reverse)


@pytest.mark.parametrize("fault", REFERENCE_FAULTS)
def test_gradcheck_catches_it(fault, monkeypatch):
    namespace = dict(vars(reference))
    exec(planted(inspect.getsource(reference.lstm_backward), REFERENCE_FAULTS[fault]), namespace)
    monkeypatch.setattr(kernels, "lstm_backward", namespace["lstm_backward"])
    with pytest.raises(mg.GradcheckError):
        check(reverse=False)


@pytest.mark.slow
@pytest.mark.parametrize("fault", NUMBA_FAULTS)
def test_the_comparison_with_the_reference_catches_it(fault, tmp_path, monkeypatch):
    kernels.lstm.implementations["numba"].load()
    from minigrad.kernels.cpu import recurrent, recurrent_cells

    path = tmp_path / "lstm_with_a_fault.py"
    path.write_text(planted(Path(recurrent_cells.__file__).read_text(encoding="utf-8"), NUMBA_FAULTS[fault]))
    spec = importlib.util.spec_from_file_location("lstm_with_a_fault", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(recurrent, "cells_of", module)
    (arguments,) = (a for name, a in calls(20, [5, 3, 3, 1], False) if name == "lstm_backward")
    right, wrong = reference.lstm_backward(*arguments), recurrent.lstm_backward(*arguments)
    assert max(np.abs(r - w).max() for r, w in zip(right, wrong, strict=True)) > 1e-2
