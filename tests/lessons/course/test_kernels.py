"""Exercises whose functions Python never enters: a kernel that numba compiles, and one in CUDA C."""

import pytest

from lessons.course.exercises import Course
from lessons.course.judging import Limits
from lessons.course.proving import prove
from tests.lessons.course import toy

TESTS = """
import numpy as np

import minigrad as mg
from minigrad import kernels
from tests.lessons.exercises.expect import close

X = np.random.default_rng(0).normal(size=(9, 40)).astype(np.float32)
EXPECTED = np.exp(X) / np.exp(X).sum(-1, keepdims=True)


class TestNumba:
    def test_softmax(self):
        with kernels.use("numba"):
            close(kernels.softmax(X), EXPECTED, "softmax of nine rows")


class TestCuda:
    def test_softmax(self):
        with kernels.use("emulator"):
            close(kernels.softmax(X[:, :37].copy()), EXPECTED[:, :37] / EXPECTED[:, :37].sum(-1, keepdims=True), "x")
"""

COURSE = """
[[exercise]]
number = "1.1"
title = "A kernel in numba"
write = ["minigrad.kernels.cpu.softmax:_softmax"]
points = 1
minutes = 5
tests = ["tests/lessons/exercises/test_kernels.py::TestNumba"]

[[exercise]]
number = "2.1"
title = "A kernel in CUDA C"
write = ["minigrad/kernels/cuda/softmax.cu:softmax_warp"]
points = 1
minutes = 5
tests = ["tests/lessons/exercises/test_kernels.py::TestCuda"]
"""

WRONG_ANSWERS = """
[["1.1"]]
mistake = "forgets to divide"
replace = "y[i, j] *= factor"
by = "y[i, j] *= np.float32(1)"
"""


@pytest.fixture
def course(tmp_path):
    toy.write(tmp_path)
    (tmp_path / "tests" / "lessons" / "exercises" / "test_kernels.py").write_text(TESTS)
    (tmp_path / "lessons" / "course.toml").write_text(COURSE)
    (tmp_path / "lessons" / "wrong_answers.toml").write_text(WRONG_ANSWERS)
    return Course(tmp_path)


@pytest.mark.slow
def test_numba(course):
    (proof,) = prove(course, course.of("1.1"), 1, Limits())
    assert proof.caught == 1
    assert proof.problems == ["1 mistakes are planted; expected at least 3"]


@pytest.mark.slow
@pytest.mark.emulator
def test_cuda(course):
    (proof,) = prove(course, course.of("2.1"), 1, Limits())
    assert proof.problems == ["0 mistakes are planted; expected at least 3"]
