"""`minigrad doctor`: it looks at the machine, and its advice follows from what it found."""

import copy
import json
import platform

import numpy as np
import pytest

from models.commands import doctor


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
    "versions": dict.fromkeys(doctor.PACKAGES, "1.0"),
    "threads": {"interference": 1.0},
    "gpu": {"driver": "H200", "cupy": True, "device": "H200", "problem": None},
    "compilers": {"g++": "g++ 12", "nvcc": "13.0"},
    "storage": {"free here": 1e12, "free for the data cache": 1e12},
}


@pytest.mark.parametrize(
    ("section", "entry", "value", "advice"),
    [
        ("versions", "regex", None, "not installed: regex; run "),
        ("threads", "interference", 12.0, "slow each other down 12.0 times"),
        ("gpu", "cupy", False, "pip install 'minigrad[cuda12]'"),
        ("gpu", "driver", None, "no NVIDIA GPU: everything runs on the CPU"),
        ("gpu", "problem", "driver too old", "cupy cannot use the GPU: driver too old"),
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


def test_cache_sizes(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "data"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert doctor.storage()["data cache size"] == doctor.storage()["numba cache size"] == 0
    for path, size in (("data/corpora/a.txt", 700), ("numba/x/k.nbi", 40), ("numba/x/k.nbc", 2), ("numba/x/k.py", 9)):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
    storage = doctor.storage()
    assert (storage["data cache size"], storage["numba cache size"]) == (700, 42)


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
