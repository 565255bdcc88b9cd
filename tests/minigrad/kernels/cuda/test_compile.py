"""Every .cu file compiles for every architecture it is meant for, and no kernel spills its registers."""

import subprocess
import sys

import pytest

from minigrad.kernels.cuda import compile

FILES = sorted(compile.HERE.glob("*.cu"))
pytestmark = pytest.mark.nvcc


def check(jobs):
    text, spilling = compile.table(jobs)
    print(text)  # seen with pytest -s, or if this fails
    assert not spilling, text
    assert {job[2] for job in jobs} <= set(text.split())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_version_for_hopper_compiles_without_spills(path):
    check([next(job for job in compile.jobs([path]) if job[2].startswith("sm_90"))])


@pytest.mark.slow  # minutes, the first time
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_version_compiles_without_spills(path):
    check(compile.jobs([path]))


def test_a_file_says_what_to_compile(tmp_path):
    path = tmp_path / "k.cu"
    path.write_text("// compile: TILE=16\n// compile: TILE=32 HEAD=64\n// needs: sm_80\n")
    assert compile.versions(path) == [
        ("sm_80", {"TILE": "16"}),
        ("sm_80", {"TILE": "32", "HEAD": "64"}),
        ("sm_90", {"TILE": "16"}),
        ("sm_90", {"TILE": "32", "HEAD": "64"}),
    ]
    path.write_text("// needs: sm_90a\n")
    assert compile.versions(path) == [("sm_90a", {})]
    path.write_text("")
    assert compile.versions(path) == [(architecture, {}) for architecture in compile.ARCHITECTURES]


SPILLS = """
extern "C" __global__ void __launch_bounds__(1024) hungry(float *x) {
    float v[200];
    for (int i = 0; i < 200; i++) v[i] = x[i * 1024 + threadIdx.x];
    __syncthreads();
    for (int k = 0; k < 100; k++) {
#pragma unroll
        for (int i = 0; i < 200; i++) v[i] = v[i] * v[(i + 7) % 200] + v[(i + 31) % 200];
        __syncthreads();
    }
    for (int i = 0; i < 200; i++) x[i * 1024 + threadIdx.x] = v[i];
}
"""


def test_a_kernel_that_spills_is_named(tmp_path):
    path = tmp_path / "hungry.cu"
    path.write_text("// needs: sm_90\n" + SPILLS)
    command = [sys.executable, "-m", "minigrad.kernels.cuda.compile", path]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert "1 kernels spill registers" in result.stderr
    assert "hungry" in result.stdout


def test_an_error_is_the_compilers(tmp_path):
    path = tmp_path / "wrong.cu"
    path.write_text('extern "C" __global__ void k(float *x) { x[0] = missing; }\n')
    with pytest.raises(compile.CompileError, match=r"wrong\.cu.*\n*.*missing"):
        compile.cubin(path, {}, "sm_80")


def test_a_cubin_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    arguments = compile.HERE / "cross_entropy.cu", {}, "sm_80"
    first, usage = compile.cubin(*arguments)
    assert first.read_bytes()[:4] == b"\x7fELF"
    written = first.stat().st_mtime_ns
    assert compile.cubin(*arguments) == (first, usage)
    assert first.stat().st_mtime_ns == written


def test_hopper_s_own_instructions_are_asked_for(tmp_path):
    path = tmp_path / "k.cu"
    path.write_text("// needs: sm_90a\n")
    assert compile.architecture_for(path, "90") == "sm_90a"
    assert compile.architecture_for(compile.HERE / "softmax.cu", "90") == "sm_90"
