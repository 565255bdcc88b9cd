"""What gradcheck calls: the function, what it may take and return, and what its gradient must not depend on.

That is other calls in between, the layout of the inputs in memory, and which of the inputs ask for a gradient.
"""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from minigrad.engine import grad
from minigrad.gradcheck_hints import same
from minigrad.tensor import Tensor, to_numpy, wrap
from minigrad.typing import Array

if TYPE_CHECKING:
    from minigrad.gradcheck import _Check


class GradcheckError(AssertionError):
    """A gradient rule disagrees with finite differences, or with itself.

    input, index          which number of which input: position in `inputs`, then inside it
    analytic, numerical   what the rule gave there, and what finite differences gave
    error                 how far the differences may be off there
    forward               what forward mode (jvp) gave there, where the rule can record itself
    kind                  the class of the mistake, a key of gradcheck_hints.KINDS
    """

    def __init__(
        self,
        message: str,
        input: int | None = None,
        index: tuple[int, ...] | None = None,
        analytic: float | None = None,
        numerical: float | None = None,
        error: float | None = None,
        forward: float | None = None,
        kind: str = "unknown",
    ):
        super().__init__(message)
        self.input, self.index, self.analytic, self.numerical = input, index, analytic, numerical
        self.error, self.forward, self.kind = error, forward, kind


def check_unchanged(check: "_Check", before: list[Array | None]) -> None:
    """The inputs hold what they held before fn and its rules ran."""
    for i, (x, copy) in enumerate(zip(check.inputs, before, strict=True)):
        if copy is not None and not same(to_numpy(x.data), copy):
            raise GradcheckError(
                f"gradcheck: {name_of(check.fn)} changes {check.label(i)} in place; forward and backward must leave "
                "their inputs as they are",
                input=i,
                kind="in place",
            )


def check_repeated(check: "_Check", analytic: list[Array], moved: dict[int, Array]) -> None:
    """The gradients again, after fn was called with other inputs in between: the same, bit for bit."""
    outputs = check.outputs()
    with check.replaced(moved):
        others = check.outputs()
    again = check.analytic(outputs, retain_graph=True)
    zeros = [np.zeros(u.shape) for u in check.upstream]
    both = check.analytic([*outputs, *others], [*check.upstream, *zeros])
    for i, first, second, joint in zip(check.wanted, analytic, again, both, strict=True):
        if same(first, second) and not _alike(check, joint, first):
            with check.replaced(moved):
                rest = check.analytic(check.outputs(), zeros)[check.wanted.index(i)]
            if _alike(check, joint, first + rest):
                continue  # the rule makes something of an upstream gradient of 0; the differences will tell
            raise GradcheckError(
                f"gradcheck: the gradient that {name_of(check.fn)} returned for {check.label(i)} changes when it "
                "computes another in the same backward pass: its rule returns a shared buffer; return a new array",
                input=i,
                kind="buffer",
            )
        if same(first, second):
            continue
        if same(first, check.analytic(check.outputs())[check.wanted.index(i)]):
            raise GradcheckError(
                f"gradcheck: {name_of(check.fn)} gives another gradient for {check.label(i)} if it is called with "
                "other inputs before its backward: what it saves lies in a buffer shared between calls; save a "
                "new array in save_for_backward, and make a new Function for each call: lambda x: Square()(x)",
                input=i,
                kind="buffer",
            )
        raise GradcheckError(
            f"gradcheck: two backward passes of {name_of(check.fn)} give different gradients for {check.label(i)}; "
            "it is random, or keeps something from one call to the next",
            input=i,
            kind="random",
        )


def check_strided(check: "_Check", analytic: list[Array], values: list[Array]) -> None:
    """The same gradients for copies of the inputs, and upstream gradients, that are not contiguous."""
    arrays = {i: to_numpy(check.inputs[i].data) for i in check.wanted}
    upstream = [_strided(u) for u in check.upstream]
    copies = {i: _strided(x) for i, x in arrays.items()}
    with check.replaced(copies):
        outputs = check.outputs()
        found = check.analytic(outputs, upstream)
    if not all(_alike(check, output.data, value) for output, value in zip(outputs, values, strict=True)):
        warnings.warn(
            f"gradcheck: {name_of(check.fn)} itself gives other outputs for strided copies of its inputs (a reshape "
            "copies where it was a view?); its rule was checked for the layout that was given",
            RuntimeWarning,
            stacklevel=2,
        )
        return
    for i, expected, gradient in zip(check.wanted, analytic, found, strict=True):
        if _alike(check, gradient, expected):
            continue
        with check.replaced(copies):
            alone = check.analytic(check.outputs())[check.wanted.index(i)]
        what = "its upstream gradient" if _alike(check, alone, expected) else "a copy of the inputs"
        _differs(
            check,
            i,
            gradient,
            expected,
            "strided",
            f"if {what} is strided (not contiguous)",
            "the rule reads or writes memory in its order: look for reshape(-1), ravel and views that are copies",
        )


def check_alone(check: "_Check", analytic: list[Array]) -> None:
    """The same gradient for an input if it is the only one that requires grad."""
    leaves = [i for i in check.wanted if check.inputs[i].grad_fn is None]
    if len({id(check.inputs[i]) for i in check.wanted}) < 2:
        return
    for i, expected in zip(check.wanted, analytic, strict=True):
        others = [check.inputs[j] for j in leaves if check.inputs[j] is not check.inputs[i]]
        try:
            for x in others:
                x.requires_grad = False
            try:
                outputs = check.outputs()
            except ValueError:  # none depends on this input alone
                continue
            if [x.shape for x in outputs] != [u.shape for u in check.upstream]:
                continue  # other outputs, not another gradient
            results = grad(outputs, [check.inputs[i]], [wrap(u) for u in check.upstream], allow_unused=True)
        finally:
            for x in others:
                x.requires_grad = True
        gradient = np.zeros(expected.shape) if results[0] is None else to_numpy(results[0].data)
        if not _alike(check, gradient, expected):
            _differs(
                check,
                i,
                gradient,
                expected,
                "alone",
                "if it alone requires grad",
                "look at what the rule does with needs_input_grad, and at the order of the gradients it returns",
            )


def _alike(check: "_Check", gradient: Array, expected: Array) -> bool:
    """The same gradient up to the order of a sum."""
    return np.allclose(gradient, expected, check.rtol, check.floor, equal_nan=True)


def _differs(check: "_Check", i: int, gradient: Array, expected: Array, kind: str, when: str, hint: str) -> NoReturn:
    """The rule contradicts itself; which of its two answers is right is not asked."""
    index = argmax(np.abs(gradient - expected))
    raise GradcheckError(
        f"gradcheck of {name_of(check.fn)} (output made by {check.made_by}): {check.label(i)}, index {list(index)}: "
        f"the rule gives {gradient[index]:.8g} {when}, and {expected[index]:.8g} otherwise. Hint: {kind}: {hint}",
        input=i,
        index=index,
        analytic=float(gradient[index]),
        numerical=float(expected[index]),
        kind=kind,
    )


def is_wanted(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad


def check_inputs(inputs: list[Any]) -> None:
    wanted = [i for i, x in enumerate(inputs) if is_wanted(x)]
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


def differentiable(fn: Callable[..., Any], outputs: Any) -> list[Tensor]:
    """The outputs that carry gradients."""
    outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    for output in outputs:
        if not isinstance(output, Tensor):
            raise TypeError(
                f"gradcheck: {name_of(fn)} returned a {type(output).__name__}; expected a Tensor or several"
            )
    found = [output for output in outputs if output.requires_grad]
    if not found:
        raise ValueError(
            f"gradcheck: no output of {name_of(fn)} depends on an input that requires grad; is it made of integers, "
            "detached, or computed under no_grad?"
        )
    for output in found:
        if output.dtype != np.float64:
            raise TypeError(f"gradcheck: {name_of(fn)} turned float64 into {output.dtype}; keep the inputs' dtype")
    return found


def argmax(array: Array) -> tuple[int, ...]:
    """The index of the largest number; NaN is larger than any."""
    return tuple(int(n) for n in np.unravel_index(int(np.nan_to_num(array, nan=np.inf).argmax()), array.shape))


def _strided(array: Array) -> Array:
    """A copy in another layout: its dimensions in the order of Fortran, every other number in memory, NaN between."""
    if not array.ndim:
        return array.copy()
    backwards = array.shape[::-1]
    memory = np.full((*backwards[:-1], 2 * backwards[-1]), np.nan)
    strided = memory[..., ::2].T
    strided[...] = array
    return strided


def name_of(fn: Callable[..., Any]) -> str:
    return getattr(fn, "__name__", type(fn).__name__)


def largest(array: Array) -> float:
    """The largest finite size in an array, 0 where there is none."""
    return float(np.abs(array[np.isfinite(array)]).max(initial=0))


def repeats(array: Array) -> bool:
    """Whether several elements live at one address, as after broadcasting."""
    return any(stride == 0 and n > 1 for stride, n in zip(array.strides, array.shape, strict=True))
