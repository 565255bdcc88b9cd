"""A kernel's source is found in its file: with its comment, whole, and nothing more."""

import re

import pytest

from lessons.material import cuda_source
from lessons.material.cuda_source import read
from lessons.material.kit import show_source
from minigrad.kernels.cuda.emulator import kernel_names

FOLDER = "minigrad/kernels/cuda"
TEXT = """\
#include "a.cuh"
#define TWICE(x) \\
    { x x }

// What it is for.
// { a brace in a comment
template <class T>
__device__ float once(T x) { return call("}", other(x)); }

struct Pair {
    float a;
    // Both.
    __device__ float sum() const { return a + once(a); }
};

constexpr int N = 3;
extern "C" __global__ void __launch_bounds__(256)
    kernel(float *x, int n) {
    if (once(n)) {
        x[0] = 1;  // }
    }
}
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(cuda_source, "ROOT", tmp_path)
    (tmp_path / "file.cu").write_text(TEXT)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("once", 5, 8), ("Pair::sum", 12, 13), ("kernel", 17, 22)],
)
def test_from_its_comment_to_its_last_brace(file, name, first, last):
    source, line = read(f"file.cu:{name}")
    assert line == first
    assert source.splitlines() == TEXT.splitlines()[first - 1 : last]


def test_every_kernel_of_the_library_is_found():
    files = sorted((cuda_source.ROOT / FOLDER).glob("*.cu"))
    assert len(files) > 10
    for path in files:
        for name in kernel_names(path.read_text()):
            source, _ = read(f"{FOLDER}/{path.name}:{name}")
            assert len(re.findall("__global__", source)) == 1
            assert source.endswith("}\n")


def test_it_is_shown_with_its_place(capsys):
    place = f"{FOLDER}/matmul.cu:matmul_naive"
    show_source(place)
    shown = capsys.readouterr().out
    assert shown.startswith(f"// {FOLDER}/matmul.cu, line {read(place)[1]}\n// --- 1: naive ---")
    assert shown.rstrip().endswith("}")
