"""The settings of a text classifier."""

from dataclasses import dataclass
from typing import Literal, get_args

from models.configuration import check_choice, check_number, check_probability, check_whole
from models.errors import UserError

Body = Literal[
    "naive-bayes", "complement-naive-bayes", "logistic", "svm", "forest",
    "average", "mlp", "textcnn", "lstm", "gru", "bilstm", "transformer",
]  # fmt: skip
BODIES: tuple[str, ...] = get_args(Body)


@dataclass
class ClassifierConfig:
    """What reads the text and how large it is. Raises UserError for values that make no sense.

    A body ignores the settings it has no use for: a bag of words has no embedding_dim.
    """

    body: Body = "textcnn"
    """What turns tokens into a decision."""
    tokens: Literal["auto", "word", "char"] = "auto"
    """What a token is: words in lower case, or characters, as for Chinese; auto looks at the texts."""
    max_vocab_size: int = 20_000
    """Most different tokens, the most frequent ones; the others are one token, <unk>."""
    min_count: int = 2
    """How often a token must occur to be among them."""
    max_length: int = 256
    """Tokens of a text that a neural body reads; the rest is cut off. Bags of words read all of it."""
    ngrams: int = 2
    """Longest runs of tokens that count besides single ones, in bags of words and in averaged embeddings."""
    buckets: int = 65_536
    """Vectors that the n-grams of averaged embeddings share, by hashing."""
    embedding_dim: int = 100
    """Size of a token's vector, and the width of the Transformer."""
    hidden_size: int = 128
    """Width of hidden layers and of the Transformer's feed-forward layers, and of a recurrent state."""
    num_layers: int = 1
    """Hidden, recurrent or Transformer layers."""
    num_heads: int = 4
    """Attention heads of the Transformer; must divide embedding_dim."""
    filters: int = 100
    """TextCNN's filters of each width (3, 4 and 5 tokens)."""
    dropout: float = 0.3
    """Probability of dropping a number while training."""
    smoothing: float = 1.0
    """What naive Bayes adds to each count (Laplace: 1)."""
    inverse_regularization: float = 1.0
    """C of logistic regression and SVM: the larger, the closer they follow the training texts."""
    trees: int = 100
    """Trees in the random forest."""
    vocab_size: int = 0
    """Different tokens, with <unk> and the padding; follows from the texts."""
    labels: tuple[str, ...] = ()
    """The classes; follow from the texts."""
    multi_label: bool = False
    """Whether a text has any number of labels; follows from the texts."""

    def __post_init__(self) -> None:
        self.labels = tuple(self.labels)
        check_choice(self, body=BODIES, tokens=("auto", "word", "char"))
        check_whole(
            self, "max_vocab_size", "min_count", "max_length", "ngrams", "buckets", "embedding_dim", "hidden_size",
            "num_layers", "num_heads", "filters", "trees",
        )  # fmt: skip
        check_probability(self, "dropout")
        check_number(self, "smoothing", "inverse_regularization", zero=False)
        if self.body == "transformer" and self.embedding_dim % self.num_heads:
            raise UserError(f"embedding_dim={self.embedding_dim} is not divisible by num_heads={self.num_heads}")

    @property
    def pad_id(self) -> int:
        """The id of padding, the tokenizer's last."""
        return self.vocab_size - 1
