"""What a training loop asks of the thing that it trains: one step at a time, and its state in between.

`Loop` (loop.py) makes the steps of any Stepper. GradientSteps (trainer.py) follows the gradient of a loss with an
optimiser; the learners of models/word2vec.py and models/glove.py go through a stretch of a text, or of counts.
"""

from typing import NamedTuple

import nn
from minigrad.tensor import Tensor
from nn.optim import Optimizer


class Step(NamedTuple):
    """What one step did.

    loss     the mean over its examples
    amount   how many units (tokens, words …) it went through
    numbers  what else the log records of it, as JSON values
    """

    loss: float
    amount: int
    numbers: dict[str, float | None] = {}


class NotFiniteError(ArithmeticError):
    """What became infinite or NaN, raised before it can reach the weights: "the gradient's norm became nan"."""


class Stepper:
    """Base of what a Loop trains; a subclass writes `advance`, and of the rest what it needs.

    model      what is trained, and saved
    optimizer  whose state is saved with it; None: there is none
    unit       what the speed counts
    advice     what to do when a step gives NaN
    """

    model: nn.Module
    optimizer: Optimizer | None = None
    unit: str = "examples"
    advice: str = "Try a smaller learning rate"

    def advance(self, step: int) -> Step:
        """Make step number `step`, counted from 0. Raises NotFiniteError, with the weights as they were."""
        raise NotImplementedError(f"{type(self).__name__} has no advance")

    def evaluate(self) -> float:
        """The loss on what is not trained on; called only by loops that evaluate."""
        raise NotImplementedError(f"{type(self).__name__} has no evaluate")

    def state_dict(self) -> dict:
        """What the next steps depend on besides the model, the optimiser and the step's number, as JSON values."""
        return {}

    def load_state_dict(self, state: dict, step: int) -> None:
        """Take up where state_dict was taken, before step number `step`. UserError or DataError where it cannot."""

    def carried(self) -> dict[str, Tensor]:
        """Tensors that one step hands to the next, such as a recurrent network's state; mostly none."""
        return {}

    def load_carried(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `carried` gave."""
