"""Which version of a kernel runs: the arrays' device, what was measured, limits that are said once, strict mode."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad import kernels
from minigrad.kernels import Implementation, Kernel, KernelFallback, fastest, tune
from tests.support import fake_cupy

HEAD_SIZES = (32, 64)


def head_size(x):
    if x.shape[-1] not in HEAD_SIZES:
        return f"head size {x.shape[-1]} has no CUDA kernel (there are {', '.join(map(str, HEAD_SIZES))})"


def attend(x):
    """What every version of the kernel below computes: which one it is."""
    return "reference"


@pytest.fixture
def kernel():
    """A kernel that gives the name of the version that ran."""
    versions = {name: (lambda x, name=name: name) for name in ("numba", "cuda", "cublas")}
    return Kernel(
        attend,
        Implementation("numba", "", supports=lambda x: x.dtype == np.float32, function=versions["numba"]),
        Implementation("cuda", "", limit=head_size, function=versions["cuda"]),
        Implementation("cublas", "", function=versions["cublas"]),
    )


@pytest.fixture
def arrays():
    """The same array on the CPU and on the GPU."""
    with fake_cupy.installed() as cupy:
        x = np.ones((4, 32), np.float32)
        yield x, cupy.asarray(x)


def test_the_array_picks_the_device(kernel, arrays):
    on_cpu, on_gpu = arrays
    assert (kernel(on_cpu), kernel(on_gpu)) == ("numba", "cuda")
    with kernels.use("cublas"):
        assert kernel(on_gpu) == "cublas"
        with kernels.strict(False):
            assert kernel(on_cpu) == "numba"
        with pytest.raises(KernelFallback, match="cublas does not compute on the CPU, where the arrays are"):
            kernel(on_cpu)
    with kernels.use("numba"), pytest.raises(KernelFallback, match="numba does not compute on a GPU"):
        kernel(on_gpu)


def add(a, b, steps, *, rounds=1):
    """a + b."""


def test_conditions_take_parameters_by_their_names():
    seen = {}

    def note(**arguments):
        seen.update(arguments)
        return True

    kernel = Kernel(
        add,
        Implementation(
            "numba",
            "",
            worth=lambda b: note(worth=b),
            supports=lambda steps, a: note(supports=(steps, a)),
            limit=lambda *args: note(limit=args) and None,
            function=lambda *args: "numba",
        ),
        anywhere=("steps",),
    )
    assert (kernel.name, kernel.parameters, kernel.__doc__) == ("add", ("a", "b", "steps"), "a + b.")
    a = np.ones(1)
    with kernels.use("numba"):  # the limit is asked of pinned versions, and on a GPU
        assert kernel(a, 2, 3) == "numba"
    assert seen == {"supports": (3, a), "limit": (a, 2)}
    assert kernel(a, 2, 3) == "numba"
    assert seen["worth"] == 2


def test_a_condition_on_a_parameter_that_is_not_there():
    kernel = Kernel(add, Implementation("numba", "", worth=lambda a, c: True))
    with pytest.raises(TypeError, match="kernel add: a condition asks for c; the parameters are a, b, steps"):
        kernel(1, 2, 3)


def test_every_implementation_is_a_function_of_its_own():
    """Or a comparison would be one with itself. cuBLAS's and BLAS's, and CUDA's on two devices, are one text."""
    for kernel in [each for each in vars(kernels).values() if isinstance(each, Kernel)]:
        loaded = {name: each for name, each in kernel.implementations.items() if name not in ("cublas", "emulator")}
        functions = [each.load() for each in loaded.values()]
        assert len(set(functions)) == len(functions), kernel
        assert {function.__name__ for function in functions} == {kernel.name}


def test_a_limit_is_said_once_and_fails_in_strict_mode(kernel, arrays):
    wide = arrays[1].reshape(2, 64)[:, :48]
    with kernels.strict(False), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert [kernel(wide), kernel(wide)] == ["cublas", "cublas"]
    assert [str(w.message) for w in said] == [
        "attend: head size 48 has no CUDA kernel (there are 32, 64); a slower version is used"
    ]
    with pytest.raises(KernelFallback, match="head size 48"):
        kernel(wide)
    with kernels.use("cuda"), pytest.raises(KernelFallback, match="head size 48"):
        kernel(wide)
    with kernels.use("cuda"), kernels.strict(False):
        assert kernel(wide) == "cublas"


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Measurements in which cuBLAS wins where the matrix is large."""
    rows = [
        {"dtype": "float32", "shapes": [[64, 64]], "microseconds": {"cuda": 1.0, "cublas": 2.0}},
        {"dtype": "float32", "shapes": [[4096, 4096]], "microseconds": {"cuda": 90.0, "cublas": 50.0}},
        {"dtype": "float16", "shapes": [[64, 64]], "microseconds": {"cuda": 1.0, "reference": 0.5}},
    ]
    monkeypatch.setattr(fastest, "PATH", tmp_path / "fastest.json")
    fastest.PATH.write_text(json.dumps({"device": "x", "measured": "y", "kernels": {"attend": rows}}))
    fastest.forget()
    yield
    monkeypatch.undo()
    fastest.forget()


@pytest.mark.parametrize(
    ("shape", "dtype", "winner"),
    [
        ((64, 64), "float32", "cuda"),
        ((128, 32), "float32", "cuda"),
        ((2048, 4096), "float32", "cublas"),
        ((600, 600), "float32", "cublas"),  # 3.2 doublings from the one, 2.8 from the other
        ((64, 64), "float16", "reference"),
        ((64, 64), "float64", "cuda"),  # not measured: the order of the declaration
        ((8, 8, 64), "float32", "cuda"),
    ],
)
def test_the_winner_at_the_nearest_shape(shape, dtype, winner, kernel, measured):
    with fake_cupy.installed() as cupy, kernels.strict(False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = cupy.zeros(shape, dtype)
        expected = "cublas" if winner == "cuda" and head_size(array) else winner
        assert kernel(array) == expected


def test_nothing_was_measured_yet_or_the_file_is_whole():
    content = json.loads(fastest.PATH.read_text())
    assert set(content) == {"device", "measured", "kernels"}
    for name, rows in content["kernels"].items():
        assert name in tune.CASES
        for row in rows:
            assert set(row["microseconds"]) <= set(getattr(kernels, name).implementations)


def test_products_are_cublas_until_measured():
    with fake_cupy.installed() as cupy:
        a = cupy.asarray(np.ones((8, 8), np.float32))
        assert kernels.matmul.choose(a, a) is kernels.matmul.implementations["cublas"].function
        with kernels.use("cublas"):
            assert mg.linear(mg.Tensor(a), mg.Tensor(a)).device == "cuda"


def small(xp, dtype):
    return [tuple(tune.draws(xp, dtype, (6, 4), (4, 5)))]


def test_tune_measures_right_versions_and_writes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fastest, "PATH", tmp_path / "fastest.json")
    fastest.PATH.write_text('{"device": null, "measured": null, "kernels": {}}')
    monkeypatch.setitem(tune.CASES, "matmul", small)
    monkeypatch.setattr(tune, "DTYPES", ("float32",))
    wrong = Implementation("cuda", "", function=lambda a, b: 1.01 * (a @ b))
    monkeypatch.setitem(kernels.matmul.implementations, "cuda", wrong)
    with fake_cupy.installed():
        assert tune.main(["matmul", "--dry"]) == 0
        assert 'kernels": {}' in fastest.PATH.read_text()
        assert tune.main(["matmul"]) == 0
    (row,) = json.loads(fastest.PATH.read_text())["kernels"]["matmul"]
    assert row["shapes"] == [[6, 4], [4, 5]]
    assert set(row["microseconds"]) == {"cublas", "reference"}  # the wrong one does not compete
    assert "matmul" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        tune.main(["nonsense"])
    monkeypatch.undo()
    fastest.forget()


def test_a_backend_that_does_not_exist_is_one_line_at_the_command():
    program = "import sys; from models.commands.cli import main; sys.exit(main(['doctor']))"
    environment = {**os.environ, "MINIGRAD_KERNELS": "bogus"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=100)
    assert done.returncode == 2
    assert done.stderr == (
        "minigrad: MINIGRAD_KERNELS: no backend 'bogus'; choose one of reference, numba, blas, cuda, cublas, emulator\n"
    )
    with pytest.raises(ValueError, match=r"kernels\.use: no backend 'bogus'; choose one of"), kernels.use("bogus"):
        pass


def test_without_numbas_compiler_the_others_compute():
    program = (
        "import numpy as np; from minigrad import kernels\n"
        "x = np.ones((50, 100), np.float32)\n"
        "print(round(float(kernels.softmax(x).sum()), 3), kernels.matmul(x, x.T)[0, 0])"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "MINIGRAD_STRICT": "0"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=100)
    assert "softmax: the numba version cannot be loaded (NUMBA_DISABLE_JIT is set" in done.stderr
    assert done.stdout == "50.0 100.0\n"
