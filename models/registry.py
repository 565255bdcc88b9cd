"""The models that a checkpoint or a command can name."""

import difflib
from typing import NamedTuple

import nn
from models.classifiers.config import ClassifierConfig
from models.classifiers.model import ClassifierModel
from models.errors import UserError
from models.glove import GloVe, GloVeConfig
from models.gpt import GPT, GPTConfig
from models.rnn import RNNConfig, RNNGenerator
from models.word2vec import Word2Vec, Word2VecConfig


class Architecture(NamedTuple):
    """A dataclass of settings, the module that is built from one, and the functions that teach and judge it.

    model       model(config).config is config
    recipe      "module:function", imported by `minigrad train`, which calls function(name, flags) -> exit code
    evaluation  likewise for `minigrad eval`, which calls function(arguments) -> exit code
    """

    config: type
    model: type[nn.Module]
    recipe: str
    evaluation: str = "models.commands.evaluate:language_or_vectors"


MODELS: dict[str, Architecture] = {
    "classifier": Architecture(
        ClassifierConfig, ClassifierModel, "models.tasks.classification:train", "models.tasks.classification:evaluate"
    ),
    "gpt": Architecture(GPTConfig, GPT, "models.tasks.language:train"),
    "rnn": Architecture(RNNConfig, RNNGenerator, "models.tasks.language:train"),
    "word2vec": Architecture(Word2VecConfig, Word2Vec, "models.tasks.word_vectors:train_word2vec"),
    "glove": Architecture(GloVeConfig, GloVe, "models.tasks.word_vectors:train_glove"),
}


def architecture(name: str) -> Architecture:
    """The architecture of that name. Raises UserError with the closest name for one that is not in the table."""
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, n=1) if isinstance(name, str) else []
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(MODELS)}"
        raise UserError(f"no model {name!r}: {hint}")
    return MODELS[name]


def name_of(model: nn.Module) -> str:
    """The name under which a model's class stands in the table. Raises UserError if it does not."""
    for name, entry in MODELS.items():
        if type(model) is entry.model:
            return name
    raise UserError(f"{type(model).__name__} is not among the models of models/registry.py: add a line for it there")
