"""Tensors that look at one memory: what a recorded write through one of them means for the others.

Writing into `v = x[0]` changes x, and whatever else looks at that memory, in its data. When the write is recorded the
gradients must say the same. So a view holds its base, the tensor it was made from, and the Function that made it; a
base knows its living views by weak references. A write through v makes v the result of the operation that wrote, each
base above it the result of putting v into its place (Function.put), and every other view is made again, that is, gets
the history it would have, were it made from its base now.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import ref

from minigrad.dtypes import FLOATING
from minigrad.tensor import Tensor
from minigrad.typing import Array
from minigrad.writes import owner

if TYPE_CHECKING:
    from minigrad.function import Function


def looks_at(y: Array, x: Array) -> bool:
    """Whether array y is x, or another look at its memory."""
    base = getattr(y, "base", None)
    return y is x or (base is not None and (base is x or base is getattr(x, "base", None)))


def note_view(function: "Function", inputs: Sequence, result: Tensor, output: int | None = None) -> None:
    """If the result of function(*inputs) looks at the memory of an input, let the two know of each other.

    view_of is the base, the function, and which of its results the tensor is, None where it has one.
    """
    array = result.array
    base = array.base
    for x in inputs:
        if isinstance(x, Tensor) and (x.array is base or x.array is array or owner(x.array) is owner(array)):
            if not result.requires_grad and array.dtype.kind not in FLOATING:
                return
            result.view_of = x, function, output
            if x.requires_grad and x.grad_fn is None:
                return  # such a leaf, and so a view of it, is never written to while recording
            if x.views is None:
                x.views = [ref(result)]
                return
            if len(x.views) & 31 == 31:  # now and then, those that are gone
                x.views = [reference for reference in x.views if reference() is not None]
            x.views.append(ref(result))
            return


def refuse_recorded_write(x: Tensor, name: str) -> None:
    """RuntimeError, in words, for a tensor that a recorded operation cannot write into."""
    root = x
    while root.view_of is not None:
        root, function, output = root.view_of
        if function.put is None or output is not None:
            raise RuntimeError(
                f"{name} while recording, into a result of {function.name}, which looks at the memory of another "
                "tensor: write into that tensor, or into a .clone() of this one"
            )
    if root.grad_fn is None and root.requires_grad:
        what = "a leaf that requires grad" if root is x else "a view of a leaf that requires grad"
        raise RuntimeError(f"{name} on {what}; write inside `with minigrad.no_grad():`, or into a .clone()")


def record_write(x: Tensor, written: Tensor) -> None:
    """Give x the history of `written`, whose values stand in x's memory by now, and all that look at it theirs."""
    _become(x, written)
    path = {x}
    while x.view_of is not None:
        base, function, _ = x.view_of
        _become(base, function.put(base, x))
        x = base
        path.add(x)
    _make_views_again(x, path)


def _become(x: Tensor, other: Tensor) -> None:
    """Give x the history of another tensor with the same values."""
    other.view_of = None  # not one more view to keep up to date
    hooks = x.grad_fn.hooks if x.grad_fn is not None else None
    x.grad_fn, x.requires_grad = other.grad_fn, other.requires_grad
    for handle, hook in list((hooks or {}).items()):
        if getattr(hook, "follows", None) is not None and hook.follows() is x:  # retain_grad() means x as it is now
            handle.move_to(x.grad_fn)


def _make_views_again(x: Tensor, path: set) -> None:
    """For every living view of x, its history as if it were made from x now; those on the path have theirs."""
    made: dict = {}  # function: its results, for a split gives all of its pieces at once
    for reference in list(x.views or ()):
        view = reference()
        if view is None or view.view_of is None or view.view_of[0] is not x:
            continue
        if view not in path:
            _, function, output = view.view_of
            if function not in made:
                results = function.again()(x)
                made[function] = results if isinstance(results, tuple) else (results,)
                for result in made[function]:
                    result.view_of = None
            _become(view, made[function][output or 0])
        _make_views_again(view, path)


def refuse_unwritable(array: Array, name: str) -> None:
    """ValueError, in words, for memory that cannot be written to element by element."""
    if array.size and any(stride == 0 and n > 1 for stride, n in zip(array.strides, array.shape, strict=True)):
        raise ValueError(f"{name} into an expanded tensor, several elements of which are one number; .clone() it first")
    if not getattr(array.flags, "writeable", True):  # cupy knows no such flag
        raise ValueError(f"{name} into read-only memory; .clone() the tensor first")
