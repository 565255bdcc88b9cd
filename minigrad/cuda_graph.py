"""CudaGraph: work on the GPU recorded once and started again with one call, without Python in between.

A training step is a few hundred kernel launches, and launching them takes Python longer than a fast GPU takes to
run small ones. A graph launches them all at once. What it costs: the recorded kernels read and write the same
addresses each time, so inputs are written into the same arrays, and every number that changes from run to run (the
learning rate, a dropout's seed) must be read from the GPU's memory, not passed by the program.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from minigrad import devices

WARM_UP = 3  # runs before the recording: kernels are compiled, cuBLAS is set up, and the pool has all the memory

_recording = False


def is_recording() -> bool:
    """Whether what runs is the work of a CudaGraph, which is being recorded, or will be after a few more runs."""
    return _recording


class RecordingError(RuntimeError):
    """The work cannot be recorded; the message is CUDA's or cupy's reason."""


class CudaGraph:
    """function(), recorded: the first runs are ordinary ones, the next is recorded, and from then on it is replayed.

        graph = mg.CudaGraph(step)
        for batch in batches:
            inputs.set(batch)       # the array that step reads
            graph.run()             # what step writes is then in the arrays it wrote to the first time

    Inside, function may use the GPU only: reading a number back, or an array from the CPU, is a RecordingError. Its
    memory comes from a pool of its own, which nothing else can take.

    outputs  what function returned when it was recorded: arrays that every run fills again
    """

    def __init__(self, function: Callable[[], Any]):
        self.cupy = devices.library("cuda")
        self.function = function
        self.stream = self.cupy.cuda.Stream(non_blocking=True)  # the default stream cannot be recorded
        self.pool = self.cupy.cuda.MemoryPool()
        self.outputs: Any = None
        self._runs = 0
        self._graph: Any = None

    @property
    def is_recorded(self) -> bool:
        """Whether the first runs are over, and run() only launches the graph."""
        return self._graph is not None

    def run(self) -> Any:
        """Do the work once more, without waiting for it; returns outputs. RecordingError if it cannot be recorded."""
        if self._graph is None:
            # Only now: what was asked of the default stream before must be done before another stream reads it.
            self.cupy.cuda.Device().synchronize()
            with self.cupy.cuda.using_allocator(self.pool.malloc), self.stream, _while_recording():
                if self._runs < WARM_UP:
                    self._runs += 1
                    self.outputs = self.function()
                    self.stream.synchronize()
                    return self.outputs
                self._record()
        self._graph.launch(self.stream)
        return self.outputs

    def _record(self) -> None:
        self.stream.begin_capture()
        try:
            self.outputs = self.function()
        except BaseException as error:
            with contextlib.suppress(self.cupy.cuda.runtime.CUDARuntimeError):
                self.stream.end_capture()  # which reports the failure a second time
            if isinstance(error, RuntimeError):  # CUDA's errors and cupy's
                raise RecordingError(f"CudaGraph: the work cannot be recorded: {error}") from error
            raise
        self._graph = self.stream.end_capture()


@contextlib.contextmanager
def _while_recording() -> Iterator[None]:
    global _recording
    _recording = True
    try:
        yield
    finally:
        _recording = False
