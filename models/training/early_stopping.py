"""Early stopping: end a run when the validation loss no longer falls, and keep the weights of its lowest."""

import math

import numpy as np

import nn
from minigrad.tensor import to_numpy, unwrap


class EarlyStopping:
    """The lowest validation loss so far, the weights that had it, and how many evaluations have passed since.

    patience  evaluations in a row without a lower loss that end the run
    """

    def __init__(self, patience: int):
        self.patience = patience
        self.lowest = math.inf
        self.waited = 0
        self.weights: dict[str, np.ndarray] = {}  # empty until the first evaluation

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        return self.waited >= self.patience

    def see(self, val_loss: float, model: nn.Module) -> None:
        """Take note of an evaluation of the model as it is."""
        self.waited += 1
        if val_loss < self.lowest:
            self.lowest, self.waited = val_loss, 0
            self.weights = {name: to_numpy(unwrap(value)).copy() for name, value in model.state_dict().items()}

    def state_dict(self) -> dict:
        """Everything but the weights, as JSON values."""
        return {"lowest": self.lowest if self.weights else None, "waited": self.waited}

    def load_state_dict(self, state: dict, weights: dict) -> None:
        """Take up where state_dict was taken, with the weights as they were."""
        self.weights = {name: to_numpy(unwrap(value)) for name, value in weights.items()}
        self.lowest = state["lowest"] if self.weights else math.inf
        self.waited = state["waited"]
