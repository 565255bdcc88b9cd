"""A training step as a CUDA graph: fixed arrays for all that changes between steps, and one launch for the rest."""

from collections.abc import Callable
from contextlib import contextmanager

import numpy as np

import minigrad as mg
from minigrad import devices, random
from minigrad.cuda_graph import RecordingError
from minigrad.tensor import Tensor, wrap
from models.errors import UserError
from nn.optim import Optimizer

SEEDS = 1024  # dropouts that one step may have


class CapturedStep:
    """run(batches, learning_rates) -> (loss, norm): what `step` computes, on a GPU, with the fewest launches.

    step(tensors) does a whole update: forward and backward passes of a list of micro-batches, clipping,
    optimizer.step() and zero_grad(); it returns the loss and the gradient's norm, as Tensors, and reads nothing back.
    The first runs are ordinary ones (CudaGraph.WARM_UP); the results are the same either way.
    """

    def __init__(self, step: Callable[[list], tuple[Tensor, Tensor]], optimizer: Optimizer, updates: int):
        self.step, self.optimizer = step, optimizer
        self.graph = mg.CudaGraph(self._recorded)
        xp = devices.library("cuda")
        self.inputs: list[list] = []  # of each micro-batch, the arrays that the graph reads
        self.seeds = xp.zeros(SEEDS, np.uint64)
        self.seeds_taken: int | None = None  # by one step, the same at each
        self.results = xp.zeros(2, np.float32)
        self.numbers = [(xp.zeros((), np.float64), xp.full((), float(updates))) for _ in optimizer.param_groups]

    def run(self, batches: list, learning_rates: list[float]) -> tuple[float, float]:
        """One update from micro-batches, each a tuple of numpy arrays."""
        state = random.get_rng_state()
        with self.graph.stream:
            self._write(batches, learning_rates)
        first = self.seeds_taken is None
        try:
            self.graph.run()
        except RecordingError as error:
            raise UserError(f"cuda_graph: {error}; train without cuda_graph") from error
        if first:  # too many seeds were drawn: go back, so that dropout goes on as it does without a graph
            random.set_rng_state(state)
            self._draw(self.seeds_taken or 0)
        with self.graph.stream:
            return tuple(self.results.tolist())  # the one place where a step waits for the GPU

    def _write(self, batches: list, learning_rates: list[float]) -> None:
        if not self.inputs:
            self.inputs = [[devices.move(array, "cuda") for array in batch] for batch in batches]
        else:
            for arrays, batch in zip(self.inputs, batches, strict=True):
                for there, array in zip(arrays, batch, strict=True):
                    if there.shape != array.shape:
                        raise UserError(
                            f"cuda_graph: a batch of shape {array.shape} after one of {there.shape}: a recorded step "
                            "takes one shape; train without cuda_graph"
                        )
                    there.set(array)
        if self.seeds_taken != 0:
            self.seeds.set(self._draw(SEEDS if self.seeds_taken is None else self.seeds_taken))
        for (lr, _), value in zip(self.numbers, learning_rates, strict=True):
            lr.fill(value)

    def write_back(self, updates: int) -> None:
        """Put the number of steps where a checkpoint looks for it."""
        for state in self.optimizer.state.values():
            state["step"] = updates

    def _draw(self, count: int) -> np.ndarray:
        seeds = np.zeros(SEEDS, np.uint64)
        seeds[:count] = [random.next_seed() for _ in range(count)]
        return seeds

    def _recorded(self) -> None:
        with self._numbers_on_device(), random.seeds_from(self.seeds) as seeds:
            loss, norm = self.step([[wrap(array) for array in arrays] for arrays in self.inputs])
        self.seeds_taken = seeds.taken
        self.results[...] = mg.stack([loss, norm]).data

    @contextmanager
    def _numbers_on_device(self):
        groups = self.optimizer.param_groups
        self.optimizer.on_device = {id(group): pair for group, pair in zip(groups, self.numbers, strict=True)}
        try:
            yield
        finally:
            self.optimizer.on_device = None
