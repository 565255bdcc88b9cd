"""The Transformer's layers and stacks (Vaswani et al. 2017, section 3.1), with PyTorch's names and arguments.

Boolean masks hide where True; float masks are added to the scores. is_causal alone is
enough for a causal mask. Inputs are (time, batch, d_model) unless batch_first.
"""

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import minigrad as mg
from minigrad.tensor import Tensor
from minigrad.typing import DTypeLike
from nn import functional as F
from nn import init
from nn.attention import MultiheadAttention
from nn.cache import KVCache
from nn.checks import check_sizes
from nn.containers import ModuleList
from nn.dropout import Dropout
from nn.linear import Linear
from nn.module import Module
from nn.normalization import LayerNorm

# The activations that F.linear applies in the pass of the product.
FUSED = {F.relu: "relu", F.gelu: "gelu", F.silu: "silu"}
BY_NAME = ("relu", "gelu", "gelu_tanh", "silu")


class TransformerEncoderLayer(Module):
    """Self-attention and a two-layer feed-forward network, each in a residual connection with LayerNorm.

    activation  "relu", "gelu", "gelu_tanh", "silu", or a function or Module on tensors
    norm_first  normalise before each sublayer (pre-norm, as GPT-2) instead of after the addition
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        dtype: DTypeLike = "float32",
    ):
        super().__init__()
        check_sizes("TransformerEncoderLayer", d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self.activation = _activation("TransformerEncoderLayer", activation)

    def new_cache(self, batch: int, max_length: int) -> KVCache:
        """An empty cache, for decoding with a causal stack of these layers."""
        return self.self_attn.new_cache(batch, max_length)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
        *,
        cache: KVCache | None = None,
    ) -> Tensor:
        """src (batch, time, d_model) to the same shape; src_mask (time, time), src_key_padding_mask (batch, time).

        cache  a KVCache: src continues what the cache has seen
        """
        x = src
        if self.norm_first:
            x = x + self._self_attention(self.norm1(x), src_mask, src_key_padding_mask, is_causal, cache)
            return x + self.dropout2(_feed_forward(self, self.norm2(x)))
        x = self.norm1(x + self._self_attention(x, src_mask, src_key_padding_mask, is_causal, cache))
        return self.norm2(x + self.dropout2(_feed_forward(self, x)))

    def _self_attention(self, x, mask, padding, is_causal, cache):
        x, _ = self.self_attn(
            x, x, x, padding, need_weights=False, attn_mask=mask, is_causal=bool(is_causal), cache=cache
        )
        return self.dropout1(x)


class TransformerEncoder(Module):
    """num_layers copies of a layer, one after another, and a norm if given. The copies start with equal values."""

    def __init__(self, encoder_layer: TransformerEncoderLayer, num_layers: int, norm: Module | None = None):
        super().__init__()
        check_sizes("TransformerEncoder", num_layers=num_layers)
        self.layers = ModuleList(copy.deepcopy(encoder_layer) for _ in range(num_layers))
        self.norm = norm

    def new_caches(self, batch: int, max_length: int) -> list[KVCache]:
        """An empty cache for each layer."""
        return [layer.new_cache(batch, max_length) for layer in self.layers]

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
        *,
        caches: list[KVCache] | None = None,
    ) -> Tensor:
        """src (batch, time, d_model) to the same shape; the arguments are the layer's."""
        for layer, cache in zip(self.layers, _each(caches, self.layers), strict=True):
            src = layer(src, mask, src_key_padding_mask, is_causal, cache=cache)
        return src if self.norm is None else self.norm(src)


class DecoderCache(NamedTuple):
    """What a TransformerDecoderLayer keeps while decoding."""

    target: KVCache  # keys and values of the target so far
    memory: KVCache  # keys and values of the memory, computed in the first step


class TransformerDecoderLayer(Module):
    """Causal self-attention, attention to the encoder's output (memory), and a feed-forward network.

    The constructor is TransformerEncoderLayer's.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        dtype: DTypeLike = "float32",
    ):
        super().__init__()
        check_sizes("TransformerDecoderLayer", d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1, self.dropout2, self.dropout3 = Dropout(dropout), Dropout(dropout), Dropout(dropout)
        self.activation = _activation("TransformerDecoderLayer", activation)

    def new_cache(self, batch: int, max_length: int, memory_length: int) -> DecoderCache:
        """An empty cache for targets up to max_length and a memory of memory_length."""
        return DecoderCache(
            self.self_attn.new_cache(batch, max_length), self.multihead_attn.new_cache(batch, memory_length)
        )

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        *,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """tgt (batch, time, d_model) with memory (batch, memory time, d_model), to tgt's shape.

        cache  from new_cache: tgt continues what the cache has seen; memory is read in the first step only
        """
        of_target = (tgt_mask, tgt_key_padding_mask, tgt_is_causal, cache)
        of_memory = (memory_mask, memory_key_padding_mask, memory_is_causal, cache)
        x = tgt
        if self.norm_first:
            x = x + self._self_attention(self.norm1(x), *of_target)
            x = x + self._memory_attention(self.norm2(x), memory, *of_memory)
            return x + self.dropout3(_feed_forward(self, self.norm3(x)))
        x = self.norm1(x + self._self_attention(x, *of_target))
        x = self.norm2(x + self._memory_attention(x, memory, *of_memory))
        return self.norm3(x + self.dropout3(_feed_forward(self, x)))

    def _self_attention(self, x, mask, padding, is_causal, cache):
        cache = None if cache is None else cache.target
        x, _ = self.self_attn(
            x, x, x, padding, need_weights=False, attn_mask=mask, is_causal=bool(is_causal), cache=cache
        )
        return self.dropout1(x)

    def _memory_attention(self, x, memory, mask, padding, is_causal, cache):
        cache = None if cache is None else cache.memory
        if cache is not None and cache.length:
            memory = None  # its keys and values are in the cache already
        x, _ = self.multihead_attn(
            x, memory, memory, padding, need_weights=False, attn_mask=mask, is_causal=bool(is_causal), cache=cache
        )
        return self.dropout2(x)


class TransformerDecoder(Module):
    """num_layers copies of a layer, one after another, and a norm if given. The copies start with equal values."""

    def __init__(self, decoder_layer: TransformerDecoderLayer, num_layers: int, norm: Module | None = None):
        super().__init__()
        check_sizes("TransformerDecoder", num_layers=num_layers)
        self.layers = ModuleList(copy.deepcopy(decoder_layer) for _ in range(num_layers))
        self.norm = norm

    def new_caches(self, batch: int, max_length: int, memory_length: int) -> list[DecoderCache]:
        """An empty cache for each layer."""
        return [layer.new_cache(batch, max_length, memory_length) for layer in self.layers]

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        *,
        caches: list[DecoderCache] | None = None,
    ) -> Tensor:
        """tgt (batch, time, d_model) with memory (batch, memory time, d_model), to tgt's shape."""
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer, cache in zip(self.layers, _each(caches, self.layers), strict=True):
            tgt = layer(tgt, memory, *masks, tgt_is_causal, memory_is_causal, cache=cache)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder that reads the source, and a decoder that continues the target with its eye on what was read.

    custom_encoder, custom_decoder  modules in place of the stacks made from the sizes

    The other arguments are the layers'. Matrices start as Xavier uniform draws. As torch.nn.Transformer: it has
    neither embeddings nor positions nor an output layer.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        dtype: DTypeLike = "float32",
    ):
        super().__init__()
        options = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

        if custom_encoder is None:
            layer = TransformerEncoderLayer(*options, dtype=dtype)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        if custom_decoder is None:
            custom_decoder = TransformerDecoder(
                TransformerDecoderLayer(*options, dtype=dtype), num_decoder_layers, norm()
            )
        self.encoder, self.decoder = custom_encoder, custom_decoder
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """tgt (batch, target time, d_model) with src (batch, source time, d_model), to tgt's shape.

        The time comes first unless batch_first, or both without the batch. The masks are the layers'; None for
        is_causal is False.
        """
        memory = self.encoder(src, src_mask, src_key_padding_mask, bool(src_is_causal))
        return self.decoder(
            tgt,
            memory,
            tgt_mask,
            memory_mask,
            tgt_key_padding_mask,
            memory_key_padding_mask,
            bool(tgt_is_causal),
            bool(memory_is_causal),
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: str = "cpu", dtype: DTypeLike = "float32") -> Tensor:
        """A causal mask (sz, sz) to add to scores: 0 where the key is not after the query, -inf elsewhere."""
        return mg.triu(mg.full((sz, sz), -math.inf, dtype=dtype, device=device), 1)


def _feed_forward(layer, x):
    """linear2(dropout(activation(linear1(x)))), the activation in the pass of linear1 where that is possible."""
    if isinstance(layer.activation, str):
        hidden = layer.linear1(x, layer.activation)
    else:
        hidden = layer.activation(layer.linear1(x))
    return layer.linear2(layer.dropout(hidden))


def _activation(layer: str, activation):
    """The name that F.linear knows, or else the callable itself."""
    if isinstance(activation, str):
        if activation not in BY_NAME:
            raise ValueError(f"{layer}: activation={activation!r}; choose {', '.join(BY_NAME)}, or give a function")
        return activation
    if not callable(activation):
        raise TypeError(f"{layer}: activation={activation!r}; expected a name or a function")
    return FUSED.get(activation, activation)


def _each(caches, layers: ModuleList) -> list:
    """A cache for each layer; None for each when there are none."""
    if caches is None:
        return [None] * len(layers)
    if len(caches) != len(layers):
        raise ValueError(f"{len(caches)} caches for {len(layers)} layers; make them with new_caches()")
    return caches
