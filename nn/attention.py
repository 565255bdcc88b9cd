"""MultiheadAttention: several attentions side by side, each on its own projection of the input."""

import math

import minigrad as mg
from minigrad import ops
from minigrad.devices import array_module
from minigrad.dtypes import FLOATING
from minigrad.ops.attention import attention_with_weights
from minigrad.tensor import Tensor, wrap
from minigrad.typing import Array
from nn import functional as F
from nn import init
from nn.cache import KVCache
from nn.checks import check_probability, check_sizes
from nn.linear import Linear
from nn.module import Module, Parameter


class MultiheadAttention(Module):
    """softmax(Q Kᵀ/√d) V in num_heads subspaces of d = embed_dim/num_heads, joined by out_proj.

    (Vaswani et al. 2017, section 3.2.2.) Parameters as in torch.nn.MultiheadAttention: in_proj_weight
    stacks the projections to queries, keys and values; where kdim or vdim differ from embed_dim
    they are q_proj_weight, k_proj_weight, v_proj_weight. in_proj_bias is always stacked.

    dropout       probability of dropping an attention weight in training
    kdim, vdim    last sizes of key and value, embed_dim by default
    batch_first   inputs and output are (batch, time, ...) instead of (time, batch, ...)
    num_kv_heads  fewer heads for keys and values, each shared by neighbouring query heads (Ainslie et al. 2023)
    rotary        a RotaryEmbedding that turns queries and keys by their positions
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        num_kv_heads: int | None = None,
        rotary: Module | None = None,
        dtype="float32",
    ):
        super().__init__()
        check_sizes("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads)
        check_probability("MultiheadAttention", dropout)
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if num_heads == 0 or embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: embed_dim={embed_dim} is not divisible by num_heads={num_heads}")
        if num_kv_heads < 1 or num_heads % num_kv_heads:
            raise ValueError(f"MultiheadAttention: num_kv_heads={num_kv_heads} does not divide num_heads={num_heads}")
        if add_bias_kv or add_zero_attn:
            raise NotImplementedError(
                "MultiheadAttention: add_bias_kv and add_zero_attn are not offered; leave both out"
            )
        self.embed_dim, self.num_heads, self.num_kv_heads = embed_dim, num_heads, num_kv_heads
        self.head_dim = embed_dim // num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.dropout, self.batch_first = dropout, batch_first
        kv_size = num_kv_heads * self.head_dim
        self._sizes = [embed_dim, kv_size, kv_size]  # of the projected queries, keys and values

        if self.kdim == embed_dim == self.vdim:
            self.in_proj_weight: Parameter | None = Parameter(mg.empty(sum(self._sizes), embed_dim, dtype=dtype))
            self.q_proj_weight = self.k_proj_weight = self.v_proj_weight = None
        else:
            self.in_proj_weight = None
            self.q_proj_weight = Parameter(mg.empty(embed_dim, embed_dim, dtype=dtype))
            self.k_proj_weight = Parameter(mg.empty(kv_size, self.kdim, dtype=dtype))
            self.v_proj_weight = Parameter(mg.empty(kv_size, self.vdim, dtype=dtype))
        self.in_proj_bias = Parameter(mg.empty(sum(self._sizes), dtype=dtype)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype)
        self.rotary = rotary
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values: Xavier uniform projections, biases 0."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)

    def new_cache(self, batch: int, max_length: int) -> KVCache:
        """An empty KVCache that fits this layer."""
        weight = self.out_proj.weight
        return KVCache(batch, self.num_kv_heads, max_length, self.head_dim, weight.dtype, weight.device)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | Array | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | Array | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        *,
        cache: KVCache | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """(output, weights): output like query; weights (batch, queries, keys), or None.

        query (batch, queries, embed_dim), key (batch, keys, kdim), value (batch, keys, vdim), with the
        first two exchanged unless batch_first; or all three without the batch.

        key_padding_mask      (batch, keys): boolean, True at keys to leave out; or float, added to the scores
        attn_mask             (queries, keys) or (batch·heads, queries, keys): likewise
        is_causal             query i sees keys 0..i, whether or not attn_mask says so too
        need_weights          return the attention weights; False takes the fused kernel, which never has them
        average_attn_weights  False: weights (batch, heads, queries, keys)
        cache                 a KVCache: keys and values are appended to it, and the queries, which stand at the
                              end, attend over all it holds. key=None: attend over what it holds already.

        A query that may attend to nothing gets attention 0 (PyTorch: NaN).
        """
        if query.ndim == 2:
            options = {"need_weights": need_weights, "average_attn_weights": average_attn_weights, "cache": cache}
            return self._unbatched(
                query, key, value, key_padding_mask, attn_mask=attn_mask, is_causal=is_causal, **options
            )
        self._check_inputs(query, key, value)
        past = 0 if cache is None else cache.length
        if key is None:
            q = self._query(query)
            k, v = self._cached(cache, is_causal)
        else:
            q, k, v = self._project(query, key, value)
            if self.rotary is not None:
                q, k = self.rotary(q, past), self.rotary(k, past)
            if cache is not None:
                k, v = cache.append(k, v)
        mask = self._mask(key_padding_mask, attn_mask, q.shape[0], q.shape[2], k.shape[2])
        causal_offset = past if is_causal else None
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scale, seed = 1 / math.sqrt(self.head_dim or 1), mg.random.next_seed() if dropout else 0
            out, weights = attention_with_weights(q, k, v, mask, causal_offset, scale, dropout, seed)
            weights = ops.mean(weights, 1) if average_attn_weights else weights
        else:
            out = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal, causal_offset=causal_offset)
        # (batch, heads, time, head_dim) to the layout of query; batch first is how the kernel leaves it in memory
        out = ops.permute(out, (0, 2, 1, 3) if self.batch_first else (2, 0, 1, 3))
        out = ops.reshape(out, *query.shape[:2], self.embed_dim)
        return self.out_proj(out), weights

    def _check_inputs(self, query, key, value) -> None:
        given = [query] if key is None or (key is query and value is query) else [query, key, value]
        batch, time = (0, 1) if self.batch_first else (1, 0)
        if (
            any(x.ndim != 3 for x in given)
            or any(x.shape[batch] != query.shape[batch] for x in given)
            or given[-1].shape[time] != given[len(given) // 2].shape[time]
        ):
            layout = "(batch, time, size)" if self.batch_first else "(time, batch, size)"
            shapes = ", ".join(str(x.shape) for x in given)
            raise ValueError(
                f"MultiheadAttention: query, key, value {shapes}: expected {layout} each, with one batch size, and one "
                "time for key and value; or all without the batch"
            )

    def _project(self, query, key, value):
        """Queries, keys and values by heads, (batch, heads, time, head_dim), all views of the products' memory."""
        heads = [self.num_heads, self.num_kv_heads, self.num_kv_heads]
        if self.in_proj_weight is not None and key is query and value is query:
            # One product. Its heads are views, and the gradient of split joins theirs in the same memory
            # order, so that (batch, time, 3, heads, head_dim) is written once, contiguously.
            together = F.linear(query, self.in_proj_weight, self.in_proj_bias)
            return ops.split(self._heads(together, sum(heads)), heads, 1)
        biases = (None, None, None) if self.in_proj_bias is None else ops.split(self.in_proj_bias, self._sizes)
        if self.in_proj_weight is None:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        else:
            weights = ops.split(self.in_proj_weight, self._sizes)
        projected = (F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
        return tuple(self._heads(x, n) for x, n in zip(projected, heads, strict=True))

    def _query(self, query):
        """The queries alone, by heads."""
        weight = self.q_proj_weight
        if weight is None:
            weight = ops.split(self.in_proj_weight, self._sizes)[0]
        bias = None if self.in_proj_bias is None else ops.split(self.in_proj_bias, self._sizes)[0]
        return self._heads(F.linear(query, weight, bias), self.num_heads)

    def _heads(self, x, heads: int):
        """(batch, time, heads·head_dim), or time first, as (batch, heads, time, head_dim)."""
        x = ops.reshape(x, *x.shape[:2], heads, self.head_dim)
        return ops.permute(x, (0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3))

    def _cached(self, cache: KVCache | None, is_causal: bool):
        if cache is None or is_causal or self.rotary is not None:
            raise ValueError(
                "MultiheadAttention: key=None needs a cache to attend over, and neither is_causal nor rotary: "
                "where the queries stand among its keys is not known"
            )
        return cache.view()

    def _mask(self, key_padding_mask, attn_mask, batch: int, queries: int, keys: int):
        """Both masks as one for F.scaled_dot_product_attention: boolean, True where a query may look; or float."""
        masks = []
        if key_padding_mask is not None:
            mask = _checked_mask("key_padding_mask", key_padding_mask, [(batch, keys)])
            masks.append(ops.reshape(mask, batch, 1, 1, keys))
        if attn_mask is not None:
            mask = _checked_mask("attn_mask", attn_mask, [(queries, keys), (batch * self.num_heads, queries, keys)])
            lead = (batch, self.num_heads) if mask.ndim == 3 else (1, 1)
            masks.append(ops.reshape(mask, *lead, queries, keys))
        if not masks:
            return None
        if all(mask.dtype == bool for mask in masks):
            hidden = masks[0].data if len(masks) == 1 else masks[0].data | masks[1].data
            return wrap(~hidden)
        dtype = self.out_proj.weight.dtype
        scores = [_as_scores(mask, dtype) for mask in masks]
        return scores[0] if len(scores) == 1 else scores[0] + scores[1]

    def _unbatched(self, query, key, value, key_padding_mask, **options):
        """forward without the batch dimension: with a batch of one."""
        batch_dim = 0 if self.batch_first else 1
        same = key is query and value is query
        query = ops.unsqueeze(query, batch_dim)
        key = query if same else key if key is None else ops.unsqueeze(key, batch_dim)
        value = query if same else value if value is None else ops.unsqueeze(value, batch_dim)
        mask = None if key_padding_mask is None else ops.unsqueeze(key_padding_mask, 0)
        out, weights = self.forward(query, key, value, mask, **options)
        return ops.squeeze(out, batch_dim), None if weights is None else ops.squeeze(weights, 0)

    def extra_repr(self) -> str:
        grouped = "" if self.num_kv_heads == self.num_heads else f", num_kv_heads={self.num_kv_heads}"
        return f"{self.embed_dim}, num_heads={self.num_heads}{grouped}, batch_first={self.batch_first}"


def _checked_mask(name: str, mask, shapes: list) -> Tensor:
    mask = mask if isinstance(mask, Tensor) else Tensor(mask)
    if mask.shape not in shapes:
        expected = " or ".join(str(shape) for shape in shapes)
        raise ValueError(f"MultiheadAttention: {name} {mask.shape}; expected {expected}")
    if mask.dtype.kind not in f"b{FLOATING}":
        raise TypeError(f"MultiheadAttention: {name} is {mask.dtype}; expected bool (True: left out) or float")
    return mask


def _as_scores(mask: Tensor, dtype) -> Tensor:
    """A mask as numbers to add to the scores: -inf for True."""
    if mask.dtype != bool:
        return ops.astype(mask, dtype)
    return wrap(array_module(mask.data).where(mask.data, -math.inf, 0).astype(dtype))
