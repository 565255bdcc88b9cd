"""`minigrad doctor`: it looks at the machine, and its advice follows from what it found."""

import copy
import json
import platform
import sys
from unittest.mock import Mock

import numpy as np
import pytest

from models.commands import doctor
from tests.support import fake_cupy


@pytest.fixture(scope="module")
def report():
    return doctor.examine()


def test_it_sees_what_is_there(report):
    assert report["versions"]["python"] == platform.python_version()
    assert report["versions"]["numpy"] == np.__version__
    assert report["processor"]["name"]
    assert 1 <= report["processor"]["cores this process may use"] <= report["processor"]["cores"]
    assert report["threads"]["numba threads"] >= 1
    assert report["threads"]["BLAS"]
    assert report["threads"]["interference"] > 0
    assert report["storage"]["free here"] > 0


def test_json_and_text_say_the_same(report, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "examine", lambda: report)
    assert doctor.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == report
    assert doctor.main([]) == 0
    output = capsys.readouterr().out
    assert np.__version__ in output
    assert all(line in output for line in report["advice"])
    assert "None" not in output


WELL = {
    "versions": dict.fromkeys((*doctor.PACKAGES, "ml_dtypes"), "1.0"),
    "threads": {"interference": 1.0},
    "gpu": {"driver": "H200", "driver's CUDA": "13.0", "cupy": True, "device": "H200", "problem": None}
    | {"compiler problem": None},
    "compilers": {"g++": "g++ 12", "nvcc": "13.0"},
    "storage": {"free here": 1e12, "free for the data cache": 1e12},
}


@pytest.mark.parametrize(
    ("section", "entry", "value", "advice"),
    [
        ("versions", "regex", None, "not installed: regex; run "),
        ("threads", "interference", 12.0, "slow each other down 12.0 times"),
        ("gpu", "cupy", False, "there is a GPU but no cupy: "),
        ("gpu", "problem", "driver too old", "cupy cannot use the GPU: driver too old"),
        ("gpu", "compiler problem", "no nvrtc", "cannot be compiled for the GPU: no nvrtc. "),
        ("versions", "ml_dtypes", None, "no ml_dtypes, which bfloat16 needs"),
        ("compilers", "g++", None, "install a C++ compiler"),
        ("compilers", "nvcc", None, "no nvcc: not needed"),
        ("storage", "free here", 5e8, "the disk is nearly full: free here 500 MB"),
    ],
)
def test_advice_names_what_is_wrong(section, entry, value, advice):
    assert doctor.advice(WELL) == []
    ill = copy.deepcopy(WELL)
    ill[section][entry] = value
    (line,) = doctor.advice(ill)
    assert advice in line


# Machines without a GPU that can be used: what the doctor finds, and what it says to do.

INSUFFICIENT = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"


def smi(monkeypatch, heading: str | None):
    """A machine with NVIDIA's driver, or, for None, without."""
    monkeypatch.setattr(doctor, "_first_line", lambda *command: "NVIDIA H200, 570.1, 143771 MiB" if heading else None)
    monkeypatch.setattr(doctor, "_cuda_of_driver", lambda: heading)


def said(packages: dict | None = None) -> str:
    return " / ".join(doctor.gpu_advice(doctor.gpu(), packages or {"ml_dtypes": "1"}))


def test_no_gpu_and_no_cupy(monkeypatch):
    smi(monkeypatch, None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    assert said() == "no NVIDIA GPU, or no driver for it: everything runs on the CPU"


@pytest.mark.parametrize(("cuda", "extra"), [("12.8", "cuda12"), ("13.0", "cuda13"), ("14.1", "cuda13")])
def test_a_gpu_without_cupy(cuda, extra, monkeypatch):
    smi(monkeypatch, cuda)
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    assert said() == f"there is a GPU but no cupy: in your clone, {sys.executable} -m pip install -e '.[{extra}]'"


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({"error": INSUFFICIENT, "driver": 0}, "there is no NVIDIA driver: install one, or use the CPU"),
        (
            {"error": INSUFFICIENT, "driver": 12080, "runtime": 13000},
            "the NVIDIA driver is for CUDA 12.8, this cupy needs 13.0: install a newer driver; or, in your "
            "clone, pip install -e '.[cuda12]' in place of cuda13",
        ),
        (
            {"error": INSUFFICIENT, "driver": 11040, "runtime": 12020},
            "the NVIDIA driver is for CUDA 11.4, this cupy needs 12.2: install a newer driver",
        ),
        ({"error": "cudaErrorNoDevice: no CUDA-capable device is detected"}, "the driver finds no GPU"),
        ({"device_count": 0}, "the driver finds no GPU"),
        ({"error": "cudaErrorUnknown: unknown error"}, "the GPU cannot be used: cudaErrorUnknown: unknown error"),
    ],
)
def test_a_gpu_that_cupy_cannot_use(options, advice, monkeypatch):
    smi(monkeypatch, "12.8")
    with fake_cupy.installed(**options):
        assert said() == f"cupy cannot use the GPU: {advice}"


def test_a_gpu_without_headers(monkeypatch):
    smi(monkeypatch, "13.0")
    with fake_cupy.installed() as cupy:
        monkeypatch.setattr(cupy, "zeros", Mock(side_effect=RuntimeError("\nCuPy failed to find CUDA headers.\nmore")))
        assert said() == (
            "kernels cannot be compiled for the GPU: CuPy failed to find CUDA headers. "
            f"in your clone, {sys.executable} -m pip install -e '.[cuda13]' brings the compiler (NVRTC) "
            "and CUDA's headers"
        )


def test_a_gpu_that_works(monkeypatch):
    smi(monkeypatch, "13.0")
    monkeypatch.setattr(doctor, "_compiler_problem", lambda cupy: None)
    with fake_cupy.installed():
        found = doctor.gpu()
        assert found["device"] == "stand-in, compute capability 9.0"
        assert found["memory"] == "8.59 GB, 8.59 GB free"
        assert said() == ""
        assert "no ml_dtypes" in said({"ml_dtypes": None})


def test_cache_sizes(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "data"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert doctor.storage()["data cache size"] == doctor.storage()["compiled kernels size"] == 0
    kernels = {"numba/minigrad/x/k-1-2.machinecode": 42, "numba/minigrad/x/k.py": 9, "numba/y/k-1-2.machinecode": 5}
    for path, size in {"data/corpora/a.txt": 700, **kernels}.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
    storage = doctor.storage()
    assert (storage["data cache size"], storage["compiled kernels size"]) == (700, 42)
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    (tmp_path / "data" / "compiled" / "x").mkdir(parents=True)
    (tmp_path / "data" / "compiled" / "x" / "k-1-2.machinecode").write_bytes(bytes(30))
    storage = doctor.storage()
    assert (storage["data cache size"], storage["compiled kernels size"]) == (700, 30)


def test_programs_that_are_missing_or_fail():
    assert doctor._first_line("no-such-program-anywhere") is None
    assert doctor._first_line("false") is None
    assert doctor._first_line("echo", "one\ntwo") == "one"


def test_readable():
    sizes = {0: "0 bytes", 999: "999 bytes", 1500: "1.5 kB", 2.1e6: "2.1 MB", 8.4e10: "84 GB", 3e15: "3000 TB"}
    assert {size: doctor._readable(size) for size in sizes} == sizes


def test_the_version_is_of_this_distribution(monkeypatch):
    monkeypatch.setattr(doctor.metadata, "version", lambda name: {"minigrad": "9.9"}.get(name, "1"))
    assert doctor.versions()["minigrad"] == "9.9"
