"""Elementary functions for float32 that LLVM can vectorise.

numba hands `math.exp` and similar functions to the C library, one number at a time. The
functions below are plain arithmetic without branches, so a loop that calls them
turns into vector instructions: about 0.3 ns per number instead of 2.3 for exp.

Inside a kernel:

    from minigrad.kernels.cpu import simd

    for i in range(n):
        y[i] = simd.exp(x[i] - simd.maximum(a, b))

Everything takes and returns float32; constants must be float32 too, because one
Python float in an expression makes all of it float64, and half as fast.

The flag `contract` allows a fused multiply-add and nothing else. Looser flags
would let LLVM undo the rounding tricks below, or assume that there is no inf
and no NaN.

A loop vectorises if it runs from 0 to the size of a one-dimensional array. From any
other start numba allows for a negative index, which counts from the end, and LLVM
gives up: pass a slice to a function instead. To see what a loop became, look for
`ymm` or `zmm` in `kernel.inspect_asm()`.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minigrad.kernels.compiled_cache import jit

# For loops that sum: lets the additions be reordered (so that they vectorise), but unlike
# fastmath=True keeps inf and NaN meaningful.
REORDER = {"reassoc", "contract", "nsz"}

# How every kernel here is compiled: on its first call, for the one signature that its wrapper uses.
# Only prange becomes parallel; numba need not look for other parallelism.
_PRANGE = ("comprehension", "fusion", "inplace_binop", "numpy", "reduction", "setitem", "stencil")
parallel = jit(parallel={**dict.fromkeys(_PRANGE, False), "prange": True}, fastmath=REORDER, error_model="numpy")
# A part of such a kernel: a loop over a slice, which vectorises better here than inside the prange.
serial = jit(fastmath=REORDER, error_model="numpy")

# A formula to use inside the loops, computed in the order in which it is written (see above).
inline = jit(fastmath={"contract"}, forceinline=True, error_model="numpy")


# ---- one LLVM instruction each -------------------------------------------------------------


@intrinsic
def maximum(typing, a, b):
    """max(a, b), NaN if either is: Python's max is a branch, and a row maximum would not vectorise."""

    def generate(context, builder, signature, arguments):
        float32 = ir.FloatType()
        function_type = ir.FunctionType(float32, [float32, float32])
        function = builder.module.declare_intrinsic("llvm.maximum", [float32], function_type)
        return builder.call(function, arguments, fastmath=("nsz",))

    return types.float32(types.float32, types.float32), generate


@intrinsic
def select(typing, condition, a, b):
    """`a if condition else b` without a branch: both are computed."""

    def generate(context, builder, signature, arguments):
        return builder.select(*arguments)

    return types.float32(types.boolean, types.float32, types.float32), generate


@intrinsic
def float_as_int(typing, x):
    """The 32 bits of a float as an integer."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


@intrinsic
def int_as_float(typing, bits):
    """The float that has these 32 bits."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@inline
def clamp(x, limit):
    """x brought into -limit .. limit; NaN stays NaN, because no comparison is true of it."""
    x = select(x < -limit, -limit, x)
    return select(x > limit, limit, x)


# ---- exp, and what follows from it ---------------------------------------------------------

_ONE, _TWO = np.float32(1), np.float32(2)
_LOG2_E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)  # 9 bits of ln 2, so that n * _LN2_HIGH is exact
_LN2_LOW = np.float32(-2.1219444e-4)  # the rest of it
# Adding 1.5 * 2^23 pushes the fraction of a float out of its 24 bits; the low bits are then round(t).
_ROUND = np.float32(1.5 * 2**23 + 127)  # 127: the bias of the exponent field, wanted below
_EXP_MIN, _EXP_MAX = np.float32(-88), np.float32(89)
_ZERO = np.float32(0)
_MANTISSA_BITS = np.int32(23)

# Minimax for (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2.
_E2, _E3, _E4 = np.float32(0.49999993412), np.float32(0.16666520108), np.float32(0.04166839422)
_E5, _E6 = np.float32(0.00836878042), np.float32(0.00138144668)


@inline
def exp(x):
    """e^x to 1.2e-7 relative: x = n ln 2 + r with |r| <= ln(2)/2, then e^x = 2^n e^r (Cody and Waite).

    0 below -87.68 (so for -inf), inf above 88.37, NaN for NaN.
    """
    x = select(x < _EXP_MIN, _EXP_MIN, x)  # in this order NaN passes through both
    x = select(x > _EXP_MAX, _EXP_MAX, x)
    shifted = x * _LOG2_E + _ROUND
    n = shifted - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = (((((_E6 * r + _E5) * r + _E4) * r + _E3) * r + _E2) * r + _ONE) * r + _ONE
    # n + 127 moved into the exponent field is 2^n; it is 0 for n = -127 and inf for n = 128.
    return p * int_as_float(float_as_int(shifted) << _MANTISSA_BITS)


@inline
def sigmoid(x):
    """1 / (1 + e^-x)."""
    return _ONE / (_ONE + exp(-x))


@inline
def tanh(x):
    """2 sigmoid(2x) - 1, to 1.2e-7 absolute."""
    return _TWO * sigmoid(_TWO * x) - _ONE


# Minimax for 2^f on |f| <= 1/2, to 8e-8 relative.
_T1, _T2, _T3 = np.float32(0.69314697), np.float32(0.2402212), np.float32(0.05550713)
_T4, _T5 = np.float32(0.00967554), np.float32(0.00132765)
_LEAST_POWER = np.float32(-127)  # whose exponent field is 0, and so is the number

# Minimax for log2(1 - Phi(z)), z >= 0; its leading term is negative, so that beyond z = 6 it falls on to -inf.
_P0, _P1, _P2 = np.float32(-0.999999959), np.float32(-1.15110694), np.float32(-0.459193057)
_P3, _P4, _P5 = np.float32(-0.052546437), np.float32(0.00714278298), np.float32(-0.000202479756)
_P6, _P7, _P8 = np.float32(-0.000157278464), np.float32(3.29679525e-5), np.float32(-2.27586675e-6)


@inline
def normal_cdf(x):
    """Phi(x) = (1 + erf(x / sqrt 2)) / 2, the normal distribution function, to 1.2e-7 absolute.

    From its tail 1 - Phi(|x|) = 2^p, which stays exact to some digits where 1 + erf would cancel. In base 2, and
    because p < 0, a power takes less than exp does above.
    """
    z = abs(x)
    p = (((_P8 * z + _P7) * z + _P6) * z + _P5) * z + _P4
    p = (((p * z + _P3) * z + _P2) * z + _P1) * z + _P0
    p = select(p < _LEAST_POWER, _LEAST_POWER, p)
    shifted = p + _ROUND
    f = p - (shifted - _ROUND)
    power = ((((_T5 * f + _T4) * f + _T3) * f + _T2) * f + _T1) * f + _ONE
    tail = power * int_as_float(float_as_int(shifted) << _MANTISSA_BITS)
    return select(x >= _ZERO, _ONE - tail, tail)
