"""What a wrong gradient usually means: the pattern of its differences, named and put into words."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minigrad.differences import Estimate, Kink
from minigrad.typing import Array, Shape

if TYPE_CHECKING:
    from minigrad.gradcheck import _Check

# The kinds of mistakes that GradcheckError.kind names.
KINDS = {
    "zero": "nothing is returned for an input",
    "not finite": "NaN or infinity, in the rule or in the function",
    "factor": "the ratio to the right number is the same everywhere",
    "sign": "that ratio is -1",
    "upstream": "the upstream gradient is not multiplied by",
    "transposed": "the right numbers, with dimensions exchanged",
    "order": "the right numbers at other places: backwards, moved by one",
    "element": "few elements are wrong",
    "sum": "a sum or mean over a dimension is missing",
    "broadcast": "the sum over a broadcast axis is missing",
    "stale": "the gradient stays when the inputs change",
    "buffer": "memory is shared between calls",
    "strided": "another gradient for the same numbers in another layout",
    "alone": "another gradient if one input alone requires grad",
    "in place": "an input or the upstream gradient is written to",
    "random": "two backward passes disagree",
    "kink": "the function has no derivative there, and the rule lies outside the slopes of both sides",
    "unknown": "no simple pattern",
}


class Hint(NamedTuple):
    """The kind of a mistake, a key of KINDS, and what to look for."""

    kind: str
    text: str


def same(a: Array, b: Array) -> bool:
    """Equal bit for bit, NaN to NaN."""
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def explain(check: "_Check", i: int, analytic: Array, numerical: Array, wrong: Array) -> Hint:
    """What the pattern of the differences between the rule's gradient for input i and the right one usually means.

    wrong  which elements differ. The check runs fn and its rule again, with other upstream gradients and inputs.
    """
    if not np.isfinite(analytic).all():
        return Hint("not finite", "the gradient is not finite: look for 0/0, log 0 or a power of 0 in the rule")
    if not np.isfinite(numerical).all():
        return Hint(
            "not finite",
            "the function is not finite near this input: move the input away from the edge of its domain",
        )
    if not analytic.any():
        return NOTHING
    if _ignores_upstream(check, i, analytic):
        return Hint(
            "upstream", "the gradient does not depend on the upstream gradient: multiply by grad (the chain rule)"
        )
    found = _ratio(analytic, numerical, wrong)
    for axis in range(analytic.ndim):
        found = found or _rearranged(check, analytic, numerical, axis)
    few = int(wrong.sum())
    if not found and few <= max(1, analytic.size // 3) and analytic.size > 2:
        places = ", ".join(str(list(map(int, index))) for index in np.argwhere(wrong)[:4])
        return Hint(
            "element",
            f"only {few} of {analytic.size} elements differ, at {places}: look at edges, ties and repeated indices",
        )
    return found or _stale(check, i, analytic, numerical) or _pattern(check, analytic, numerical)


NOTHING = Hint("zero", "the gradient is zero everywhere: the rule returns nothing for this input")


def explain_along(analytic: Array, direction: Array, index: tuple[int, ...], numerical: float, along: Estimate) -> Hint:
    """What is known of an element that a direction found: whether the others are right."""
    if not analytic.any():
        return NOTHING
    repaired = analytic.copy()
    repaired[index] = numerical
    rest = abs((repaired * direction).sum() - along.value)
    if rest <= 1e-3 * abs((analytic * direction).sum() - along.value) + along.error:
        return Hint("element", "only this element is wrong: look at edges, ties and repeated indices")
    ratio = (analytic * direction).sum() / along.value
    if np.isclose(ratio, analytic[index] / numerical, rtol=1e-3):
        return _factor(ratio)
    return Hint("unknown", f"several of the {analytic.size} elements differ: check a smaller input to see the pattern")


def at_kink(bend: Kink) -> Hint:
    """The function itself has no derivative here, and the rule's number is none of its slopes."""
    return Hint(
        "kink",
        f"a kink or a jump at this input: the slopes of both sides are {bend.low:.6g} and {bend.high:.6g}; no gradient "
        "is right there, and any between the two passes, but the rule's lies outside",
    )


def witness(forward: float | None, analytic: float, numerical: float) -> str:
    """What forward mode says to the two numbers that disagree: a sentence, or nothing where there is no such number."""
    if forward is None or not np.isfinite(forward):
        return ""
    if np.isclose(forward, numerical, rtol=1e-4):
        return (
            f"Forward mode (jvp) gives {forward:.8g}, as the differences do: the recorded rule is right, this one not. "
        )
    if np.isclose(forward, analytic, rtol=1e-4):
        return f"Forward mode (jvp) goes through the same rule and gives {forward:.8g}, too. "
    return f"Forward mode (jvp) gives {forward:.8g}: the rule is not linear in grad, or does not record itself. "


def _ignores_upstream(check: "_Check", i: int, analytic: Array) -> bool:
    """Whether other upstream gradients change nothing."""
    other = [u[..., ::-1] * 0.7 if u.ndim else u * 0.7 for u in check.upstream]
    return same(check.analytic(check.outputs(), other)[check.wanted.index(i)], analytic)


def _factor(ratio: float) -> Hint:
    if np.isclose(ratio, -1, rtol=1e-3):
        return Hint("sign", "the ratio is -1: a sign is wrong")
    return Hint("factor", f"the ratio is {ratio:.4g} everywhere: a factor is missing or one too many")


def _ratio(analytic: Array, numerical: Array, wrong: Array) -> Hint | None:
    """One factor between the two."""
    sizes = np.abs(numerical) > 1e-4 * np.abs(numerical).max()
    ratios = analytic[sizes] / numerical[sizes]
    # One number proves no factor, and a factor explains only a difference that is everywhere.
    everywhere = len(ratios) > (analytic.size > 1) and wrong[sizes].all()
    if not everywhere or not np.allclose(ratios, ratios[0], rtol=1e-4):
        return None
    return _factor(float(ratios[0]))


def _rearranged(check: "_Check", analytic: Array, numerical: Array, axis: int) -> Hint | None:
    """The right numbers at the wrong places along an axis."""
    for other in range(axis + 1, analytic.ndim):
        transposed = analytic.swapaxes(axis, other)
        if transposed.shape == numerical.shape and check.close(transposed, numerical).all():
            return Hint("transposed", f"the right numbers, transposed: dims {axis} and {other} are exchanged")
        if check.close(analytic.reshape(transposed.shape).swapaxes(axis, other), numerical).all():
            return Hint(
                "transposed",
                f"the right numbers in the wrong order: a reshape where dims {axis} and {other} need a transpose",
            )
    if np.ptp(numerical, axis=axis).max() <= 1e-5 * np.abs(numerical).max():
        return None  # constant along the axis: flipped or moved, it looks the same
    if check.close(np.flip(analytic, axis), numerical).all():
        return Hint("order", f"the right numbers, backwards along dim {axis}")
    inner = [slice(None)] * analytic.ndim
    inner[axis] = slice(1, -1)  # what is moved past the end is lost
    for shift in (1, -1):
        shifted = check.close(np.roll(analytic, shift, axis), numerical)[tuple(inner)]
        if analytic.shape[axis] > 2 and shifted.all():
            return Hint("order", f"the right numbers, moved by one along dim {axis}: an index is off by one")
    return None


def _stale(check: "_Check", i: int, analytic: Array, numerical: Array) -> Hint | None:
    """The rule gives the same at other inputs, where the function has other slopes."""
    generator = np.random.default_rng(6)
    originals = {j: check.inputs[j].data for j in check.wanted}
    moved = {j: x * (1 + 0.01 * generator.random(x.shape)) for j, x in originals.items()}
    index = np.unravel_index(int(np.abs(analytic - numerical).argmax()), analytic.shape)
    direction = np.zeros(analytic.shape)
    direction[index] = 1
    with check.replaced(moved):
        elsewhere = check.analytic(check.outputs())[check.wanted.index(i)]
        slope = check.difference(i, direction)
    if not same(elsewhere, analytic):
        return None
    if not abs(slope.value - numerical[index]) > 10 * slope.error + 1e-5 * abs(numerical[index]):
        return None
    return Hint(
        "stale",
        "the gradient stays the same when the inputs change, and the function's does not: the rule reads a value kept "
        "from an earlier call, or a factor is missing that depends on the inputs",
    )


def _pattern(check: "_Check", analytic: Array, numerical: Array) -> Hint:
    """A sum that is missing, or nothing that can be named."""
    for axis in range(analytic.ndim):
        difference = analytic - numerical
        if analytic.shape[axis] > 2 and np.ptp(difference, axis=axis).max() <= 1e-3 * np.abs(difference).max():
            return Hint(
                "sum",
                f"the difference is constant along dim {axis}: a sum or mean over that dim is missing in the rule",
            )
    if any(u.shape != analytic.shape and _broadcasts(analytic.shape, u.shape) for u in check.upstream):
        return Hint(
            "broadcast",
            "this input is broadcast to the output: its gradient must be summed over the repeated dimensions",
        )
    return Hint(
        "unknown",
        "no simple pattern: compare the rule with the derivative on paper, term by term, and look at what it saved "
        "(the input, or something changed since)",
    )


def _broadcasts(shape: Shape, to: Shape) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
