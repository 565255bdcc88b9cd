"""`minigrad bench kernels`: every kernel is in it, timed on arguments it takes, with the right work counted."""

import numpy as np
import pytest

from minigrad import kernels
from minigrad.kernels import Kernel
from models.commands import bench
from models.errors import UserError

KERNELS = sorted(
    name for name, value in vars(kernels).items() if isinstance(value, Kernel) and "numba" in value.implementations
)
SMALLEST = {case.kernel: case for case in reversed(list(bench.cases()))}  # each kernel's first case


@pytest.fixture
def brief(monkeypatch):
    monkeypatch.setattr(bench, "RUN_SECONDS", 1e-9)
    monkeypatch.setattr(bench, "ROUNDS", 1)


def test_every_kernel_has_a_case():
    assert sorted(SMALLEST) == KERNELS


@pytest.mark.parametrize("name", KERNELS)
def test_a_case_runs_in_every_implementation(name, brief):
    timed = bench.measure(SMALLEST[name])
    assert {"reference", "numba"} <= set(timed.seconds)
    assert all(seconds > 0 for seconds in timed.seconds.values())
    assert timed.moved > 0
    assert timed.rate("numba").endswith("GFLOP/s" if timed.case.flops else "GB/s")


def test_work_and_ratios():
    case = bench.Case("matmul", "2×3×4", lambda r: (np.ones((2, 3)), np.ones((3, 4))), flops=48e9)
    timed = bench.Measurement(case, {"reference": 4.0, "numba": 2.0}, moved=10)
    assert timed.rate("numba") == "24.0 GFLOP/s"
    assert timed.times_faster("numba", "reference") == "2.00×"
    assert timed.times_faster("numba", "blas") == ""


def test_bytes_are_those_of_arguments_and_result(brief):
    timed = bench.measure(bench.Case("softmax", "", lambda r: (np.ones((64, 64), np.float32),)))
    assert timed.moved == 2 * 64 * 64 * 4


def test_the_table(brief, capsys, monkeypatch):
    monkeypatch.setattr(bench, "cases", lambda: [SMALLEST["matmul"], SMALLEST["scale"]])
    assert bench.main(["kernels"]) == 0
    output = capsys.readouterr().out
    assert "matmul" in output
    assert "scale" in output
    assert "vs BLAS" in output
    assert bench.main(["kernels", "scale"]) == 0
    assert "matmul" not in capsys.readouterr().out


def test_bad_usage(capsys):
    with pytest.raises(UserError, match="no kernel 'softmx': there are matmul, "):
        bench.main(["kernels", "softmx"])
    with pytest.raises(SystemExit) as stop:
        bench.main([])
    assert stop.value.code == 2
