"""gradcheck: compare gradient rules with finite differences.

A rule is checked through one random number L = Σ u·f(x): backward gives dL/dx from the
rule, two evaluations of f give (L(x + εd) - L(x - εd)) / 2ε along a direction d. The
upstream gradient u is random on purpose. With u = 1, a plain sum(), every softmax or
layer_norm rule looks right: the outputs' sum does not depend on the input at all.

Where one difference disagrees or cannot tell, other steps are tried (differences.py): rounding, curvature and kinks
are no fault of the rule. What a wrong gradient usually means is in gradcheck_hints.py,
and what it must not depend on in gradcheck_calls.py.
"""

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

import numpy as np

from minigrad import gradcheck_hints, random
from minigrad.differences import RATIO, Estimate, Kink, extrapolated, kink, rounding
from minigrad.engine import grad
from minigrad.gradcheck_calls import (
    GradcheckError,
    check_alone,
    check_inputs,
    check_repeated,
    check_strided,
    check_unchanged,
    differentiable,
    is_wanted,
    largest,
    name_of,
    repeats,
)
from minigrad.gradcheck_hints import same
from minigrad.modes import enable_grad
from minigrad.tensor import Tensor, to_numpy, wrap
from minigrad.typing import Array, Shape

EXHAUSTIVE = 400  # inputs up to this many elements are checked one by one, larger ones along random directions
DIRECTIONS = 6
WIDEST = 0.02  # steps grow up to this, or this fraction of x, while rounding hides the derivative
PRECISE = 1e-4  # a derivative known to this fraction of itself, or
NEGLIGIBLE = 1e-9  # to this fraction of the input's largest, tells right from wrong
OUTSIDE = (ArithmeticError, ValueError, np.linalg.LinAlgError)  # what fn may raise where a step leaves its domain
ROUNDING = 1e-14  # of the largest gradient or output: what the order of a sum may change in a rule
ENOUGH = 8  # elements found wrong, after which the others are not looked at more closely


def gradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-12,
    rtol: float = 1e-5,
    order: int = 1,
) -> bool:
    """Check the gradients of fn(*inputs) against central differences; True, or GradcheckError.

    fn       takes the inputs, returns a Tensor or several; outputs without gradient (indices) are left out
    inputs   Tensors (one or a sequence); those that require grad are checked and must be float64.
             Other values are passed on as they are. Any strides, 0-d and zero-size included.
    eps      first step of the differences; where it cannot tell, smaller and larger ones are tried
    atol, rtol   |analytic - numerical| <= atol·scale + rtol·|numerical| + error must hold for every number: scale is
             the input's largest derivative, error what the differences at several steps are known to be off
    order    2 checks the gradients of the gradients as well, and so on

    Every element of an input is checked, or random directions where there are many: those see an error in one element
    from about PRECISE of the largest derivative on, and nothing smaller. The random generator is set back before each
    call of fn, so dropout can be checked too.

    At a kink (relu at 0, a tie of max) or a jump no gradient is right. What lies between the slopes of both sides
    passes, PyTorch's choices among them; anything else is an error that says so. A warning says where rounding leaves
    nothing to compare with.

    Also checked: fn leaves its inputs and the upstream gradient alone; the gradients are the same, bit for bit, in
    a second pass and after a call with other inputs; they are the same for strided copies of the inputs, and for each
    input alone.

    The error names the input, the index, the numbers, the operation, and what such a difference usually means.
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    check_inputs(inputs)
    with enable_grad():
        _Check(fn, inputs, eps, atol, rtol).run()
    if order > 1:
        gradgradcheck(fn, inputs, eps, atol, rtol, order)
    return True


def gradgradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-12,
    rtol: float = 1e-5,
    order: int = 2,
) -> bool:
    """Check gradients of gradients: gradcheck of the gradient, as a function of the inputs and the upstream gradient.

    Goes through create_graph=True. The arguments are gradcheck's, which does the work at order - 1. To each
    differentiable output belongs one more input: its upstream gradient, `_upstream` with another seed than gradcheck's.
    fn is called here once, to learn of its outputs, and the random generator is set back after.
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    check_inputs(inputs)
    start = random.get_rng_state()
    with enable_grad():
        outputs = differentiable(fn, fn(*inputs))
    random.set_rng_state(start)
    upstream = [wrap(_upstream(output, seed=2 + i), True) for i, output in enumerate(outputs)]

    def gradient(*values: Any) -> tuple[Tensor, ...]:
        given, upstream_now = values[: len(inputs)], values[len(inputs) :]
        outputs = differentiable(fn, fn(*given))
        wanted = [x for x in given if is_wanted(x)]
        results = grad(outputs, wanted, upstream_now, create_graph=True, allow_unused=True)
        return tuple(result for result in results if result is not None and result.requires_grad)

    gradient.__name__ = f"the gradient of {name_of(fn)}"
    return gradcheck(gradient, [*inputs, *upstream], eps, atol, rtol, order - 1)


class _Verdict(NamedTuple):
    """Whether the rule is right along a direction, and what it was compared with."""

    right: bool
    estimate: Estimate
    kink: Kink | None = None


class _Check:
    """One first-order check: the outputs, the upstream gradient, the rule's answer, and the differences."""

    def __init__(self, fn: Callable[..., Any], inputs: list[Any], eps: float, atol: float, rtol: float):
        self.fn, self.inputs = fn, inputs
        self.eps, self.atol, self.rtol = eps, atol, rtol
        self.wanted = [i for i, x in enumerate(inputs) if is_wanted(x)]
        self.rng_state = random.get_rng_state()
        self.floor = 0.0  # what another order of a sum may change in a gradient whose terms cancel
        self.is_random: bool | None = None  # whether fn draws random numbers: known after its first call

    def run(self) -> None:
        before = [to_numpy(x.data).copy() if isinstance(x, Tensor) else None for x in self.inputs]
        outputs = self.outputs()
        self.made_by = ", ".join(dict.fromkeys(x.grad_fn.name if x.grad_fn else "the input itself" for x in outputs))
        self.upstream = [_upstream(output, seed=1) for output in outputs]
        analytic = [gradient.copy() for gradient in self.analytic(outputs)]
        values = [u * output.data for u, output in zip(self.upstream, outputs, strict=True)]
        self.floor = ROUNDING * max(map(largest, [*analytic, *values]))
        generator = np.random.default_rng(5)
        arrays = {i: to_numpy(self.inputs[i].data) for i in self.wanted}
        moved = {i: x * (1 + self.eps * _random(generator, x.shape)) for i, x in arrays.items()}
        check_repeated(self, analytic, moved)
        check_unchanged(self, before)
        check_strided(self, analytic, [to_numpy(output.data) for output in outputs])
        check_alone(self, analytic)
        with np.errstate(all="ignore"):  # steps leave the domain of a logarithm
            for i, gradient in zip(self.wanted, analytic, strict=True):
                if gradient.size <= EXHAUSTIVE:
                    self.check_elements(i, gradient)
                else:
                    self.check_directions(i, gradient)

    def outputs(self) -> list[Tensor]:
        """fn's outputs, from the same random numbers at every call."""
        outputs = differentiable(self.fn, self.fn(*self.inputs))
        if self.is_random is None:
            self.is_random = random.get_rng_state() != self.rng_state
        if self.is_random:
            random.set_rng_state(self.rng_state)
        return outputs

    def analytic(
        self, outputs: list[Tensor], upstream: list[Array] | None = None, retain_graph: bool = False
    ) -> list[Array]:
        """The rules' gradients, as arrays; zeros for an input that the outputs do not depend on."""
        wanted = [self.inputs[i] for i in self.wanted]
        upstream = self.upstream if upstream is None else upstream
        copies = [u.copy() for u in upstream]
        results = grad(outputs, wanted, [wrap(u) for u in upstream], retain_graph=retain_graph, allow_unused=True)
        if not all(map(same, upstream, copies)):
            raise GradcheckError(
                f"gradcheck: the rule of {name_of(self.fn)} writes into the upstream gradient it is given, which "
                "others still read; compute a new array",
                input=self.wanted[0],
                kind="in place",
            )
        arrays = []
        for x, result in zip(wanted, results, strict=True):
            arrays.append(np.zeros(x.shape) if result is None else to_numpy(result.data))
        return arrays

    @contextmanager
    def replaced(self, arrays: dict[int, Array]) -> Iterator[None]:
        """Within, these inputs hold these arrays: fn may use them without being given them."""
        originals = {i: self.inputs[i].array for i in arrays}
        try:
            for i, array in arrays.items():
                self.inputs[i].array = array  # not .data: nothing that was saved has been written to
            yield
        finally:
            for i, original in originals.items():
                self.inputs[i].array = original

    def at(self, i: int, direction: Array, step: float) -> Array:
        """The outputs at x + step·direction for input i, times the upstream gradient: one flat array of u·f.

        self.outputs() evaluates f, self.upstream has the u, an array for each output. x + step·direction is written
        into x.data in place, so that its strides are kept; where it cannot be, because it is read-only or repeats
        elements, into a copy. Afterwards x.data is the array it was, with the same numbers, also if f raises.
        """
        x = self.inputs[i]
        original = x.data
        start = original.copy()
        if not original.flags.writeable or repeats(original):
            x.data = original.copy()
        try:
            x.data[...] = start + step * direction
            values = [u * output.data for u, output in zip(self.upstream, self.outputs(), strict=True)]
        finally:
            if x.data is original:
                original[...] = start
            x.data = original
        return np.concatenate([value.reshape(-1) for value in values])

    def difference(self, i: int, direction: Array, eps: float | None = None) -> Estimate:
        """(L(x + εd) - L(x - εd)) / 2ε for input i, with L = Σ u·f over all outputs, and what rounding does to it.

        ε is self.eps unless it is given. Outputs that do not change, infinite ones too, are no part of the difference.
        """
        eps = self.eps if eps is None else eps
        above, below = self.at(i, direction, eps), self.at(i, direction, -eps)
        changed = above != below
        above, below = above[changed], below[changed]
        value = float((above - below).sum() / (2 * eps))
        moved = np.abs(self.inputs[i].data)[direction != 0].max(initial=0)  # x + εd rounds as well
        return Estimate(
            value, rounding(np.maximum(np.abs(above), np.abs(below)), eps) + abs(value) * np.spacing(moved) / eps
        )

    def check_elements(self, i: int, analytic: Array) -> None:
        """Each element of the rule's gradient for input i: one difference, and more where that cannot tell."""
        numerical, error = np.zeros(analytic.shape), np.zeros(analytic.shape)
        for index in np.ndindex(analytic.shape):
            numerical[index], error[index] = self.difference(i, _unit(analytic.shape, index))
        scale = min(largest(analytic), largest(numerical))
        distance = np.where(np.isfinite(analytic), np.abs(analytic - numerical), np.inf)
        allowed = self.atol * scale + self.rtol * np.abs(numerical) + error
        wrong = np.asarray(~(distance <= allowed))
        unsure = error > np.maximum(PRECISE * np.maximum(np.abs(analytic), np.abs(numerical)), NEGLIGIBLE * scale)
        verdicts = {}
        doubtful = [tuple(map(int, index)) for index in np.argwhere(wrong | unsure)]
        for index in sorted(doubtful, key=lambda index: -np.nan_to_num(distance[index], nan=np.inf)):
            verdict = self.verdict(i, _unit(analytic.shape, index), float(analytic[index]), scale)
            numerical[index], wrong[index] = verdict.estimate.value, not verdict.right
            if not verdict.right:
                verdicts[index] = verdict
                if len(verdicts) == ENOUGH:
                    break  # the rest is as the first difference says
        if verdicts:
            worst = np.where(np.isfinite(analytic), np.abs(analytic - numerical), np.inf)
            index = max(verdicts, key=lambda index: np.nan_to_num(worst[index], nan=-1))
            hint = gradcheck_hints.explain(self, i, analytic, numerical, wrong)
            self.fail(i, index, float(analytic[index]), verdicts[index], wrong, hint)

    def check_directions(self, i: int, analytic: Array) -> None:
        """L along DIRECTIONS random directions that touch every element; where one disagrees, halving finds an element.

        analytic is the rule's gradient for input i. Along a direction d (_random) self.verdict compares the sum of
        analytic·d with the quotient. If it is not right, the half of the elements that disagrees more is taken, until
        one is left; if that is not right either, self.fail(i, its index, what the rule gives there, its verdict, None,
        a hint). An element that is right alone is put aside, direction 0, up to ENOUGH times.
        """
        generator = np.random.default_rng(3)
        for _ in range(DIRECTIONS):
            direction = _random(generator, analytic.shape)
            for _ in range(ENOUGH):
                size = largest(analytic * direction)
                along = self.verdict(i, direction, float((analytic * direction).sum()), size, size)
                if along.right:
                    break
                suspects = np.flatnonzero(direction)
                while len(suspects) > 1:
                    halves = np.array_split(suspects, 2)
                    suspects = max(halves, key=lambda half: self.disagreement(i, analytic, direction, half))
                index = tuple(int(n) for n in np.unravel_index(suspects[0], analytic.shape))
                here = self.verdict(i, _unit(analytic.shape, index), float(analytic[index]), size)
                if not here.right:
                    hint = gradcheck_hints.explain_along(
                        analytic, direction, index, here.estimate.value, along.estimate
                    )
                    self.fail(i, index, float(analytic[index]), here, None, hint)
                direction[index] = 0

    def disagreement(self, i: int, analytic: Array, direction: Array, elements: Array) -> float:
        """|Σ analytic·d - quotient along d|, d being the direction with all but these (flat) elements 0; NaN is inf."""
        part: Array = np.zeros(analytic.size)
        part[elements] = direction.reshape(-1)[elements]
        part = part.reshape(analytic.shape)
        distance = abs((analytic * part).sum() - self.difference(i, part).value)
        return distance if np.isfinite(distance) else np.inf

    def verdict(self, i: int, direction: Array, analytic: float, scale: float, size: float | None = None) -> _Verdict:
        """Whether the rule's derivative of L along the direction is right, from as many steps as it takes.

        scale is the largest derivative of the input; size what an error is measured by, the derivative itself unless
        it is given: along many elements their sum may be large where each is small.
        """
        x = np.abs(self.inputs[i].data)[direction != 0]
        small = float(x.min(initial=np.inf)) / RATIO**3 if len(x) == 1 else 0.0
        first = min(self.eps, small) if small else self.eps
        widest = max(self.eps * RATIO**3, WIDEST * max(1.0, float(x.max(initial=0))))
        found: dict[float, Estimate] = {}

        def outputs(step: float) -> Array:
            try:
                return self.at(i, direction, step)
            except OUTSIDE:
                return np.array(np.nan)

        def look(step: float) -> None:
            try:
                value, error = self.difference(i, direction, step)
            except OUTSIDE:
                value, error = np.nan, np.inf
            # What is too small a change for an output to show is hidden by rounding, too.
            found[step] = Estimate(value, max(error, rounding(depending, step)))

        def judged(best: Estimate) -> tuple[bool, bool]:
            by = max(abs(analytic), abs(best.value)) if size is None else size
            allowed = self.atol * scale + self.rtol * (abs(best.value) if size is None else size) + best.error
            precise = best.error <= max(PRECISE * by, NEGLIGIBLE * scale)
            return bool(abs(analytic - best.value) <= allowed), precise

        alone = self.difference(i, direction, first)
        if all(judged(alone)):
            return _Verdict(True, alone)
        here = outputs(0.0)
        far = here != outputs(WIDEST * max(1.0, float(x.max(initial=0))))
        depending = here[far] if far.any() else here
        for n in range(4):
            look(first * RATIO**n)
        best = extrapolated(found)
        if all(judged(best)):
            return _Verdict(True, best)
        for n in (-1, -2, -3):
            look(first * RATIO**n)
        step = first * RATIO**4
        while step <= widest:
            look(step)
            step *= RATIO
        best = extrapolated(found)
        right, precise = judged(best)
        if (right and precise) or not np.isfinite(analytic):
            return _Verdict(right, best)
        bend = kink(lambda step: self.at(i, direction, step), first / RATIO**3)
        if bend:
            slack = self.atol * scale + self.rtol * max(abs(bend.low), abs(bend.high))
            return _Verdict(bend.low - slack <= analytic <= bend.high + slack, best, bend)
        known = max(scale, abs(analytic))  # next to nothing where the derivative is 0
        if right and max(0.01 * abs(analytic), 1e-3 * scale) < best.error < 100 * known:
            warnings.warn(
                f"gradcheck of {name_of(self.fn)}: {self.label(i)}: rounding hides the derivative: the rule gives "
                f"{analytic:.4g}, finite differences {best.value:.4g} ± {best.error:.1g}, which proves little; move "
                "the inputs to where the outputs are smaller",
                RuntimeWarning,
                stacklevel=2,
            )
        return _Verdict(right, best)

    def close(self, analytic: Any, numerical: Any) -> Any:
        """Equal but for the tolerances, for arrays of one input's numbers."""
        scale = min(largest(np.asarray(analytic)), largest(np.asarray(numerical))) or largest(np.asarray(numerical))
        with np.errstate(invalid="ignore"):
            return np.abs(analytic - numerical) <= max(10 * self.atol, 1e-6) * scale + self.rtol * np.abs(numerical)

    def forward(self, i: int, index: tuple[int, ...]) -> float | None:
        """The same derivative in forward mode: Σ u·(J·d), by differentiating the recorded rule with respect to u.

        None where the rule does not record itself. It is another way than the rule only where the
        rule has a composite; otherwise it shows whether the rule is linear in its upstream gradient.
        """
        upstream = [wrap(u.copy(), True) for u in self.upstream]
        try:
            (pulled,) = grad(self.outputs(), [self.inputs[i]], upstream, create_graph=True, allow_unused=True)
            pushed = grad([pulled[index]], upstream, allow_unused=True)
        except Exception:  # whatever a rule raises that was not written for Tensors
            return None
        if all(v is None for v in pushed):
            return None
        return float(sum((u * v.data).sum() for u, v in zip(self.upstream, pushed, strict=True) if v is not None))

    def fail(
        self,
        i: int,
        index: tuple[int, ...],
        analytic: float,
        verdict: _Verdict,
        wrong: Array | None,
        hint: gradcheck_hints.Hint,
    ) -> NoReturn:
        (numerical, error), bend = verdict.estimate, verdict.kink
        if bend:
            hint = gradcheck_hints.at_kink(bend)
        count = "" if wrong is None else f"; {int(wrong.sum())} of {wrong.size} elements differ"
        forward = self.forward(i, index)
        witness = gradcheck_hints.witness(forward, analytic, numerical)
        raise GradcheckError(
            f"gradcheck of {name_of(self.fn)} (output made by {self.made_by}): {self.label(i)}, index {list(index)}: "
            f"the rule gives {analytic:.8g}, finite differences {numerical:.8g} ± {error:.1g}{count}. {witness}"
            f"Hint: {hint.kind}: {hint.text}",
            input=i,
            index=index,
            analytic=analytic,
            numerical=numerical,
            error=error,
            forward=forward,
            kind=hint.kind,
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


def _unit(shape: Shape, index: tuple[int, ...]) -> Array:
    """1 at this index, 0 elsewhere."""
    direction = np.zeros(shape)
    direction[index] = 1
    return direction


def _upstream(output: Tensor, seed: int) -> Array:
    """The upstream gradient of an output: _random numbers of its shape, the same for the same seed."""
    return _random(np.random.default_rng(seed), output.shape)


def _random(generator: "np.random.Generator", shape: Shape) -> Array:
    """Numbers between 0.5 and 1.5 with random signs: none small, no two alike."""
    return np.asarray((0.5 + generator.random(shape)) * generator.choice([-1.0, 1.0], shape))  # 0-d too
