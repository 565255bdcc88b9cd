"""Tensor's methods: the functions of ops/ under the names that they have on a tensor.

`x.softmax(-1)` is `ops.softmax(x, -1)`, docstring included: a name that stands in the class below is a method of
Tensor. The class exists so that an editor and a type checker see every method. Tensor itself cannot list them,
since the operations are written in terms of Tensor; at the end of this file they are hung on it.
"""

from typing import Any

from minigrad import ops, sampling
from minigrad.conversions import Conversions
from minigrad.inplace import InPlace
from minigrad.operators import Operators
from minigrad.overwriting import Overwriting
from minigrad.tensor import Tensor


class Methods(Operators, InPlace, Overwriting, Conversions):
    """What Tensor can compute, as a type checker sees it: the base of Tensor while types are checked, and only then."""

    __slots__ = ()

    # The operations.

    abs = ops.abs
    acos = ops.acos
    acosh = ops.acosh
    add = ops.add
    addcdiv = ops.addcdiv
    addcmul = ops.addcmul
    addmm = ops.addmm
    addmv = ops.addmv
    all = ops.all
    allclose = ops.allclose
    amax = ops.amax
    amin = ops.amin
    aminmax = ops.aminmax
    any = ops.any
    argmax = ops.argmax
    argmin = ops.argmin
    argsort = ops.argsort
    asin = ops.asin
    asinh = ops.asinh
    astype = ops.astype
    bitwise_and = ops.bitwise_and
    bitwise_left_shift = ops.bitwise_left_shift
    bitwise_not = ops.bitwise_not
    bitwise_or = ops.bitwise_or
    bitwise_right_shift = ops.bitwise_right_shift
    bitwise_xor = ops.bitwise_xor
    atan = ops.atan
    atan2 = ops.atan2
    atanh = ops.atanh
    baddbmm = ops.baddbmm
    bincount = ops.bincount
    bmm = ops.bmm
    broadcast_to = ops.broadcast_to
    ceil = ops.ceil
    chunk = ops.chunk
    clamp = ops.clamp
    clone = ops.clone
    contiguous = ops.contiguous
    cos = ops.cos
    cumprod = ops.cumprod
    cosh = ops.cosh
    count_nonzero = ops.count_nonzero
    cross = ops.cross
    cummax = ops.cummax
    cummin = ops.cummin
    cumsum = ops.cumsum
    diag = ops.diag
    diag_embed = ops.diag_embed
    diagflat = ops.diagflat
    diagonal = ops.diagonal
    diff = ops.diff
    div = ops.div
    dot = ops.dot
    elu = ops.elu
    eq = ops.eq
    equal = ops.equal
    erf = ops.erf
    exp = ops.exp
    exp2 = ops.exp2
    expand = ops.expand
    expand_as = ops.expand_as
    expm1 = ops.expm1
    flatten = ops.flatten
    flip = ops.flip
    fliplr = ops.fliplr
    flipud = ops.flipud
    floor = ops.floor
    floor_divide = ops.floor_divide
    fmod = ops.fmod
    frac = ops.frac
    gather = ops.gather
    ge = ops.ge
    gelu = ops.gelu
    gt = ops.gt
    heaviside = ops.heaviside
    histc = ops.histc
    hypot = ops.hypot
    index_add = ops.index_add
    index_copy = ops.index_copy
    index_fill = ops.index_fill
    index_select = ops.index_select
    inner = ops.inner
    isclose = ops.isclose
    isfinite = ops.isfinite
    isinf = ops.isinf
    isnan = ops.isnan
    kron = ops.kron
    le = ops.le
    leaky_relu = ops.leaky_relu
    lerp = ops.lerp
    log = ops.log
    log10 = ops.log10
    log1p = ops.log1p
    log2 = ops.log2
    log_softmax = ops.log_softmax
    logaddexp = ops.logaddexp
    logical_and = ops.logical_and
    logical_not = ops.logical_not
    logical_or = ops.logical_or
    logical_xor = ops.logical_xor
    logit = ops.logit
    logsumexp = ops.logsumexp
    lt = ops.lt
    masked_fill = ops.masked_fill
    masked_scatter = ops.masked_scatter
    masked_select = ops.masked_select
    matmul = ops.matmul
    matrix_power = ops.matrix_power
    max = ops.max
    maximum = ops.maximum
    mean = ops.mean
    median = ops.median
    min = ops.min
    minimum = ops.minimum
    mm = ops.mm
    mode = ops.mode
    movedim = ops.movedim
    mul = ops.mul
    mv = ops.mv
    nan_to_num = ops.nan_to_num
    nanmean = ops.nanmean
    nanmedian = ops.nanmedian
    nansum = ops.nansum
    narrow = ops.narrow
    ne = ops.ne
    neg = ops.neg
    nonzero = ops.nonzero
    norm = ops.norm
    outer = ops.outer
    permute = ops.permute
    pow = ops.pow
    prod = ops.prod
    quantile = ops.quantile
    reciprocal = ops.reciprocal
    relu = ops.relu
    remainder = ops.remainder
    repeat = ops.repeat
    repeat_interleave = ops.repeat_interleave
    reshape = ops.reshape
    roll = ops.roll
    rot90 = ops.rot90
    round = ops.round
    rsqrt = ops.rsqrt
    scatter = ops.scatter
    scatter_add = ops.scatter_add
    select = ops.select
    sigmoid = ops.sigmoid
    sign = ops.sign
    silu = ops.silu
    sin = ops.sin
    sinh = ops.sinh
    softmax = ops.softmax
    softplus = ops.softplus
    sort = ops.sort
    split = ops.split
    sqrt = ops.sqrt
    square = ops.square
    squeeze = ops.squeeze
    std = ops.std
    sub = ops.sub
    sum = ops.sum
    swapaxes = ops.swapaxes
    t = ops.t
    take = ops.take
    take_along_dim = ops.take_along_dim
    tan = ops.tan
    tanh = ops.tanh
    tile = ops.tile
    topk = ops.topk
    trace = ops.trace
    transpose = ops.transpose
    tril = ops.tril
    triu = ops.triu
    trunc = ops.trunc
    unbind = ops.unbind
    unflatten = ops.unflatten
    unfold = ops.unfold
    unique = ops.unique
    unique_consecutive = ops.unique_consecutive
    unsqueeze = ops.unsqueeze
    var = ops.var
    view_as = ops.view_as
    xlogy = ops.xlogy

    # The same under other names.

    absolute = ops.abs
    arccos = ops.acos
    arccosh = ops.acosh
    arcsin = ops.asin
    arcsinh = ops.asinh
    arctan = ops.atan
    arctan2 = ops.atan2
    arctanh = ops.atanh
    argwhere = ops.nonzero
    clip = ops.clamp
    divide = ops.div
    fix = ops.trunc
    ger = ops.outer
    greater = ops.gt
    greater_equal = ops.ge
    less = ops.lt
    less_equal = ops.le
    moveaxis = ops.movedim
    multiply = ops.mul
    negative = ops.neg
    not_equal = ops.ne
    ravel = ops.flatten
    sgn = ops.sign
    subtract = ops.sub
    swapdims = ops.swapaxes
    true_divide = ops.div
    vdot = ops.dot
    view = ops.reshape

    def where(self: Any, condition: Any, other: Any) -> Tensor:
        """self where the condition holds, other elsewhere."""
        return ops.where(condition, self, other)

    @property
    def T(self: Any) -> Tensor:
        """All dimensions reversed."""
        return ops.permute(self, *reversed(range(self.ndim)))

    @property
    def mT(self: Any) -> Tensor:
        """The last two dimensions exchanged."""
        return ops.swapaxes(self, -1, -2)

    def reshape_as(self: Any, other: Tensor) -> Tensor:
        """self in the shape of other."""
        return ops.reshape(self, other.shape)

    bernoulli = sampling.bernoulli
    multinomial = sampling.multinomial

    # What it is, under PyTorch's names.

    nelement = Tensor.numel
    ndimension = Tensor.dim

    def element_size(self: Any) -> Any:
        """The bytes of one element."""
        return self.data.itemsize

    def is_contiguous(self: Any) -> Any:
        """Whether the elements lie in C order in memory."""
        return self.data.flags.c_contiguous

    def stride(self: Any, dim: Any = None) -> Any:
        """How many elements apart neighbours are along each dimension, or along one."""
        strides = tuple(step // self.data.itemsize for step in self.data.strides)
        return strides if dim is None else strides[dim]

    @property
    def is_cuda(self: Any) -> Any:
        """Whether it is on the GPU."""
        return self.device == "cuda"


for _name, _member in (vars(Operators) | vars(InPlace) | vars(Overwriting) | vars(Conversions) | vars(Methods)).items():
    if callable(_member) or isinstance(_member, property):  # not __module__, nor the __hash__ that __eq__ sets to None
        setattr(Tensor, _name, _member)
