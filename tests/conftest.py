"""What holds for every test: strict kernels, repeatable randomness, no leaks, visible skips."""

import os

os.environ.setdefault("MINIGRAD_STRICT", "1")  # a kernel that falls back silently is a failure here

import importlib.util

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import minigrad as mg
from minigrad import amp, devices, function, modes
from minigrad.kernels import dispatch
from minigrad.kernels.cuda import compile, emulator

_QUICK = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("default", max_examples=30, **_QUICK)
settings.register_profile("ci", max_examples=30, derandomize=True, **_QUICK)
settings.register_profile("thorough", max_examples=1000, **_QUICK)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))

# Tests with these markers need something that may be absent; they are skipped, with the reason shown and counted.
REASONS = {
    "gpu": "needs a CUDA device",
    "parity": "needs the parity extra (torch)",
    "emulator": "needs a C++ compiler",
    "nvcc": "needs nvcc, or cupy's NVRTC",
}


def _has_gpu() -> bool:
    if importlib.util.find_spec("cupy") is None:
        return False
    import cupy

    try:
        return cupy.cuda.runtime.getDeviceCount() > 0
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


def _has_compiler() -> bool:
    try:
        return bool(emulator.compiler())
    except emulator.CompilerMissing:
        return False


def pytest_collection_modifyitems(config, items):
    present = {
        "gpu": _has_gpu(),
        "parity": importlib.util.find_spec("torch") is not None,
        "emulator": _has_compiler(),
        "nvcc": compile.compiler() is not None,
    }
    config.stash[_SKIPPED] = skipped = dict.fromkeys(REASONS, 0)
    for item in items:
        for marker, reason in REASONS.items():
            if item.get_closest_marker(marker) and not present[marker]:
                item.add_marker(pytest.mark.skip(reason=reason))
                skipped[marker] += 1


_SKIPPED = pytest.StashKey[dict]()


def pytest_terminal_summary(terminalreporter, config):
    for marker, count in config.stash.get(_SKIPPED, {}).items():
        if count:
            terminalreporter.write_line(f"{count} {marker} tests skipped: {REASONS[marker]}", yellow=True)


@pytest.fixture(params=["stand-in", pytest.param("cupy", marks=pytest.mark.gpu)])
def cupy(request):
    """cupy's rules without a GPU, and with one the real thing; "cuda" is a device meanwhile."""
    if request.param == "stand-in":
        from tests.support import fake_cupy

        with fake_cupy.installed() as module:
            yield module
    else:
        import cupy as module

        yield module


@pytest.fixture(autouse=True)
def _no_leaks():
    """Every test starts from seed 0 and must leave the global switches as it found them."""
    state = mg.get_rng_state()
    mg.manual_seed(0)
    before = _switches()
    yield
    mg.set_rng_state(state)
    after = _switches()
    modes.grad_mode.value = modes.grad_mode.default = True
    modes.grad_mode.open.clear()
    function.observers.clear()
    dispatch._choice.backend, dispatch._choice.strict = before["kernel backend"], before["strict kernels"]
    np.seterr(**before["numpy's error mode"])
    for name, value in after.items():
        assert value == before[name], f"this test leaks global state: {name} was {before[name]}, now {value}"


def _switches() -> dict:
    return {
        "gradient recording": modes.is_grad_enabled(),
        "autocast": amp.autocast_dtype(),
        "checks on the GPU": devices.check_values_on_gpu,
        "observers": list(function.observers),
        "kernel backend": dispatch._choice.backend,
        "strict kernels": dispatch._choice.strict,
        "numpy's error mode": np.geterr(),
    }
