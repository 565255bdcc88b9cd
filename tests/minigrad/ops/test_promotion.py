"""In which dtype two operands meet: every pair of dtypes and of kinds, every binary operation, forward and backward.

The default suite compares with PyTorch's rule as it is stated here, in a few lines of its own; with `-m parity` the
same combinations run in PyTorch, too.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

import minigrad as mg
from minigrad.dtypes import as_dtype, result_type
from minigrad.tensor import Tensor

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
FLOATS = DTYPES[6:]
INTEGERS = DTYPES[1:6]

# PyTorch's rule, stated once more and in another way: by tables of names.


def category(dtype: str) -> int:
    return 0 if dtype == "bool" else 1 if "int" in dtype else 2


def of_one_rank(a: str, b: str) -> str:
    """The dtype for two tensors with dimensions, or for two without."""
    if category(a) != category(b):
        return max(a, b, key=category)
    if a == b:
        return a
    if {a, b} == {"float16", "bfloat16"}:
        return "float32"
    if "uint8" in (a, b):  # one bit more than the signed one of its width holds
        other = b if a == "uint8" else a
        return "int16" if other == "int8" else other
    return max(a, b, key=DTYPES.index)


def meeting(a: "Operand", b: "Operand") -> str:
    """The dtype in which two operands meet."""
    if a.rank == b.rank:
        return of_one_rank(a.dtype, b.dtype)
    higher, lower = (a, b) if a.rank > b.rank else (b, a)
    return lower.dtype if category(lower.dtype) > category(higher.dtype) else higher.dtype


@dataclass(frozen=True)
class Operand:
    """kind: "1-d" and "0-d" tensors of dtype; "number", a Python one; "scalar", numpy's of `scalar`."""

    kind: str
    dtype: str
    scalar: str = ""

    @property
    def rank(self) -> int:
        return {"1-d": 2, "0-d": 1}.get(self.kind, 0)

    @property
    def is_tensor(self) -> bool:
        return self.rank > 0

    @property
    def is_floating(self) -> bool:
        return category(self.dtype) == 2

    def __str__(self):
        return f"{self.kind} {self.scalar or self.dtype}"

    def values(self, which: int) -> list | float | int | bool:
        """Small numbers, which give results that every dtype holds; as second operand without 0."""
        numbers = {
            0: ([True, False, True], [True, True, True]),
            1: ([3, 2, 5], [2, 1, 3]),
            2: ([2.5, 0.0, 0.5], [1.5, 2.0, 0.5]),
        }
        three = numbers[category(self.dtype)][which]
        return three if self.rank == 2 else three[0]

    def ours(self, which: int):
        if self.is_tensor:
            return Tensor(
                np.array(self.values(which)).astype(as_dtype(self.dtype)),
                requires_grad=self.is_floating,
            )
        return np.dtype(self.scalar).type(self.values(which)) if self.scalar else self.values(which)

    def theirs(self, torch, which: int):
        if not self.is_tensor:
            return self.values(which)
        return torch.tensor(self.values(which), dtype=getattr(torch, self.dtype), requires_grad=self.is_floating)


TENSORS = [Operand(kind, dtype) for kind in ("1-d", "0-d") for dtype in DTYPES]
NUMBERS = [Operand("number", "bool"), Operand("number", "int64"), Operand("number", "float32")]
SCALARS = [
    *(Operand("scalar", "int64", name) for name in ("uint8", "int32", "int64")),
    *(Operand("scalar", "float32", name) for name in ("float16", "float32", "float64")),
    Operand("scalar", "bool", "bool"),
]
PAIRS = [(a, b) for a, b in itertools.product(TENSORS + NUMBERS + SCALARS, repeat=2) if a.is_tensor or b.is_tensor]

ARITHMETIC = ("add", "sub", "mul", "div", "pow", "floor_divide", "remainder", "fmod", "maximum", "minimum")
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor")
BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift")
CHOICES = ("where", "clamp")
OPERATIONS = (*ARITHMETIC, *COMPARISONS, *BITWISE, *CHOICES)


def expected_dtype(op: str, a: Operand, b: Operand) -> str | None:
    """The result's dtype, or None where the operation is refused."""
    meet = meeting(a, b)
    if op in COMPARISONS:
        return "bool"
    if op == "sub" and "bool" in (a.dtype, b.dtype):
        return None
    if op in ("pow", "floor_divide", "remainder", "fmod") and meet == "bool":
        return None
    if op == "clamp" and meet == "bool" and not b.is_tensor:
        return None
    if op in BITWISE and category(meet) == 2:
        return None
    if op.endswith("shift") and meet == "bool":
        return None
    if op == "div" and category(meet) < 2:
        return "float32"
    return meet


def run(m, op: str, a, b):
    if op == "where":
        condition = m.tensor([True, False, True])
        return m.where(condition, a, b)
    if op == "clamp":
        return m.clamp(a, max=b)
    return getattr(m, op)(a, b)


def float64(operand: Operand, which: int, through: str) -> np.ndarray:
    """The operand's numbers, rounded to the dtype it is computed in."""
    return np.array(operand.values(which)).astype(as_dtype(through)).astype(np.float64)


IN_FLOAT64 = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power,
    "floor_divide": np.floor_divide, "remainder": np.remainder, "fmod": np.fmod, "maximum": np.maximum,
    "minimum": np.minimum, "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor,
    "bitwise_and": lambda x, y: x.astype(np.int64) & y.astype(np.int64),
    "bitwise_or": lambda x, y: x.astype(np.int64) | y.astype(np.int64),
    "bitwise_xor": lambda x, y: x.astype(np.int64) ^ y.astype(np.int64),
    "bitwise_left_shift": lambda x, y: x * 2**y,
    "bitwise_right_shift": lambda x, y: x // 2**y,
    "where": lambda x, y: np.where([True, False, True], x, y),
    "clamp": np.minimum,
}  # fmt: skip

EPSILON = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 1e-6}


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_pair_meets_as_the_rule_says(op):
    wrong = []
    for a, b in PAIRS:
        if op == "clamp" and not a.is_tensor:
            continue
        expected, case = expected_dtype(op, a, b), f"{op}({a}, {b})"
        x, y = a.ours(0), b.ours(1)
        try:
            z = run(mg, op, x, y)
        except TypeError as error:
            if expected is not None:
                wrong.append(f"{case}: {error}")
            continue
        if str(z.dtype) != str(expected):
            wrong.append(f"{case}: {z.dtype}, not {expected}")
            continue
        meet = meeting(a, b)
        value = IN_FLOAT64[op](float64(a, 0, meet), float64(b, 1, meet))
        value = value != 0 if expected == "bool" else value
        if not np.allclose(z.data.astype(np.float64), value, rtol=EPSILON.get(expected, 1e-12), atol=0):
            wrong.append(f"{case}: {z.data}, not {value}")
        needs = [t for t in (x, y) if isinstance(t, Tensor) and t.requires_grad]
        if needs and z.requires_grad:
            z.sum().backward()
            for t in needs:
                if t.grad is None or t.grad.dtype != t.dtype or t.grad.shape != t.shape:
                    wrong.append(f"{case}: gradient {t.grad!r} of {t!r}")
        elif needs and op in ARITHMETIC + CHOICES and op != "floor_divide":
            wrong.append(f"{case}: no gradient")
    assert not wrong, f"{len(wrong)} of {len(PAIRS)}:\n" + "\n".join(wrong[:30])


# Against PyTorch itself.

# Refused by us, since a power of a boolean to a boolean is a slip; PyTorch lets x ** True pass and nothing else.
STRICTER = {("pow", "bool", "number"), ("pow", "bool", "scalar")}


def compare_with_torch(torch, op: str) -> tuple[int, list[str]]:
    """How many pairs both know, and in which they differ: dtype, value, error, gradients and their dtypes."""
    compared, wrong = 0, []
    for a, b in PAIRS:
        if op == "clamp" and not a.is_tensor:
            continue
        x, y, u, v = a.ours(0), b.ours(1), a.theirs(torch, 0), b.theirs(torch, 1)
        case = f"{op}({a}, {b})"
        try:
            theirs, refusal = run(torch, op, u, v), ""
        except (TypeError, RuntimeError) as error:
            theirs, refusal = None, str(error)
        if "must be Tensor" in refusal or "invalid combination" in refusal:
            continue  # torch.maximum and the like take no numbers; ours do
        if (op, a.dtype, b.kind) in STRICTER and b.dtype == "bool":
            continue
        compared += 1
        try:
            ours = run(mg, op, x, y)
        except (TypeError, ValueError) as error:
            if theirs is not None:
                wrong.append(f"{case}: {error}, not {theirs.dtype}")
            continue
        if theirs is None:
            wrong.append(f"{case}: {ours.dtype}, but torch says {refusal}")
            continue
        if not same(ours, theirs, torch):
            wrong.append(f"{case}: {ours!r}, not {theirs}")
            continue
        needs = [(s, t) for s, t in ((x, u), (y, v)) if isinstance(s, Tensor) and s.requires_grad]
        if not needs or not theirs.requires_grad or op == "floor_divide":
            continue
        ours.sum().backward()
        try:
            theirs.sum().backward()
        except RuntimeError:
            continue  # torch: number % tensor has no derivative, x ** bool a wrong one
        for s, t in needs:
            if s.grad is None or not same(s.grad, t.grad, torch, meeting(a, b)):
                wrong.append(f"{case}: gradient {s.grad!r}, not {t.grad}")
    return compared, wrong


def same(ours, theirs, torch, computed_in: str = "float64") -> bool:
    """Equal dtype, shape and numbers, as near as a few roundings of the dtype and of the one computed in."""
    dtype = str(theirs.dtype).removeprefix("torch.")
    if str(ours.dtype) != dtype or tuple(ours.shape) != tuple(theirs.shape):
        return False
    numbers = theirs.detach().to(torch.float64).numpy()
    rtol = 3 * max(EPSILON.get(dtype, 1e-12), EPSILON.get(computed_in, 0))
    return np.allclose(ours.data.astype(np.float64), numbers, rtol=rtol, atol=0, equal_nan=True)


@pytest.mark.parity
@pytest.mark.parametrize("op", OPERATIONS)
def test_every_pair_is_pytorchs(op):
    torch = pytest.importorskip("torch")
    compared, wrong = compare_with_torch(torch, op)
    print(f"{op}: {compared} combinations, {len(wrong)} differ")
    assert compared >= 400
    assert not wrong, f"{len(wrong)} of {compared}:\n" + "\n".join(wrong[:30])


@pytest.mark.parity
def test_result_type_is_pytorchs():
    torch = pytest.importorskip("torch")
    for a, b, c in itertools.product(TENSORS[::3] + NUMBERS, TENSORS, TENSORS[1::2] + NUMBERS):
        theirs = str(torch.result_type(a.theirs(torch, 0), b.theirs(torch, 0)))
        assert str(result_type(a.ours(0), b.ours(0))) == theirs.removeprefix("torch."), f"{a}, {b}"
        if a.kind == b.kind == c.kind == "1-d":
            joined = torch.cat([a.theirs(torch, 0), b.theirs(torch, 0), c.theirs(torch, 0)])
            assert "torch." + str(mg.cat([a.ours(0), b.ours(0), c.ours(0)]).dtype) == str(joined.dtype), (
                f"{a}, {b}, {c}"
            )


# Functions of one operand: which dtype of which, None where they are refused.


def kept(dtype: str) -> str:
    return dtype


def numbers_only(dtype: str) -> str | None:
    return None if dtype == "bool" else dtype


def floating_only(dtype: str) -> str | None:
    return dtype if category(dtype) == 2 else None


def to_floating(dtype: str) -> str:
    return dtype if category(dtype) == 2 else "float32"


def bits(dtype: str) -> str | None:
    return None if category(dtype) == 2 else dtype


def question(dtype: str) -> str:
    return "bool"


UNARY = {
    **dict.fromkeys(["exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "reciprocal", "sin", "cos"], to_floating),
    **dict.fromkeys(["tanh", "sigmoid", "erf"], to_floating),
    **dict.fromkeys(["leaky_relu", "elu", "gelu", "silu", "softplus", "softmax", "log_softmax"], floating_only),
    **dict.fromkeys(["abs", "neg", "floor", "ceil", "round", "relu"], numbers_only),
    **dict.fromkeys(["sign", "clone"], kept),
    **dict.fromkeys(["isnan", "isinf", "isfinite", "logical_not"], question),
    "bitwise_not": bits,
    "square": lambda dtype: "int64" if dtype == "bool" else dtype,
}
HALF_AND_WHOLE = [0.5, 3.0, 1.0]


def applied(m, name: str, x):
    keywords = {"dim": 0} if "softmax" in name else {}
    function = getattr(m, name, None) or getattr(m.nn.functional, name)
    return function(x, **keywords)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_operand(name, dtype):
    x = Tensor(np.array(HALF_AND_WHOLE).astype(as_dtype(dtype)), requires_grad=category(dtype) == 2)
    expected = UNARY[name](dtype)
    if expected is None:
        with pytest.raises(TypeError, match=r"bool|int|float"):
            applied(mg, name, x)
        return
    y = applied(mg, name, x)
    assert str(y.dtype) == expected
    assert y is not x or name == "sign"
    reference = applied(mg, name, Tensor(x.data.astype(np.float64 if category(expected) == 2 else x.dtype)))
    tolerance = 3 * EPSILON.get(expected, 1e-12)
    np.testing.assert_allclose(y.data.astype(np.float64), reference.data.astype(np.float64), rtol=tolerance)
    if y.requires_grad:
        y.sum().backward()
        assert x.grad.dtype == x.dtype


@pytest.mark.parity
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_operand_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    for dtype in DTYPES:
        x = Tensor(np.array(HALF_AND_WHOLE).astype(as_dtype(dtype)), requires_grad=category(dtype) == 2)
        u = torch.tensor(HALF_AND_WHOLE).to(getattr(torch, dtype)).requires_grad_(category(dtype) == 2)
        try:
            theirs = applied(torch, name, u)
        except (TypeError, RuntimeError):
            theirs = None
        try:
            ours = applied(mg, name, x)
        except TypeError:
            ours = None
        assert (ours is None) == (theirs is None), dtype
        if ours is None:
            continue
        assert same(ours, theirs, torch), f"{dtype}: {ours}, not {theirs}"
        if ours.requires_grad:
            ours.sum().backward()
            theirs.sum().backward()
            assert same(x.grad, u.grad, torch, dtype), f"{dtype}: gradient {x.grad}, not {u.grad}"


# The faults that were found, each as it was.

f32, f64, i64 = np.float32, np.float64, np.int64


def leaf(values, dtype=f32) -> Tensor:
    return Tensor(np.array(values, dtype), requires_grad=True)


def gradients_of(y: Tensor, *inputs: Tensor) -> list:
    y.sum().backward()
    assert [t.grad.dtype for t in inputs] == [t.dtype for t in inputs]
    return [t.grad.tolist() for t in inputs]


def test_numpy_scalars_and_integer_tensors_beside_a_tensor_that_needs_gradients():
    x = leaf([1.0, 2.0])
    mask, integers = mg.tensor([True, False]), mg.tensor([3, 4])
    for y, slope in [
        (x / np.sqrt(4.0), [0.5, 0.5]),
        (np.float64(2) * x, [2, 2]),
        (x * np.float64(2), [2, 2]),
        (x * integers, [3, 4]),
        (integers * x, [3, 4]),
        (x / mask.sum(), [1, 1]),
        (x - integers, [1, 1]),
        (integers / x, [-3, -1]),
        (np.int64(2) * x, [2, 2]),
        (np.bool_(True) * x, [1, 1]),
        (x**integers, [3, 32]),
        (x * mask, [1, 0]),
    ]:
        x.grad = None
        assert y.dtype == f32
        assert gradients_of(y, x) == [slope]


def test_a_0d_tensor_and_a_number_do_not_widen():
    x = leaf([1.0, 2.0])
    s = leaf(3.0, f64)
    y = x * s
    assert y.dtype == f32
    assert gradients_of(y, x, s) == [[3, 3], 3]
    assert (x * np.array(3.0)).dtype == f32
    assert (x // mg.tensor([2, 3])).dtype == f32
    assert (x % mg.tensor([2, 3])).dtype == f32
    assert (leaf(1.0) * np.float64(3)).dtype == f32
    assert (leaf(1.0) * s).dtype == f64


def test_gradients_of_gradients_pass_through_the_casts():
    x, s = leaf([1.0, 2.0]), leaf(3.0, f64)
    (dx,) = mg.grad((x * x * s).sum(), [x], create_graph=True)
    (mixed,) = mg.grad(dx.sum(), [s])
    assert mixed.dtype == f64
    assert mixed.item() == 6


def test_joined_tensors_meet():
    x, n = leaf([1.0]), mg.tensor([2])
    y = mg.cat([x, n])
    assert y.dtype == f32
    assert gradients_of(y * mg.tensor([5.0, 7.0]), x) == [[5]]
    assert mg.cat([mg.tensor([1.0]).half(), mg.tensor([1.0]).to("bfloat16")]).dtype == f32
    assert mg.stack([mg.tensor(1.0), mg.tensor(2)]).dtype == f32
    s = leaf(1.0, f64)
    assert mg.stack([mg.tensor(1.0), s]).dtype == f64
    assert gradients_of(mg.stack([mg.tensor(1.0), s]), s) == [1]


def test_where_of_numbers():
    condition = mg.tensor([True, False])
    for numbers, dtype in [((1, 0), i64), ((1.0, 0), f32), ((True, False), np.bool_), ((np.float64(1), 0), f32)]:
        y = mg.where(condition, *numbers)
        assert isinstance(y, Tensor)
        assert (y.dtype, y.tolist()) == (dtype, [1, 0])
    x = leaf([2, 3])
    assert gradients_of(mg.where(condition, 1, x), x) == [[0, 1]]
    assert mg.where(condition, mg.tensor([1, 2]), 1.5).tolist() == [1, 1.5]
    assert mg.where(mg.tensor(True), 1, 0).shape == ()


def test_masked_fill():
    mask = mg.tensor([True, False])
    assert mg.tensor([1, 2]).masked_fill(mask, 1.5).tolist() == [1, 2]
    assert mg.tensor([True, True]).masked_fill(mask, 0).tolist() == [False, True]
    assert mg.tensor([1.0, 2]).masked_fill(mask, -np.inf).tolist() == [-np.inf, 2]
    x, value = leaf([1, 2]), leaf(5.0, f64)
    y = x.masked_fill(mask, value)
    assert (y.dtype, y.tolist()) == (f32, [5, 2])
    assert gradients_of(y, x, value) == [[0, 1], 1]
    uint8 = mg.tensor([1, 2], dtype="uint8")
    for tensor, number in [(uint8, 300), (uint8, -1), (mg.tensor([1.0, 2]).half(), 1e6), (x, -1e300), (uint8, np.inf)]:
        with pytest.raises(OverflowError, match=str(tensor.dtype)):
            tensor.masked_fill(mask, number)
    with pytest.raises(ValueError, match=r"0-d tensor"):
        x.masked_fill(mask, mg.tensor([1.0, 2.0]))


def test_products_want_one_dtype():
    a, b = mg.ones(2, 2), mg.ones(2, 2, dtype="float64")
    for product in [
        lambda: a @ b,
        lambda: a @ b.long(),
        lambda: a.bool() @ a.bool(),
        lambda: b.long() @ b.astype("int32"),
        lambda: mg.linear(a, b),
        lambda: mg.linear(a, a, b[0]),
        lambda: mg.einsum("ij,jk->ik", a, b),
    ]:
        with pytest.raises(TypeError, match="dtype"):
            product()
    assert (a.long() @ a.long()).dtype == i64


# What PyTorch wraps around or reads in a dtype too narrow, and we refuse or compare exactly.


@pytest.mark.parametrize(
    "expression",
    [
        lambda x: x + 300,
        lambda x: 300 - x,
        lambda x: x * -1,
        lambda x: x // 256,
        lambda x: x & 300,
        lambda x: mg.maximum(x, 300),
        lambda x: mg.where(x > 0, x, 300),
        lambda x: x.clamp(max=300),
        lambda x: x.clamp(min=-1),
        lambda x: x**300,
    ],
)
def test_integers_that_do_not_fit_are_refused(expression):
    with pytest.raises(OverflowError, match=r"uint8.*0 to 255|uint8"):
        expression(mg.tensor([1, 2], dtype="uint8"))


def test_numbers_beyond_float16_are_refused():
    """They would be inf there: 0.001 · 1e6 as well, which PyTorch computes in float32."""
    x = mg.tensor([1e-3, 1.0]).half()
    for expression in (lambda: x * 1e6, lambda: 70_000 + x, lambda: x / -1e5, lambda: mg.where(x > 0, x, 1e6)):
        with pytest.raises(OverflowError, match="float16, which ends at 65504"):
            expression()
    assert (x * np.inf).tolist() == [np.inf, np.inf]
    assert (x < 1e6).all().item()
    assert (x * 65504).tolist() == (x.float() * 65504).half().tolist()
    assert mg.GradScaler().scale(x[0]).item() == x[0].item() * 65536


def test_integers_that_do_not_fit_compare_exactly():
    x = mg.tensor([1, 255], dtype="uint8")
    assert (x < 300).all().item()
    assert (x > -1).all().item()
    assert not (x == 257).any().item()
    assert (mg.tensor([3]) < 2**70).item()
    assert (mg.tensor([1], dtype="int8") < 200).item()


def test_two_dtypes_compare_in_the_one_where_they_meet():
    assert (mg.tensor([2**24 + 1]) == mg.tensor([2.0**24])).item()  # float32 holds no difference
    assert not (mg.tensor([2**24 + 1]) == mg.tensor([2.0**24], dtype="float64")).item()
    assert (mg.tensor([2**53 + 1]) == mg.tensor([2.0**53], dtype="float64")).item()
    assert (mg.tensor([0.1]) == 0.1).item()
    assert (mg.tensor([300]) != mg.tensor([44], dtype="uint8")).item()


def test_wide_unsigned_integers():
    """Which PyTorch knows in part only: they meet others in the narrowest integer that holds both."""
    u16, u32, u64 = (Tensor(np.array([5], name)) for name in ("uint16", "uint32", "uint64"))
    assert (u16 + u16).dtype == np.uint16
    assert (u16 + mg.tensor([1], dtype="int8")).dtype == np.int32
    assert (u32 + mg.tensor([1], dtype="int8")).dtype == i64
    assert (u16 + u64).dtype == np.uint64
    assert (u64 + 1).dtype == np.uint64
    assert (u64 * mg.tensor([1.0])).dtype == f32
    assert (u64 / u64).dtype == f32
    with pytest.raises(TypeError, match="no integer dtype holds both"):
        u64 + mg.tensor([1])


def test_what_makes_no_tensor_is_refused_by_name():
    with pytest.raises(TypeError, match="complex64"):
        mg.zeros(2, dtype="complex64")
    with pytest.raises(TypeError, match="list"):
        mg.add(mg.ones(2), [1, 2])
    with pytest.raises(TypeError, match="list"):
        result_type([1])


def test_a_rule_keeps_the_precision_of_0d_arrays():
    """Between plain arrays numpy's scalars, which 0-d results are, count as 0-d arrays."""
    assert mg.where(np.True_, np.float64(0.1), np.float64(0.2)) == 0.1
    assert mg.mul(np.float64(0.1), np.array(0.1)) == 0.1 * 0.1
