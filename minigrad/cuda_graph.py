"""CudaGraph: work on the GPU recorded once and started again with one call, without Python in between.

A training step is a few hundred kernel launches, and launching them takes Python longer than a fast GPU takes to
run small ones. A graph launches them all at once. What it costs: the recorded kernels read and write the same
addresses each time, so inputs are written into the same arrays, and every number that changes from run to run (the
learning rate, a dropout's seed) must be read from the GPU's memory, not passed by the program.
"""

from minigrad import devices

WARM_UP = 3  # runs before the recording: kernels are compiled, cuBLAS is set up, and the pool has all the memory


class CudaGraph:
    """function(), recorded: the first runs are ordinary ones, the next is recorded, and from then on it is replayed.

        graph = mg.CudaGraph(step)
        for batch in batches:
            inputs.set(batch)       # the array that step reads
            graph.run()             # what step writes is then in the arrays it wrote to the first time

    Inside, function may use the GPU only: reading a number back, or an array from the CPU, is an error of CUDA's
    while it is recorded. Its memory comes from a pool of its own, which nothing else can take.

    outputs  what function returned when it was recorded: arrays that every run fills again
    """

    def __init__(self, function):
        self.cupy = devices.library("cuda")
        self.function = function
        self.stream = self.cupy.cuda.Stream(non_blocking=True)  # the default stream cannot be recorded
        self.pool = self.cupy.cuda.MemoryPool()
        self.outputs = None
        self._runs, self._graph = 0, None

    @property
    def is_recorded(self) -> bool:
        return self._graph is not None

    def run(self):
        """Do the work once more, and wait for nothing; returns outputs."""
        if self._graph is None:
            # Only now: what was asked of the default stream before must be done before another stream reads it.
            self.cupy.cuda.Device().synchronize()
            with self.cupy.cuda.using_allocator(self.pool.malloc), self.stream:
                if self._runs < WARM_UP:
                    self._runs += 1
                    self.outputs = self.function()
                    self.stream.synchronize()
                    return self.outputs
                self.stream.begin_capture()
                try:
                    self.outputs = self.function()
                finally:
                    self._graph = self.stream.end_capture()
        self._graph.launch(self.stream)
        return self.outputs
