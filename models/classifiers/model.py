"""From the token ids of texts to the probabilities of their labels, whichever body does it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import minigrad as mg
import nn
from minigrad.tensor import Tensor, to_numpy, unwrap
from models.classifiers.batches import batches_by_length
from models.classifiers.bodies.average import AveragedEmbeddings
from models.classifiers.bodies.bag import Bag
from models.classifiers.bodies.mlp import MLP
from models.classifiers.bodies.recurrent import LAYERS, Recurrent
from models.classifiers.bodies.textcnn import TextCNN
from models.classifiers.bodies.transformer import Transformer
from models.classifiers.config import ClassifierConfig
from models.text.batching import tensors_for
from nn import functional as F

# The neural ones; bag.py has the others.
BODIES: dict[str, type[nn.Module]] = {
    "average": AveragedEmbeddings,
    "mlp": MLP,
    "textcnn": TextCNN,
    **dict.fromkeys(LAYERS, Recurrent),
    "transformer": Transformer,
}
AT_ONCE = 64  # texts that are predicted in one batch


class ClassifierModel(nn.Module):
    """A text classifier: which of its labels a text has.

    ClassifierModel(config) is a NeuralClassifier or a BagClassifier, as config.body says. The random numbers of initial
    weights come from minigrad's generator.

    max_tokens        of a text, that it reads; None: all
    needs_validation  whether it is taught with a part of the texts held out
    """

    max_tokens: int | None
    needs_validation: bool

    def __new__(cls, config: ClassifierConfig | None = None) -> "ClassifierModel":
        if cls is not ClassifierModel or config is None:  # a copy has no config yet
            return super().__new__(cls)
        return super().__new__(NeuralClassifier if config.body in BODIES else BagClassifier)

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = config

    @property
    def size(self) -> int:
        """How many numbers were learnt."""
        raise NotImplementedError

    def predict_proba(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities, float32 (texts, classes), for the token ids of texts; of several labels, each on its own.

        The result for a text does not depend on the texts beside it.
        """
        raise NotImplementedError


class NeuralClassifier(ClassifierModel):
    """One whose body is a neural network, a module (ids, lengths) -> logits."""

    needs_validation = True

    def __init__(self, config: ClassifierConfig):
        super().__init__(config)
        self.max_tokens = config.max_length
        body: Any = BODIES[config.body]
        self.body = body(config)

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return self.num_parameters()

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (batch, classes) for ids (batch, time), padded at the end with config.pad_id."""
        ids = unwrap(ids)
        return self.body(ids, (ids != self.config.pad_id).sum(1))

    def predict_proba(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """See ClassifierModel; without dropout, the mode stays as it was."""
        result = np.empty((len(sequences), len(self.config.labels)), np.float32)
        training = self.training
        self.eval()
        with mg.no_grad():
            for rows, ids in batches_by_length(sequences, AT_ONCE, self.config.pad_id):
                logits = self(*tensors_for(self, [ids]))
                result[rows] = to_numpy((logits.sigmoid() if self.config.multi_label else F.softmax(logits)).data)
        self.train(training)
        return result


class BagClassifier(ClassifierModel):
    """One whose body counts words (bodies/bag.py): it reads all of a text, and is fitted to all texts at once."""

    max_tokens = None
    needs_validation = False

    def __init__(self, config: ClassifierConfig):
        super().__init__(config)
        self.body = Bag(config)

    @property
    def size(self) -> int:
        """How many numbers its classifier has learnt."""
        return sum(array.size for array in self.body.classifier.state_dict().values())

    def predict_proba(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """See ClassifierModel."""
        return self.body.predict_proba(sequences).astype(np.float32)

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """Everything learnt by name, as Tensors."""
        return {f"{prefix}body.{name}": mg.Tensor(array) for name, array in self.body.state_dict().items()}

    def load_state_dict(self, state_dict: dict, strict: bool = True) -> Any:
        """Take over a state_dict. RuntimeError for one of another body."""
        try:
            self.body.load_state_dict({name.removeprefix("body."): unwrap(x) for name, x in state_dict.items()})
        except KeyError as error:
            raise RuntimeError(
                f"the state has no {error} for {self.config.body}; it has {', '.join(state_dict)}"
            ) from None
