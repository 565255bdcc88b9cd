"""Automatic mixed precision: matrix products in half precision, all else in float32.

    scaler = mg.GradScaler()                     # for float16; bfloat16 needs none
    with mg.autocast("bfloat16"):
        loss = model(x)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()

(Micikevicius et al. 2018.) The weights stay float32 and are cast where they are used. Products (matmul, linear,
convolution, attention) give half precision; sums, normalisation, softmax, exponentials and losses take it back to
float32. float16 has few exponents: small gradients become 0 unless the loss is scaled up first. bfloat16 has float32's.
"""

from minigrad.dtypes import DEFAULT, FLOATING, HALVES, as_dtype, is_half
from minigrad.modes import Mode, State
from minigrad.tensor import Tensor, unwrap
from minigrad.typing import DType, TensorLike
from minigrad.writes import last_write


class _Products:
    """The dtype of products, None outside autocast, and each parameter's cast, made once in a block."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.casts: dict[Tensor, tuple] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Products) and self.dtype == other.dtype


_autocast = State(_Products(None))


class autocast(Mode):
    """Inside, products are computed in dtype, "bfloat16" or "float16". Also a decorator.

    Only the forward pass belongs inside: gradients follow the dtypes of what they are gradients of.
    """

    state = _autocast

    def __init__(self, dtype="bfloat16", enabled: bool = True):
        if enabled and str(dtype) not in HALVES:
            raise ValueError(f'autocast: dtype {dtype!r}; choose "bfloat16" or "float16"')
        self.dtype = as_dtype(dtype) if enabled else None

    def entered(self) -> _Products:
        return _Products(self.dtype)


def autocast_dtype() -> DType | None:
    """The dtype that products are computed in here; None outside autocast."""
    return _autocast.value.dtype


def for_products(*operands: TensorLike | None) -> tuple:
    """Operands of a product as autocast wants them: floating ones in its dtype. None stays None."""
    return tuple(x if x is None else _cast(x) for x in operands)


def for_sums(x: Tensor) -> Tensor:
    """An operand of what autocast computes in float32: half precision comes back to float32, within autocast."""
    if _autocast.value.dtype is None or not is_half(unwrap(x).dtype):
        return x
    from minigrad.ops import astype

    return astype(x, DEFAULT)


def _cast(x):
    from minigrad.ops import astype

    dtype, wanted = unwrap(x).dtype, _autocast.value.dtype
    if dtype == wanted or dtype.kind not in FLOATING or dtype.itemsize == 8:
        return x
    if not (isinstance(x, Tensor) and x.is_leaf and x.requires_grad):
        return astype(x, wanted)
    casts, written = _autocast.value.casts, last_write(x.array)
    kept = casts.get(x)
    # A backward pass within the block has released what the cast had saved: then it is made again.
    if kept is None or kept[1] != written or (kept[0].grad_fn is not None and kept[0].grad_fn.saved is None):
        kept = casts[x] = astype(x, wanted), written
    return kept[0]
