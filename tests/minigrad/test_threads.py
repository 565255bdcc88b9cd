"""The thread trap: BLAS and numba in turn, in fresh processes, for every order of imports."""

import os
import subprocess
import sys

import pytest

from minigrad import threads

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()

NUMBA = """
import numba, numpy as np
@numba.njit(parallel=True)
def double(x):
    for i in numba.prange(x.size):
        x[i] *= 2
"""
# What ran before minigrad was imported: nothing, or libraries whose threads may already be there.
BEFORE = {
    "minigrad first": "",
    "numpy first": "import numpy as np; a = np.ones((512, 512), np.float32); a @ a",
    "numba imported first": NUMBA,
    "numba used first": NUMBA + "double(np.ones(1000))",
    "torch first": "import torch; x = torch.ones(512, 512); (x @ x).softmax(-1)",
}
MEASURE = "from minigrad import threads; print(threads.measure_interference())"
UNCURED = "from minigrad import threads; threads.own_the_cores = lambda: None; print(threads.measure_interference())"
# Milliseconds of processor time that waiting threads burn after a kernel has ended.
BURN = """
import minigrad, time, numpy as np
from minigrad.kernels.cpu.matmul import matmul
x = np.ones((64, 64), np.float32)
burnt = []
for _ in range(5):
    time.sleep(0.1)
    matmul(x, x)
    start = time.process_time()
    time.sleep(0.05)
    burnt.append(time.process_time() - start)
print(1000 * min(burnt), 1000 * max(burnt))
"""
ABOUT_THREADS = {"OMP_WAIT_POLICY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"}
SPINNING = {"OPENBLAS_THREAD_TIMEOUT": "26", "GOMP_SPINCOUNT": "300000"}  # the libraries' own defaults


def python(program, **variables):
    environment = {k: v for k, v in os.environ.items() if k not in {*threads.SLEEP_SOON, *ABOUT_THREADS}}
    environment.update(variables)
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=200
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().splitlines()[-1]


def ratios(before, measure=MEASURE, **variables):
    """Up to three measurements: other processes can make one too high, and, while alone, too low."""
    for _ in range(3):
        yield float(python(f"{before}\n{measure}", **variables))


@pytest.mark.parametrize("order", [pytest.param(o, marks=[pytest.mark.parity] * ("torch" in o)) for o in BEFORE])
def test_pools_leave_each_other_in_peace(order):
    if "torch" in order:
        pytest.importorskip("torch")
    seen = []
    for ratio in ratios(BEFORE[order]):
        seen.append(ratio)
        if ratio < 3:
            return
    pytest.fail(f"{order}: BLAS and numba in turn take {seen} times as long as alone")


@pytest.mark.skipif(CORES == 1, reason="nothing to wait for with one thread")
@pytest.mark.parametrize("order", [pytest.param(o, marks=[pytest.mark.parity] * ("torch" in o)) for o in BEFORE])
def test_idle_threads_sleep(order):
    """The cause, which shows on a busy machine, too: and the libraries' defaults bring it back."""
    if "torch" in order:
        pytest.importorskip("torch")
    cured, broken = (python(BEFORE[order] + BURN, **variables).split() for variables in ({}, SPINNING))
    assert float(cured[0]) < 1.0
    assert float(broken[1]) > 2.0


@pytest.mark.slow
@pytest.mark.skipif(CORES != 2, reason="how much spinning threads cost was measured on 2 cores only")
@pytest.mark.parametrize("order", ["minigrad first", "numba used first"])
def test_without_the_cure_they_ruin_each_other(order):
    """Both pools with all threads and the libraries' own spinning: the broken state, and the measurement shows it."""
    if os.getloadavg()[0] > CORES:
        pytest.skip("other processes take the cores: alone is as slow as in turn")
    seen = []
    for ratio in ratios(BEFORE[order], UNCURED, **SPINNING):
        seen.append(ratio)
        if ratio > 3:
            return
    pytest.fail(f"{order}: the broken state was not detected: {seen}")


def test_environment_is_set_unless_the_user_has():
    show = "import minigrad, os; print([os.environ.get(n) for n in ('OPENBLAS_THREAD_TIMEOUT', 'GOMP_SPINCOUNT')])"
    assert python(show) == "['4', '25000']"
    assert python(show, OPENBLAS_THREAD_TIMEOUT="9") == "['9', '25000']"
    assert python(show, GOMP_SPINCOUNT="7") == "['4', '7']"
    assert python(show, OMP_WAIT_POLICY="active") == "['4', None]"


def test_configure_does_not_import_numpy():
    program = """
import importlib.util, pathlib, sys
path = next(pathlib.Path(p) / "minigrad" / "threads.py" for p in sys.path if (pathlib.Path(p) / "minigrad").is_dir())
spec = importlib.util.spec_from_file_location("threads", path)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.configure()
print("numpy" in sys.modules or "numba" in sys.modules)
"""
    assert python(program) == "False"


def blas_threads():
    """Of the BLAS libraries that were there when the kernels were loaded; a test may have brought others since."""
    return {library.get_num_threads() for library, _ in threads._limited}


def test_set_num_threads():
    before = threads.get_num_threads()
    try:
        threads.set_num_threads(1)
        assert threads.get_num_threads() == 1
        with threads.all_threads_for_blas():
            assert blas_threads() == {1}
    finally:
        threads.set_num_threads(before)
    assert threads.get_num_threads() == before
    with pytest.raises(ValueError, match="set_num_threads: 0 threads; at least 1 is needed"):
        threads.set_num_threads(0)


def test_blas_gets_the_cores_only_when_they_are_given_to_it():
    threads.set_num_threads(threads.get_num_threads())
    assert blas_threads() == {1}
    with threads.all_threads_for_blas():
        assert blas_threads() == {threads.get_num_threads()}
    assert blas_threads() == {1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kernels_work_after_fork():
    program = """
import os, warnings
import numpy as np
from minigrad import kernels
warnings.simplefilter("ignore")
x = np.ones((64, 64), np.float32)
with kernels.use("numba"):
    kernels.matmul(x, x)  # starts libgomp's threads
child = os.fork()
if child == 0:
    os._exit(0 if (kernels.matmul(x, x) == 64).all() and (kernels.softmax(x) == 1 / 64).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert python(program) == "0"
