"""models: language models and everything around them, from text to trained model and back to text.

from models import GPT, GPTConfig, TrainConfig, Trainer, generate, load
model, tokenizer = load("runs/play")
print("".join(generate(model, tokenizer, "ROMEO:")))

A flat file is an architecture that reads top to bottom; the folders say what happens in them: text/, training/,
weights/, generation/, tasks/, classifiers/, vectors/, metrics/, commands/. registry.py lists the architectures.
"""

from importlib import import_module
from typing import Any

# Imported on first use: `minigrad --help` needs none of them.
_HOMES = {
    "ClassifierConfig": "models.classifiers.config",
    "DataError": "models.errors",
    "FitConfig": "models.classifiers.training",
    "GloVe": "models.glove",
    "GloVeConfig": "models.glove",
    "GPT": "models.gpt",
    "GPTConfig": "models.gpt",
    "RNNConfig": "models.rnn",
    "RNNGenerator": "models.rnn",
    "Task": "models.tasks.base",
    "TextClassifier": "models.classifiers.text_classifier",
    "TrainConfig": "models.training.train_config",
    "Trainer": "models.training.trainer",
    "UserError": "models.errors",
    "Word2Vec": "models.word2vec",
    "Word2VecConfig": "models.word2vec",
    "WordVectors": "models.vectors.word_vectors",
    "beam_search": "models.generation.beam",
    "evaluate": "models.tasks.evaluation",
    "generate": "models.generation.generate",
    "generate_samples": "models.generation.generate",
    "generate_text": "models.generation.generate",
    "load": "models.weights.checkpoint",
    "load_checkpoint": "models.weights.checkpoint",
    "save_checkpoint": "models.weights.checkpoint",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"models has no attribute {name!r}; it has {', '.join(_HOMES)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
