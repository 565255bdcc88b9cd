"""gradcheck: compare gradient rules with finite differences.

A rule is checked through one random number L = Σ u·f(x): backward gives dL/dx from the
rule, two evaluations of f give (L(x + εd) - L(x - εd)) / 2ε along a direction d. The
upstream gradient u is random on purpose. With u = 1, a plain sum(), every softmax or
layer_norm rule looks right: the outputs' sum does not depend on the input at all.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import random
from minigrad.engine import grad
from minigrad.modes import enable_grad
from minigrad.tensor import Tensor, to_numpy, wrap
from minigrad.typing import Array, Shape

EXHAUSTIVE = 400  # inputs up to this many elements are checked one by one, larger ones along random directions
DIRECTIONS = 6


class GradcheckError(AssertionError):
    """A gradient rule disagrees with finite differences.

    input, index          which number of which input: position in `inputs`, then inside it
    analytic, numerical   what the rule gave there, and what finite differences gave
    """

    def __init__(
        self,
        message: str,
        input: int | None = None,
        index: tuple[int, ...] | None = None,
        analytic: float | None = None,
        numerical: float | None = None,
    ):
        super().__init__(message)
        self.input, self.index, self.analytic, self.numerical = input, index, analytic, numerical


def gradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    order: int = 1,
) -> bool:
    """Check the gradients of fn(*inputs) against central differences; True, or GradcheckError.

    fn       takes the inputs, returns a Tensor or several; outputs without gradient (indices) are left out
    inputs   Tensors (one or a sequence); those that require grad are checked and must be float64.
             Other values are passed on as they are. Any strides, 0-d and zero-size included.
    eps      step of the differences
    atol, rtol   |analytic - numerical| <= atol + rtol·|numerical| must hold for every number
    order    2 checks the gradients of the gradients as well, and so on

    Every element of an input is checked, or random directions where there are many. The
    random generator is set back before each call of fn, so dropout can be checked too.
    Also checked: fn leaves its inputs alone, and two backward passes agree bit for bit.

    The error names the input, the index, both numbers, the operation, and what such a
    difference usually means.
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    _check_inputs(inputs)
    with enable_grad():
        _Check(fn, inputs, eps, atol, rtol).run()
    if order > 1:
        gradgradcheck(fn, inputs, eps, atol, rtol, order)
    return True


def gradgradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    order: int = 2,
) -> bool:
    """Check gradients of gradients: gradcheck of the gradient, as a function of the inputs and the upstream gradient.

    Goes through create_graph=True. The arguments are gradcheck's, which does the work at order - 1. To each
    differentiable output belongs one more input: its upstream gradient, `_upstream` with another seed than gradcheck's.
    fn is called here once, to learn of its outputs, and the random generator is set back after.
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    _check_inputs(inputs)
    start = random.get_rng_state()
    with enable_grad():
        outputs = _differentiable(fn, fn(*inputs))
    random.set_rng_state(start)
    upstream = [wrap(_upstream(output, seed=2 + i), True) for i, output in enumerate(outputs)]

    def gradient(*values: Any) -> tuple[Tensor, ...]:
        given, upstream_now = values[: len(inputs)], values[len(inputs) :]
        outputs = _differentiable(fn, fn(*given))
        wanted = [x for x in given if _is_wanted(x)]
        results = grad(outputs, wanted, upstream_now, create_graph=True, allow_unused=True)
        return tuple(result for result in results if result is not None and result.requires_grad)

    gradient.__name__ = f"the gradient of {_name(fn)}"
    return gradcheck(gradient, [*inputs, *upstream], eps, atol, rtol, order - 1)


class _Check:
    """One first-order check: the outputs, the upstream gradient, the rule's answer, and the differences."""

    def __init__(self, fn: Callable[..., Any], inputs: list[Any], eps: float, atol: float, rtol: float):
        self.fn, self.inputs = fn, inputs
        self.eps, self.atol, self.rtol = eps, atol, rtol
        self.wanted = [i for i, x in enumerate(inputs) if _is_wanted(x)]
        self.rng_state = random.get_rng_state()
        self.is_random: bool | None = None  # whether fn draws random numbers: known after its first call

    def run(self) -> None:
        before = [to_numpy(x.data).copy() if isinstance(x, Tensor) else None for x in self.inputs]
        outputs = self.outputs()
        self.made_by = ", ".join(dict.fromkeys(x.grad_fn.name if x.grad_fn else "the input itself" for x in outputs))
        self.upstream = [_upstream(output, seed=1) for output in outputs]
        analytic = self.analytic(outputs)
        again = self.analytic(self.outputs())
        for i, (x, copy) in enumerate(zip(self.inputs, before, strict=True)):
            if copy is not None and not _same(to_numpy(x.data), copy):
                raise GradcheckError(
                    f"gradcheck: {_name(self.fn)} changes {self.label(i)} in place; forward and backward must leave "
                    "their inputs as they are",
                    input=i,
                )
        for i, first, second in zip(self.wanted, analytic, again, strict=True):
            if not _same(first, second):
                raise GradcheckError(
                    f"gradcheck: two backward passes of {_name(self.fn)} give different gradients for {self.label(i)}; "
                    "it is random, or keeps something from one call to the next",
                    input=i,
                )
        for i, gradient in zip(self.wanted, analytic, strict=True):
            if gradient.size <= EXHAUSTIVE:
                self.check_elements(i, gradient)
            else:
                self.check_directions(i, gradient)

    def outputs(self) -> list[Tensor]:
        """fn's outputs, from the same random numbers at every call."""
        outputs = _differentiable(self.fn, self.fn(*self.inputs))
        if self.is_random is None:
            self.is_random = random.get_rng_state() != self.rng_state
        if self.is_random:
            random.set_rng_state(self.rng_state)
        return outputs

    def analytic(self, outputs: list[Tensor], upstream: list[Array] | None = None) -> list[Array]:
        """The rules' gradients, as arrays; zeros for an input that the outputs do not depend on."""
        wanted = [self.inputs[i] for i in self.wanted]
        results = grad(outputs, wanted, [wrap(u) for u in upstream or self.upstream], allow_unused=True)
        arrays = []
        for x, result in zip(wanted, results, strict=True):
            arrays.append(np.zeros(x.shape) if result is None else to_numpy(result.data))
        return arrays

    def difference(self, i: int, direction: Array) -> float:
        """(L(x + εd) - L(x - εd)) / 2ε for input i, with L = Σ u·f over all outputs of f.

        self.outputs() evaluates f, self.upstream has the u, an array for each output. x ± εd is written into x.data
        in place, so that its strides are kept; where it cannot be, because it is read-only or repeats elements,
        into a copy. Afterwards x.data is the array it was, with the same numbers, also if f raises.
        """
        x = self.inputs[i]
        original = x.data
        start = original.copy()
        if not original.flags.writeable or _repeats(original):
            x.data = original.copy()
        try:
            x.data[...] = start + self.eps * direction
            above = [output.data.copy() for output in self.outputs()]
            x.data[...] = start - self.eps * direction
            below = [output.data.copy() for output in self.outputs()]
        finally:
            if x.data is original:
                original[...] = start
            x.data = original
        total = 0.0
        for u, a, b in zip(self.upstream, above, below, strict=True):
            total += float((u * (a - b)).sum())
        return total / (2 * self.eps)

    def check_elements(self, i: int, analytic: Array) -> None:
        numerical = np.zeros(analytic.shape)
        for index in np.ndindex(analytic.shape):
            direction = np.zeros(analytic.shape)
            direction[index] = 1
            numerical[index] = self.difference(i, direction)
        wrong = ~self.close(analytic, numerical)
        if wrong.any():
            distance = np.where(np.isfinite(analytic), np.abs(analytic - numerical), np.inf)
            index = np.unravel_index(int(np.where(wrong, distance, -1).argmax()), analytic.shape)
            self.fail(i, index, analytic[index], numerical[index], wrong, self.hint(i, analytic, numerical, wrong))

    def check_directions(self, i: int, analytic: Array) -> None:
        """L along DIRECTIONS random directions that touch every element; where one disagrees, halving finds an element.

        analytic is the rule's gradient for input i. Along a direction d (_random) the quotient must be close to the sum
        of analytic·d. If it is not, the half of the elements that disagrees more is taken, until one is left; then
        self.fail(i, its index, what the rule and what the quotient gives there, None, a hint).
        """
        generator = np.random.default_rng(3)
        for _ in range(DIRECTIONS):
            direction = _random(generator, analytic.shape)
            numerical = self.difference(i, direction)
            if self.close((analytic * direction).sum(), numerical):
                continue
            suspects = np.arange(analytic.size)
            while len(suspects) > 1:
                halves = np.array_split(suspects, 2)
                suspects = max(halves, key=lambda half: self.disagreement(i, analytic, direction, half))
            index = np.unravel_index(int(suspects[0]), analytic.shape)
            one = np.zeros(analytic.shape)
            one[index] = 1
            at_index = self.difference(i, one)
            repaired = analytic.copy()
            repaired[index] = at_index
            if not analytic.any():
                hint = "the gradient is zero everywhere: the rule returns nothing for this input"
            elif self.close((repaired * direction).sum(), numerical):
                hint = "only this element is wrong: look at edges, ties and repeated indices"
            else:
                hint = f"several of the {analytic.size} elements differ: check a smaller input to see the pattern"
            self.fail(i, index, analytic[index], at_index, None, hint)

    def disagreement(self, i: int, analytic: Array, direction: Array, elements: Array) -> float:
        """|Σ analytic·d - quotient along d|, d being the direction with all but these (flat) elements 0; NaN is inf."""
        part: Array = np.zeros(analytic.size)
        part[elements] = direction.reshape(-1)[elements]
        part = part.reshape(analytic.shape)
        distance = abs((analytic * part).sum() - self.difference(i, part))
        return distance if np.isfinite(distance) else np.inf

    def close(self, analytic: Any, numerical: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return np.abs(analytic - numerical) <= self.atol + self.rtol * np.abs(numerical)

    def hint(self, i: int, analytic: Array, numerical: Array, wrong: Array) -> str:
        """What the pattern of the differences usually means."""
        if not np.isfinite(analytic).all():
            return "the gradient is not finite: look for 0/0, log 0 or a power of 0 in the rule"
        if not np.isfinite(numerical).all():
            return "the function is not finite near this input: move the input away from the edge of its domain"
        if not analytic.any():
            return "the gradient is zero everywhere: the rule returns nothing for this input"
        if not self.close(0.0, numerical).all():
            other = self.analytic(self.outputs(), [_upstream(wrap(u), seed=4) for u in self.upstream])
            if _same(other[self.wanted.index(i)], analytic):
                return "the gradient does not depend on the upstream gradient: multiply by grad (the chain rule)"
            sizes = np.abs(numerical) > 100 * self.atol
            ratios = analytic[sizes] / numerical[sizes]
            # One number proves no factor, and a factor explains only a difference that is everywhere.
            everywhere = len(ratios) > (analytic.size > 1) and wrong[sizes].all()
            if everywhere and np.allclose(ratios, ratios[0], rtol=1e-3):
                if np.isclose(ratios[0], -1, rtol=1e-3):
                    return "the ratio is -1: a sign is wrong"
                return f"the ratio is {ratios[0]:.4g} everywhere: a factor is missing or one too many"
        for axis in range(analytic.ndim):
            found = self.rearranged(analytic, numerical, axis)
            if found:
                return found
        few = int(wrong.sum())
        if few <= max(1, analytic.size // 3) and analytic.size > 2:
            places = ", ".join(str(list(map(int, index))) for index in np.argwhere(wrong)[:4])
            return (
                f"only {few} of {analytic.size} elements differ, at {places}: look at edges, ties and repeated "
                "indices; at a kink of the function itself no gradient is right"
            )
        for axis in range(analytic.ndim):
            difference = analytic - numerical
            if analytic.shape[axis] > 2 and np.ptp(difference, axis=axis).max() <= 1e-3 * np.abs(difference).max():
                return (
                    f"the difference is constant along dim {axis}: a sum or mean over that dim is missing in the rule"
                )
        if any(u.shape != analytic.shape and _broadcasts(analytic.shape, u.shape) for u in self.upstream):
            return "this input is broadcast to the output: its gradient must be summed over the repeated dimensions"
        return (
            "no simple pattern: compare the rule with the derivative on paper, term by term, and look at what it saved "
            "(the input, or something changed since)"
        )

    def rearranged(self, analytic: Array, numerical: Array, axis: int) -> str | None:
        """The right numbers at the wrong places along an axis."""
        for other in range(axis + 1, analytic.ndim):
            transposed = analytic.swapaxes(axis, other)
            if transposed.shape == numerical.shape and self.close(transposed, numerical).all():
                return f"the right numbers, transposed: dims {axis} and {other} are exchanged"
            if self.close(analytic.reshape(transposed.shape).swapaxes(axis, other), numerical).all():
                return f"the right numbers in the wrong order: a reshape where dims {axis} and {other} need a transpose"
        if np.ptp(numerical, axis=axis).max() <= 10 * self.atol:
            return None  # constant along the axis: flipped or moved, it looks the same
        if self.close(np.flip(analytic, axis), numerical).all():
            return f"the right numbers, backwards along dim {axis}"
        inner = [slice(None)] * analytic.ndim
        inner[axis] = slice(1, -1)  # what is moved past the end is lost
        for shift in (1, -1):
            shifted = self.close(np.roll(analytic, shift, axis), numerical)[tuple(inner)]
            if analytic.shape[axis] > 2 and shifted.all():
                return f"the right numbers, moved by one along dim {axis}: an index is off by one"
        return None

    def fail(self, i: int, index: Any, analytic: float, numerical: float, wrong: Array | None, hint: str) -> None:
        index = tuple(int(n) for n in index)
        count = "" if wrong is None else f"; {int(wrong.sum())} of {wrong.size} elements differ"
        raise GradcheckError(
            f"gradcheck of {_name(self.fn)} (output made by {self.made_by}): {self.label(i)}, index {list(index)}: "
            f"the rule gives {float(analytic):.8g}, finite differences {float(numerical):.8g}{count}. Hint: {hint}",
            input=i,
            index=index,
            analytic=float(analytic),
            numerical=float(numerical),
        )

    def label(self, i: int) -> str:
        """Input i with its name in fn's signature and its shape."""
        try:
            names = list(inspect.signature(self.fn).parameters.values())
            named = i < len(names) and names[i].kind is not inspect.Parameter.VAR_POSITIONAL
        except (TypeError, ValueError):
            named = False
        name = f" ({names[i].name})" if named else ""
        return f"input {i}{name} of shape {self.inputs[i].shape}"


def _is_wanted(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad


def _check_inputs(inputs: list[Any]) -> None:
    wanted = [i for i, x in enumerate(inputs) if _is_wanted(x)]
    if not wanted:
        raise ValueError("gradcheck: no input requires grad, so there is nothing to check; pass requires_grad=True")
    for i in wanted:
        if inputs[i].dtype != np.float64:
            raise TypeError(
                f"gradcheck: input {i} is {inputs[i].dtype}, too coarse for finite differences; "
                "use float64: x.detach().double().requires_grad_()"
            )
        for j in wanted:
            if i < j and inputs[i] is not inputs[j] and np.shares_memory(inputs[i].data, inputs[j].data):
                raise ValueError(f"gradcheck: inputs {i} and {j} share memory; pass copies, so that each moves alone")


def _differentiable(fn: Callable[..., Any], outputs: Any) -> list[Tensor]:
    """The outputs that carry gradients."""
    outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    for output in outputs:
        if not isinstance(output, Tensor):
            raise TypeError(f"gradcheck: {_name(fn)} returned a {type(output).__name__}; expected a Tensor or several")
    found = [output for output in outputs if output.requires_grad]
    if not found:
        raise ValueError(
            f"gradcheck: no output of {_name(fn)} depends on an input that requires grad; is it made of integers, "
            "detached, or computed under no_grad?"
        )
    for output in found:
        if output.dtype != np.float64:
            raise TypeError(f"gradcheck: {_name(fn)} turned float64 into {output.dtype}; keep the inputs' dtype")
    return found


def _upstream(output: Tensor, seed: int) -> Array:
    """The upstream gradient of an output: _random numbers of its shape, the same for the same seed."""
    return _random(np.random.default_rng(seed), output.shape)


def _random(generator: "np.random.Generator", shape: Shape) -> Array:
    """Numbers between 0.5 and 1.5 with random signs: none small, no two alike."""
    return np.asarray((0.5 + generator.random(shape)) * generator.choice([-1.0, 1.0], shape))  # 0-d too


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _repeats(array: Array) -> bool:
    """Whether several elements live at one address, as after broadcasting."""
    return any(stride == 0 and n > 1 for stride, n in zip(array.strides, array.shape, strict=True))


def _broadcasts(shape: Shape, to: Shape) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def _name(fn: Callable[..., Any]) -> str:
    return getattr(fn, "__name__", type(fn).__name__)
