"""Other names for the same operation, as PyTorch has them. Each is the very function: `subtract is sub`."""

from minigrad import ops

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
concat = ops.cat
concatenate = ops.cat
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
row_stack = ops.vstack
sgn = ops.sign
subtract = ops.sub
swapdims = ops.swapaxes
true_divide = ops.div
vdot = ops.dot

__all__ = [
    "absolute",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "argwhere",
    "clip",
    "concat",
    "concatenate",
    "divide",
    "fix",
    "ger",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "moveaxis",
    "multiply",
    "negative",
    "not_equal",
    "ravel",
    "row_stack",
    "sgn",
    "subtract",
    "swapdims",
    "true_divide",
    "vdot",
]
