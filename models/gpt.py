"""GPT: the decoder-only transformer of GPT-2 (Radford et al. 2019, section 2.3).

    model = GPT(GPTConfig(vocab_size=65, context_length=64, num_layers=4, num_heads=4, embedding_dim=128))
    logits = model(ids)                     # ids (batch, time) -> (batch, time, vocab_size)
    logits, loss = model(ids, targets)      # and the mean cross-entropy, ready for loss.backward()

Tokens and positions become vectors, each block lets every position gather from those before it
(attention) and then think for itself (MLP), and the last vectors are compared with the token
vectors again: the better the match, the likelier that token is next.
"""

import math
import os
from dataclasses import dataclass
from typing import Any

import nn
from minigrad.tensor import Tensor, unwrap
from models.configuration import check, check_probability, check_whole, of_preset
from models.errors import UserError
from models.weights import gpt2 as huggingface
from nn import functional as F

INITIAL_STD = 0.02
MLP_RATIO = 4  # the MLP's hidden size in embedding_dims


@dataclass
class GPTConfig:
    """The size of a GPT; the defaults are GPT-2's smallest. Raises UserError for values that make no sense."""

    vocab_size: int = 50_257
    """Number of different tokens."""
    context_length: int = 1024
    """The most tokens the model can look at."""
    num_layers: int = 12
    """Blocks, one after the other."""
    num_heads: int = 12
    """Attention heads in each block; must divide embedding_dim."""
    embedding_dim: int = 768
    """Width: the size of the vector that stands for a token."""
    dropout: float = 0.0
    """Probability of dropping a number while training."""
    bias: bool = True
    """Whether linear layers and normalisations add a bias."""

    def __post_init__(self) -> None:
        check_whole(self, "vocab_size", "context_length", "num_layers", "num_heads", "embedding_dim")
        if self.embedding_dim % self.num_heads:
            raise UserError(
                f"embedding_dim={self.embedding_dim} is not divisible by num_heads={self.num_heads}: "
                f"take {self._nearest_width()} or another multiple"
            )
        check_probability(self, "dropout")
        check(self, "bias", isinstance(self.bias, bool), "True or False")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "GPTConfig":
        """A configuration of PRESETS, with changes to some fields: preset("nano", vocab_size=65)."""
        return of_preset(cls, PRESETS, name, changes)

    def _nearest_width(self) -> int:
        return max(round(self.embedding_dim / self.num_heads), 1) * self.num_heads


PRESETS = {
    "nano": {"context_length": 64, "num_layers": 4, "num_heads": 4, "embedding_dim": 128},  # nanoGPT's on a CPU
    "gpt2": {"num_layers": 12, "num_heads": 12, "embedding_dim": 768},  # 124 million parameters
    "gpt2-medium": {"num_layers": 24, "num_heads": 16, "embedding_dim": 1024},  # 355 million
    "gpt2-large": {"num_layers": 36, "num_heads": 20, "embedding_dim": 1280},  # 774 million
    "gpt2-xl": {"num_layers": 48, "num_heads": 25, "embedding_dim": 1600},  # 1,558 million
}


class MLP(nn.Module):
    """project(gelu(expand(x))): each position by itself, four times wider inside."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.expand = nn.Linear(config.embedding_dim, MLP_RATIO * config.embedding_dim, config.bias)
        self.project = nn.Linear(MLP_RATIO * config.embedding_dim, config.embedding_dim, config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., embedding_dim) to the same shape."""
        return self.project(self.expand(x, activation="gelu_tanh"))  # product, bias and GELU in one pass


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): both add to a stream that runs through all blocks."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        width = config.embedding_dim
        self.norm_1 = nn.LayerNorm(width, bias=config.bias)
        self.attention = nn.MultiheadAttention(
            width, config.num_heads, dropout=config.dropout, bias=config.bias, batch_first=True
        )
        self.norm_2 = nn.LayerNorm(width, bias=config.bias)
        self.mlp = MLP(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, cache: nn.KVCache | None = None) -> Tensor:
        """x (batch, time, embedding_dim) to the same shape; no place sees a later one. cache: the attention's."""
        h = self.norm_1(x)
        h, _ = self.attention(h, h, h, is_causal=True, need_weights=False, cache=cache)
        x = x + self.dropout(h)
        return x + self.dropout(self.mlp(self.norm_2(x)))


class GPT(nn.Module):
    """A language model: for every position, the logits of the token that follows it.

    The output layer is the token embedding itself (tied; Press & Wolf 2017). The random numbers of
    its initial weights come from minigrad's generator: manual_seed repeats them.
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.embedding_dim)
        self.position_embedding = nn.Embedding(config.context_length, config.embedding_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.final_norm = nn.LayerNorm(config.embedding_dim, bias=config.bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values, GPT-2's: matrices normal with std INITIAL_STD, biases 0; gains stay at 1.

        What adds to the residual stream (the attention's out_proj, the MLP's project) starts smaller, by
        1/√(its number of additions), two per block: the stream's variance then does not grow with the depth.
        """
        residual_std = INITIAL_STD / math.sqrt(2 * self.config.num_layers)
        for name, parameter in self.named_parameters():
            if name.endswith(("attention.out_proj.weight", "mlp.project.weight")):
                nn.init.normal_(parameter, std=residual_std)
            elif parameter.ndim >= 2:
                nn.init.normal_(parameter, std=INITIAL_STD)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    @property
    def context_limit(self) -> int:
        """The most tokens it can look at."""
        return self.config.context_length

    def forward(self, ids: Tensor, targets: Tensor | None = None, caches: Any = None) -> Tensor | tuple[Tensor, Tensor]:
        """Logits (batch, time, vocab_size) for ids (batch, time); with targets, (logits, loss).

        targets  (batch, time), the token that follows each; -100 where none counts
        caches   from new_caches: ids follow the tokens that the caches have seen, and join them. Under no_grad.

        ValueError when ids and the cached tokens together exceed context_length. IndexError names an id
        that is not in the vocabulary.
        """
        logits = self.head(self.features(ids, caches))
        if targets is None:
            return logits
        if tuple(targets.shape) != tuple(ids.shape):
            raise ValueError(f"GPT: targets {tuple(targets.shape)} for ids {tuple(ids.shape)}; expected the same shape")
        loss = F.cross_entropy(logits.reshape(-1, self.config.vocab_size), targets.reshape(-1))
        return logits, loss

    def features(self, ids: Tensor, caches: Any = None) -> Tensor:
        """The vectors that the head reads the next tokens from, (batch, time, embedding_dim).

        Token and position vectors added (positions count on from what the caches hold), dropout, the blocks in
        their order, each with its cache, and the final norm. Errors as forward's, by _check.
        """
        past = caches[0].length if caches else 0
        self._check(ids, past)
        x = self.token_embedding(ids) + self.position_embedding.weight[past : past + ids.shape[1]]
        x = self.dropout(x)
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            x = block(x, cache)
        return self.final_norm(x)

    def head(self, x: Tensor) -> Tensor:
        """Logits (..., vocab_size) for vectors (..., embedding_dim)."""
        return F.linear(x, self.token_embedding.weight)

    def next_logits(self, ids: Tensor, caches: Any = None) -> Tensor:
        """The logits of the one token that follows ids, (batch, vocab_size); forward without the other positions."""
        return self.head(self.features(ids, caches)[:, -1])

    def new_caches(self, batch_size: int) -> list[nn.KVCache]:
        """An empty key/value cache for each block, for up to context_length tokens."""
        return [block.attention.new_cache(batch_size, self.config.context_length) for block in self.blocks]

    @classmethod
    def from_huggingface(cls, source: str | os.PathLike | dict, num_heads: int | None = None) -> "GPT":
        """A GPT with GPT-2's weights as the transformers library names them.

        source     a directory with config.json and model.safetensors, such a .safetensors file, or a state_dict
        num_heads  needed where no config.json says it

        Raises UserError, listing all that is missing, unexpected, of another shape or not supported.
        """
        fields, weights = huggingface.gpt2_weights(source, num_heads)
        model = cls(GPTConfig(**fields))
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(f"these are not the weights of a GPT-2: {error}") from None
        return model

    def _check(self, ids, past: int) -> None:
        if ids.ndim != 2 or ids.shape[1] == 0:
            raise ValueError(f"GPT: ids {tuple(ids.shape)}; expected (batch, time), with one token at least")
        if unwrap(ids).dtype.kind not in "iu":
            raise TypeError(f"GPT: ids are {unwrap(ids).dtype}; expected integers")
        if past + ids.shape[1] > self.config.context_length:
            cached = f" after {past} in the caches" if past else ""
            raise ValueError(
                f"GPT: {ids.shape[1]} tokens{cached}: the model looks at context_length="
                f"{self.config.context_length} at most; pass the last ones only"
            )
