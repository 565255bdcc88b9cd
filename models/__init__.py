"""models: language models and what surrounds them, from text to trained model and back to text.

from models import GPT, GPTConfig, TrainConfig, Trainer, load_checkpoint
from models.generation.generate import generate
from models.text.sources import corpora
"""

from importlib import import_module

# Imported on first use: `minigrad --help` needs none of them.
_HOMES = {
    "ClassifierConfig": "models.classifiers.config",
    "FitConfig": "models.classifiers.training",
    "GloVe": "models.glove",
    "GloVeConfig": "models.glove",
    "GPT": "models.gpt",
    "GPTConfig": "models.gpt",
    "TextClassifier": "models.classifiers.text_classifier",
    "TrainConfig": "models.training.trainer",
    "Trainer": "models.training.trainer",
    "UserError": "models.errors",
    "Word2Vec": "models.word2vec",
    "Word2VecConfig": "models.word2vec",
    "WordVectors": "models.vectors.word_vectors",
    "evaluate": "models.tasks.evaluation",
    "load_checkpoint": "models.weights.checkpoint",
    "save_checkpoint": "models.weights.checkpoint",
}
__all__ = [*_HOMES]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"models has no attribute {name!r}; it has {', '.join(_HOMES)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
