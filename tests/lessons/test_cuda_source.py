"""A kernel's source is found in its file: whole, and nothing more."""

import pytest

from lessons import cuda_source
from lessons.cuda_source import locate, read
from lessons.kit import show_source

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
    float sum() const { return a + once(a); }
};

extern "C" __global__ void __launch_bounds__(256)
    kernel(float *x, int n) {
    if (once(n)) {
        x[0] = 1;  // }
    }
}
"""


def source(name):
    found = locate(TEXT, name)
    return TEXT[found.start : found.end + 1], TEXT[found.body : found.end]


def test_a_function_with_its_comment_and_its_template():
    whole, body = source("once")
    assert whole.startswith("// What it is for.\n// { a brace")
    assert "template <class T>\n__device__" in whole
    assert whole.endswith("other(x)); }")
    assert body == ' return call("}", other(x)); '


def test_a_kernel_on_two_lines():
    whole, body = source("kernel")
    assert whole.startswith('extern "C" __global__')
    assert body.startswith("\n    if (once(n))")
    assert body.endswith("    }\n")


def test_a_member():
    whole, body = source("Pair.sum")
    assert whole.startswith("    // Both.\n    float sum()")
    assert body == " return a + once(a); "


@pytest.mark.parametrize("name", ["call", "Pair.kernel", "Triple.sum"])
def test_what_is_not_there(name):
    with pytest.raises(ValueError, match=r"defined 0 times|no struct"):
        locate(TEXT, name)


def test_an_overload_is_not_guessed():
    with pytest.raises(ValueError, match="2 times"):
        locate("void f(int a) {}\nvoid f(float a) {}\n", "f")


def test_every_kernel_of_the_library_is_found():
    from minigrad.kernels.cuda.emulator import kernel_names

    files = sorted((cuda_source.ROOT / "minigrad/kernels/cuda").glob("*.cu"))
    assert len(files) > 10
    for file in files:
        text = file.read_text()
        for name in kernel_names(text):
            found = locate(text, name)
            assert "__global__" in text[found.start : found.body]
            assert text[found.end] == "}"
            assert text[found.end + 1 : found.end + 2] in ("\n", "")


def test_it_is_shown_with_its_place(capsys):
    place = "minigrad/kernels/cuda/matmul.cu:matmul_naive"
    show_source(place)
    shown = capsys.readouterr().out
    assert shown.startswith(f"// minigrad/kernels/cuda/matmul.cu, line {read(place)[1]}\n// --- 1: naive ---")
    assert shown.rstrip().endswith("}")
