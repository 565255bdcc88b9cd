"""detect_anomaly: find the line that first made a NaN or an Inf."""

import linecache
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import devices
from minigrad.devices import array_module
from minigrad.dtypes import FLOATING
from minigrad.function import PartialGradient, observers
from minigrad.tensor import to_numpy

HERE = os.path.dirname(os.path.abspath(__file__))
# Lines of the engine and of the layers above it are not the user's: a call is named where it left user code.
LIBRARY = (HERE + os.sep, os.path.join(os.path.dirname(HERE), "nn") + os.sep)


class AnomalyError(FloatingPointError):
    """An operation or a gradient rule made a NaN or an Inf out of good numbers."""


class detect_anomaly:
    """Inside, the first NaN or Inf that an operation or a rule makes is an AnomalyError naming the line.

        with minigrad.detect_anomaly():
            loss = model(x)
            loss.backward()

    An Inf counts when everything that went in was finite, a NaN when no NaN went in: a mask of
    -inf is let through, what it spoils is not. A bad gradient is reported with the line of the
    forward call whose rule made it. Costs a look at every number: for finding a fault, not for
    training.
    """

    def __enter__(self):
        observers.append(self)
        devices.check_values_on_gpu = True
        return self

    def __exit__(self, *exception):
        observers.remove(self)
        devices.check_values_on_gpu = any(isinstance(observer, detect_anomaly) for observer in observers)

    def begin(self, node: Any, phase: str, inputs: Sequence[Any]) -> None:
        """Note the line of user code that called the operation."""
        if phase == "forward":
            node.made_at = user_line()

    def end(self, node: Any, phase: str, inputs: Sequence[Any], result: Any, token: Any) -> None:
        """AnomalyError for the first NaN or Inf that the operation, or its rule, made of good numbers."""
        if result is None:  # it raised an error of its own
            return
        results = result if type(result) is tuple else (result,)
        for i, made in enumerate(results):
            made = made.values if type(made) is PartialGradient else made
            fault = _fault(made)
            if fault is None or _explained(fault, inputs):
                continue
            made_at = getattr(node, "made_at", "a line outside detect_anomaly()")
            if phase == "forward":
                raise AnomalyError(
                    f"{node.name} made the first {fault}, {_place(made)}, from {_ranges(inputs)}\n  {made_at}"
                )
            raise AnomalyError(
                f"the gradient rule of {node.name} made the first {fault}, {_place(made)}, in the gradient of its "
                f"input {i}; upstream gradient: {_ranges(inputs)}; inputs and outputs it saved: "
                f"{_ranges(node.saved or ())}\n  {made_at}"
            )


def user_line() -> str:
    """file:line and the source of the innermost running line outside the library."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(LIBRARY):
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    source = linecache.getline(file, line, frame.f_globals).strip()
    return f"{file}:{line}: {source}" if source else f"{file}:{line}"


def _floating(x) -> bool:
    return isinstance(x, float) or (hasattr(x, "dtype") and x.dtype.kind in FLOATING)


def _fault(x) -> str | None:
    """ "NaN" if there is one in x, else "Inf" if there is one, else None; None for what is not _floating."""
    if not _floating(x):
        return None
    xp = array_module(x)
    if xp.isfinite(x).all():
        return None
    return "NaN" if xp.isnan(x).any() else "Inf"


def _explained(fault: str, inputs) -> bool:
    """Whether the fault came in with the inputs: NaN explains everything, Inf only an Inf (inf - inf makes a NaN)."""
    faults = [_fault(x) for x in inputs]
    return "NaN" in faults or (fault == "Inf" and "Inf" in faults)


def _place(array) -> str:
    array = to_numpy(array)
    bad = ~np.isfinite(array)
    if bad.ndim == 0:
        return "its only element"
    index = [int(n) for n in np.argwhere(bad)[0]]
    return f"{int(bad.sum())} of {bad.size} elements, the first at {index}"


def _ranges(inputs) -> str:
    """ "float32 (2, 3) in [-1, 4]" for each floating input: enough to see the 0 that was divided by."""
    described = []
    for x in inputs:
        if not _floating(x):
            continue
        array = np.asarray(x) if isinstance(x, float) else to_numpy(x)
        span = f" in [{array.min():.4g}, {array.max():.4g}]" if array.size else ""
        described.append(f"{array.dtype} {array.shape}{span}" if array.ndim else f"{array:.4g}")
    return ", ".join(described) or "nothing"
