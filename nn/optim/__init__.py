"""Optimisers and learning-rate schedules, with PyTorch's names and meanings."""

from nn.optim import lr_scheduler
from nn.optim.adam import Adam, AdamW
from nn.optim.adaptive import Adagrad, RMSprop
from nn.optim.optimizer import Optimizer
from nn.optim.sgd import SGD

__all__ = ["Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "SGD", "lr_scheduler"]
