"""`minigrad emulate`."""

import re

import pytest

from minigrad.kernels.cuda import emulator
from models.commands.cli import main as minigrad
from models.commands.emulate import main
from models.errors import UserError

pytestmark = pytest.mark.emulator

SOFTMAX = """// A softmax of each row, one block per row.
// emulate: --grid 4 --block 64
// emulate: --arg "x=randn(4, 100)" --arg "y=zeros(4, 100)" --arg n=100
__global__ void softmax(const float *x, float *y, int n) {
    __shared__ float partial[64];
    float maximum = -1e30f, sum = 0;
    x += blockIdx.x * n;
    y += blockIdx.x * n;
    for (int i = threadIdx.x; i < n; i += blockDim.x) maximum = fmaxf(maximum, x[i]);
    partial[threadIdx.x] = maximum;
    __syncthreads();
    for (int width = blockDim.x / 2; width > 0; width /= 2) {
        if (threadIdx.x < width) partial[threadIdx.x] = fmaxf(partial[threadIdx.x], partial[threadIdx.x + width]);
        __syncthreads();
    }
    maximum = partial[0];
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += expf(x[i] - maximum);
    partial[threadIdx.x] = sum;
    __syncthreads();
    for (int width = blockDim.x / 2; width > 0; width /= 2) {
        if (threadIdx.x < width) partial[threadIdx.x] += partial[threadIdx.x + width];
        __syncthreads();
    }
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = expf(x[i] - maximum) / partial[0];
}
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "softmax.cu").write_text(text)
        return str(tmp_path / "softmax.cu")

    return write


def test_a_kernel_that_is_right(write, capsys):
    assert main([write(SOFTMAX)]) == 0
    output = capsys.readouterr().out
    assert "softmax <<<(4, 1, 1), (64, 1, 1)>>>" in output
    assert re.search(r"y +float32\[4, 100\]  min 0\.000\d+  max 0\.\d+  mean 0\.01  first 0\.", output)
    assert "x  " not in output  # it is const
    assert output.endswith("no problem found\n")


def test_a_missing_barrier(write, capsys):
    first, barrier = "    maximum = partial[0];\n", "    __syncthreads();\n"
    assert main([write(SOFTMAX.replace(first + barrier, first))]) == 1
    output = capsys.readouterr().out
    race = "softmax.cu:16: race: block (0, 0, 0), thread (1, 0, 0) reads element 0 of partial, "
    assert f"{race}thread (0, 0, 0) writes it in softmax.cu:18, and no barrier lies between" in output


def test_a_read_out_of_bounds(write, capsys):
    assert main([write(SOFTMAX.replace("i < n; i += blockDim.x) maximum", "i <= n; i += blockDim.x) maximum"))]) == 1
    output = capsys.readouterr().out
    assert (
        "softmax.cu:9: out of bounds: block (3, 0, 0), thread (36, 0, 0) reads element 400 of x, which has 400"
        in output
    )
    assert "no problem" not in output


def test_shared_memory_that_nobody_wrote(write, capsys):
    assert (
        main(
            [write(SOFTMAX.replace("    partial[threadIdx.x] = sum;\n", "").replace("[64]", "[128]")), "--block", "128"]
        )
        == 0
    )
    assert main([write(SOFTMAX.replace("    partial[threadIdx.x] = maximum;\n", ""))]) == 1
    assert "softmax.cu:12: uninitialised: " in capsys.readouterr().out


def test_a_divergent_barrier(write, capsys):
    assert (
        main([write(SOFTMAX.replace("    float maximum", "    if (threadIdx.x >= n / 2) return;\n    float maximum"))])
        == 1
    )
    output = capsys.readouterr().out
    assert "divergent barrier" in output
    assert "14 threads, the first thread (50, 0, 0), have ended" in output


def test_a_result_that_depends_on_the_order(write, capsys):
    source = "__global__ void k(float *y) { if (threadIdx.x == 0) y[0] = blockIdx.x; }"
    assert main([write(source), "--grid", "2", "--arg", "y=zeros(1)"]) == 1
    assert "y is another if threads and blocks run in reverse order" in capsys.readouterr().out


def test_options_of_the_command_line_come_last(write, capsys):
    file = write(SOFTMAX)
    assert (
        main([file, "--grid", "2", "--arg", "x=randint(5, 2, 10)", "--arg", "y=full(7, 2, 10)", "--arg", "n=10"]) == 0
    )
    assert "softmax <<<(2, 1, 1)" in capsys.readouterr().out


def test_templates_constants_and_all_kinds_of_arguments(write, capsys):
    source = """
struct bf16 { unsigned short bits; };
template <int N>
__global__ void k(const bf16 *x, const long long *ids, double *y, float scale, const float *none, bool flag) {
    extern __shared__ double tile[];
    tile[threadIdx.x] = none || !flag ? 0 : scale * ids[threadIdx.x] + N + PLUS + x[threadIdx.x].bits;
    y[threadIdx.x] = tile[threadIdx.x];
}
"""
    arguments = ["x=ones(4)", "ids=arange(4)", "y=rand(4)", "scale=0.5", "none=null", "flag=1"]
    options = [each for argument in arguments for each in ("--arg", argument)]
    command = [write(source), "--kernel", "k<3>", "--block", "4", "--shared", "32", "--define", "PLUS=2", *options]
    assert main(command) == 0
    bits = 0x3F80  # of 1
    assert f"first {bits + 5} {bits + 5.5} {bits + 6} {bits + 6.5}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kernel", "softmin"], "does not compile"),
        (["--arg", "z=1"], "softmax has no parameter 'z'; it has x, y, n"),
        (["--arg", "x=randn(3"], r"--arg x=randn\(3: expected a number, null, or an array"),
        (["--arg", "x=random(3)"], r"expected a number, null, or an array: zeros\(4, 256\)"),
        (["--arg", "x=1"], "--arg x=1: the parameter is an array"),
        (["--arg", "n=zeros(3)"], "the parameter is a number"),
        (["--arg", "n"], "--arg n: expected NAME=VALUE"),
        (["--block", "64,32"], "2048 threads; a GPU takes 1 to 1024"),
    ],
)
def test_wrong_options(write, options, message):
    with pytest.raises(UserError, match=message):
        main([write(SOFTMAX), *options])


def test_a_missing_argument_is_asked_for(write):
    source = "__global__ void k(float *y, int n) {}"
    with pytest.raises(UserError, match=r"k: give --arg n=\.\.\.; VALUE is a number"):
        main([write(source), "--arg", "y=zeros(3)"])


def test_files_that_will_not_do(write, capsys):
    assert minigrad(["emulate", "nowhere.cu"]) == 2
    assert "minigrad: nowhere.cu cannot be read" in capsys.readouterr().err
    assert minigrad(["emulate", write("int x;")]) == 2
    assert "has no kernel" in capsys.readouterr().err
    assert minigrad(["emulate", write("__global__ void k(float *x) {\n    x[0] = y;\n}")]) == 2
    error = capsys.readouterr().err
    assert "softmax.cu:2:" in error
    assert "does not compile" in error


def test_host_code_is_told_from_kernels(write, capsys):
    file = write("#include <cuda_runtime.h>\n__global__ void k(float *x) { x[0] = 1; }\n")
    assert main([file, "--block", "1", "--arg", "x=zeros(1)"]) == 0
    with pytest.raises(UserError, match=r"starts kernels itself \(<<<\.\.\.>>>\): leave only kernels"):
        main([write("__global__ void k(float *x) {}\nint main() { k<<<1, 1>>>(nullptr); }\n")])


def test_the_help_shows_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert '// emulate: --grid 4 --block 64 --arg "x=randn(4, 100)"' in capsys.readouterr().out


def test_without_a_compiler(write, monkeypatch, capsys):
    def missing():
        raise emulator.CompilerMissing("install one")

    monkeypatch.setattr("minigrad.kernels.cuda.emulator.library.compiler", missing)
    assert minigrad(["emulate", write(SOFTMAX.replace("100", "101"))]) == 2
    assert "minigrad: install one" in capsys.readouterr().err
