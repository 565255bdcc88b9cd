"""The emulator suite sees what it is meant to see: mistakes planted in the .cu files are all caught.

A fault is a change of a file's text. It is caught if in one of the three orders of threads the emulator reports it,
or the result is not the reference's. To plant one in a new kernel, add a line to FAULTS, here or in a table beside.
"""

import copy
import shutil

import numpy as np
import pytest

from minigrad import kernels
from minigrad.kernels.cuda import compile, emulator, loader
from minigrad.kernels.cuda.emulator import library
from tests.minigrad.kernels.cuda import planted_attention_faults, planted_row_faults

pytestmark = pytest.mark.emulator


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


PROBABILITIES = kernels.softmax.implementations["reference"].load()(normal(5, 300))
LARGE = 60 + 40 * normal(3, 1025)  # e^100 overflows
LOGITS, TARGETS = normal(4, 1030), np.array([7, 1029, -100, 0])
LSE = np.log(np.exp(LOGITS).sum(1))
LOSS = ("cross_entropy", LOGITS, TARGETS, -100, 0.1, None)
LOSS_BACKWARD = ("cross_entropy_backward", normal(4), LOGITS, TARGETS, LSE, -100, 0.1, None)
WEIGHTED = ("cross_entropy_backward", normal(4), LOGITS, TARGETS, LSE, -100, 0.1, 1 + abs(normal(1030)))

# what is wrong, file, the text, what is planted instead, a call that must notice
FAULTS = [
    ("a missing barrier", "online.cuh", "        __syncthreads();\n        return (lane", "        return (lane",
     ("softmax", normal(3, 1025))),
    ("a missing barrier before shared memory is used again", "common.cuh",
     "    __syncthreads();  // before the next use of `shared`\n", "", ("three pass", normal(2, 400))),
    ("a missing barrier in a reduction", "common.cuh", "    __syncthreads();\n    x =", "    x =",
     ("softmax_backward", normal(2, 2048), normal(2, 2048))),
    ("half of the lanes reduced", "common.cuh", "int distance = WIDTH / 2;", "int distance = WIDTH / 4;",
     ("softmax", normal(5, 300))),
    ("a lane too few reduced", "online.cuh", "int distance = 16;", "int distance = 8;", ("softmax", normal(5, 301))),
    ("a warp too few reduced", "online.cuh", "lane < warps ?", "lane < warps - 1 ?", ("softmax", normal(3, 1025))),
    ("a tail one too long", "softmax.cu", "j < n; j += 32) y[j]", "j <= n; j += 32) y[j]",
     ("softmax", normal(4, 33))),
    ("a tail one too short", "softmax.cu", "j < n; j += 32) y[j]", "j < n - 1; j += 32) y[j]",
     ("softmax", normal(4, 33))),
    ("a tail read past the end", "softmax.cu", "j < n; j += 32) row.add", "j <= n; j += 32) row.add",
     ("softmax", normal(4, 33))),
    ("a row too many", "softmax.cu", "if (i >= rows) return;", "if (i > rows) return;", ("softmax", normal(5, 128))),
    ("a wrong stride between rows", "softmax.cu", "x += static_cast<long long>(i) * n;",
     "x += static_cast<long long>(i) * (n + 1);",
     ("softmax", normal(5, 300))),
    ("a wrong stride within a row", "softmax.cu", "j < n; j += 32) dx[j]", "j < n; j += 64) dx[j]",
     ("softmax_backward", normal(5, 300), PROBABILITIES)),
    ("the maximum not taken off", "online.cuh", "return maximum == -INFINITY ? 0 : maximum;", "return 0;",
     ("softmax", LARGE)),
    ("no new scale for a new maximum", "online.cuh", "sum = sum * expf(maximum - x) +", "sum = sum +",
     ("softmax", normal(4, 33))),
    ("masked entries not looked after", "online.cuh", "return maximum == -INFINITY ? 0 : maximum;", "return maximum;",
     ("softmax", np.where(np.arange(1025) < 900, -np.inf, normal(3, 1025)).astype(np.float32))),
    ("a missing mean in backward", "softmax.cu", "LOG ? g - expf(y) * sum : y * (g - sum)", "LOG ? g : y * g",
     ("log_softmax_backward", normal(5, 300), np.log(PROBABILITIES))),
    ("a sum instead of its logarithm", "softmax.cu", "LOG ? logf(sum) : 1 / sum", "LOG ? sum : 1 / sum",
     ("log_softmax", normal(5, 128))),
    ("the ignored row counted", "cross_entropy.cu", "if (target != ignore_index) {", "if (true) {", LOSS),
    ("no label smoothing", "cross_entropy.cu", "if (smoothing != 0) loss =", "if (false) loss =", LOSS),
    ("an ignored row left as it was", "cross_entropy.cu", "i += blockDim.x) dx[i] = 0;", "i += blockDim.x) {}",
     LOSS_BACKWARD),
    ("the target's own term missing", "cross_entropy.cu", "(i == target ? on_target : 0)", "0", LOSS_BACKWARD),
    ("one class's weight for all", "cross_entropy.cu", "weight_of(weight, i) +", "weight_of(weight, 0) +",
     WEIGHTED),
    ("the gradient not multiplied in", "cross_entropy.cu", "on_target *= grad, on_each *= grad;", "", LOSS_BACKWARD),
    ("a barrier for a part of the block", "cross_entropy.cu", "    if (threadIdx.x) return;\n",
     "    if (threadIdx.x) return;\n    __syncthreads();\n", LOSS),
    *planted_row_faults.FAULTS,
    *planted_attention_faults.FAULTS,
]  # fmt: skip


@pytest.fixture
def plant(tmp_path, monkeypatch):
    """Kernels from changed files, in this test only."""
    loader._load.cache_clear()
    monkeypatch.setattr(loader, "HERE", tmp_path)
    monkeypatch.setattr(library, "FAST", ["-O0"])  # most of the time goes into compiling
    for file in [*compile.HERE.glob("*.cu"), *compile.HERE.glob("*.cuh")]:
        shutil.copy(file, tmp_path)

    def plant(file, old, new):
        text = (tmp_path / file).read_text()
        assert old in text, f"{file} no longer has {old!r}: plant this fault again"
        (tmp_path / file).write_text(text.replace(old, new))

    yield plant
    loader._load.cache_clear()


def call(name, *arguments):
    if name == "three pass":  # the first step of the lesson, which no function uses
        x = arguments[0]
        y = loader.empty(x.shape, like=x)
        loader.load("softmax.cu").launch("softmax_three_pass", len(x), 64, (x, y, np.int32(x.shape[1])))
        return y
    with kernels.use("emulator"), kernels.strict():
        return results(getattr(kernels, name), arguments)


def expected(name, *arguments):
    reference = getattr(kernels, "softmax" if name == "three pass" else name).implementations["reference"].load()
    return results(reference, arguments)


def results(function, arguments):
    """What it returns, or, of an optimiser, what its first argument becomes."""
    arguments = copy.deepcopy(arguments)
    returned = function(*arguments)
    return arguments[0] if returned is None else returned


def is_right(actual, reference) -> bool:
    if isinstance(actual, (tuple, list)):
        return all(map(is_right, actual, reference))
    precision = 4e-3 if np.asarray(actual).dtype == np.float16 else 1e-4
    largest = np.max(np.abs(reference), where=np.isfinite(reference), initial=0)
    return np.allclose(actual, reference, rtol=precision, atol=1e-6 + 0.2 * precision * largest, equal_nan=True)


def is_caught(name, *arguments) -> bool:
    reference = expected(name, *arguments)
    for order in emulator.ORDERS:
        with emulator.order(order):
            try:
                if not is_right(call(name, *arguments), reference):
                    return True
            except emulator.EmulatorError:
                return True
    return False


@pytest.mark.parametrize(("file", "old", "new", "case"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_planted_fault_is_caught(plant, file, old, new, case):
    plant(file, old, new)
    assert is_caught(*case)


def test_without_a_fault_nothing_is_caught(plant):
    for name, *arguments in {id(f[4]): f[4] for f in FAULTS}.values():
        assert not is_caught(name, *arguments), name
