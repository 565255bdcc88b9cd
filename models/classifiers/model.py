"""From the token ids of texts to the probabilities of their labels, whichever body does it."""

from collections.abc import Sequence

import numpy as np

import minigrad as mg
import nn
from minigrad.tensor import to_numpy, unwrap
from models.classifiers.batches import batches_by_length
from models.classifiers.bodies.average import AveragedEmbeddings
from models.classifiers.bodies.bag import Bag
from models.classifiers.bodies.mlp import MLP
from models.classifiers.bodies.recurrent import LAYERS, Recurrent
from models.classifiers.bodies.textcnn import TextCNN
from models.classifiers.bodies.transformer import Transformer
from models.classifiers.config import ClassifierConfig
from models.placement import tensors_for
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

    The body is a neural network, a module (ids, lengths) -> logits, or one of bag.py, which is fitted to all
    texts at once. The random numbers of initial weights come from minigrad's generator.
    """

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = config
        self.body = BODIES.get(config.body, Bag)(config)

    @property
    def is_bag(self) -> bool:
        """Whether the body counts words and is fitted in one go; else it is a neural network."""
        return isinstance(self.body, Bag)

    @property
    def size(self) -> int:
        """How many numbers were learnt."""
        if self.is_bag:
            return sum(array.size for array in self.body.classifier.state_dict().values())
        return self.num_parameters()

    def forward(self, ids):
        """Logits (batch, classes) for ids (batch, time), padded behind with config.pad_id."""
        ids = unwrap(ids)
        return self.body(ids, (ids != self.config.pad_id).sum(1))

    def predict_proba(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities (texts, classes) for the token ids of texts; of several labels, each on its own.

        The result for a text does not depend on the texts beside it.
        """
        if self.is_bag:
            return self.body.predict_proba(sequences).astype(np.float32)
        result = np.empty((len(sequences), len(self.config.labels)), np.float32)
        training = self.training
        self.eval()
        with mg.no_grad():
            for rows, ids in batches_by_length(sequences, AT_ONCE, self.config.pad_id):
                logits = self(*tensors_for(self, [ids]))
                result[rows] = to_numpy((logits.sigmoid() if self.config.multi_label else F.softmax(logits)).data)
        self.train(training)
        return result

    def state_dict(self, prefix: str = "") -> dict:
        """Everything learnt by name, whatever the body."""
        if self.is_bag:
            return {f"{prefix}body.{name}": mg.Tensor(array) for name, array in self.body.state_dict().items()}
        return super().state_dict(prefix)

    def load_state_dict(self, state_dict: dict, strict: bool = True):
        """Take over a state_dict. RuntimeError for one of another body."""
        if not self.is_bag:
            return super().load_state_dict(state_dict, strict)
        try:
            self.body.load_state_dict({name.removeprefix("body."): unwrap(x) for name, x in state_dict.items()})
        except KeyError as error:
            raise RuntimeError(
                f"the state has no {error} for {self.config.body}; it has {', '.join(state_dict)}"
            ) from None
