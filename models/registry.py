"""The architectures that a checkpoint or a command can name, each with the tasks that it can be taught.

A new architecture is one file in models/ and one line here; a task's name is one of models/tasks/. From outside, a
package registers its own in a module that an entry point of the group `minigrad.models` names:

    registry.register("toy", Architecture(ToyConfig, Toy, tasks=("toy",)))
    table.register(ToyTask())          # models.tasks.table
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import nn
from minigrad.kernels import ahead
from models.classifiers.config import ClassifierConfig
from models.classifiers.model import BagClassifier, ClassifierModel, NeuralClassifier
from models.errors import UserError
from models.glove import GloVe, GloVeConfig
from models.gpt import GPT, GPTConfig
from models.gpt import PRESETS as GPT_PRESETS
from models.rnn import PRESETS as RNN_PRESETS
from models.rnn import RNNConfig, RNNGenerator
from models.word2vec import Word2Vec, Word2VecConfig

GROUP = "minigrad.models"


@dataclass(frozen=True)
class Architecture:
    """A kind of model.

    config    its settings, a dataclass
    model     its class: model(config), a module whose config is that one
    tasks     names of the tasks it can be taught; the first is the one that is meant if none is named
    start     values of the configuration that `minigrad train` begins with
    training  values of the task's training settings that it begins with
    variants  the classes of what model(config) returns, where it is not always of its own class
    kernels   what a training step on the CPU takes, for a config, where it is worth compiling ahead
    """

    config: type
    model: type[Any]
    tasks: tuple[str, ...]
    start: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    variants: tuple[type[nn.Module], ...] = ()
    kernels: Callable[[Any], ahead.Shares] = lambda config: ((), ())


MODELS: dict[str, Architecture] = {
    "classifier": Architecture(
        ClassifierConfig,
        ClassifierModel,
        ("classification",),
        variants=(NeuralClassifier, BagClassifier),
        kernels=lambda config: ahead.TRANSFORMER if config.body == "transformer" else ((), ()),
    ),
    "gpt": Architecture(GPTConfig, GPT, ("language",), GPT_PRESETS["nano"], kernels=lambda config: ahead.TRANSFORMER),
    "rnn": Architecture(
        RNNConfig,
        RNNGenerator,
        ("language",),
        RNN_PRESETS["nano"],
        {"batch_size": 50, "learning_rate": 2e-3},
        kernels=lambda config: ahead.recurrent(config.cell),
    ),
    "word2vec": Architecture(Word2VecConfig, Word2Vec, ("word2vec",), {"vocab_size": 2}),
    "glove": Architecture(GloVeConfig, GloVe, ("glove",), {"vocab_size": 2}),
}


def register(name: str, architecture: Architecture) -> None:
    """Add an architecture under a name. Raises UserError for a name that another one has."""
    if MODELS.setdefault(name, architecture) != architecture:
        raise UserError(f"there is a model {name!r} already: register this one under another name")


def architecture(name: str) -> Architecture:
    """The architecture of that name. Raises UserError with the closest name for one that is not in the table."""
    known = MODELS if name in MODELS else architectures()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1) if isinstance(name, str) else []
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
        raise UserError(f"no model {name!r}: {hint}")
    return known[name]


def architectures() -> dict[str, Architecture]:
    """All of them by name, those of other packages included."""
    for point in metadata.entry_points(group=GROUP):
        point.load()  # a module, which registers what it has
    return MODELS


def name_of(model: nn.Module) -> str:
    """The name under which a model's class stands in the table. Raises UserError if it does not."""
    for known in (lambda: MODELS, architectures):  # the second reads what is installed, which takes a while
        for name, entry in known().items():
            if type(model) in (entry.model, *entry.variants):
                return name
    raise UserError(f"{type(model).__name__} is not among the models of models/registry.py: add a line for it there")
