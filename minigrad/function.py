"""Function: an operation with its gradient rule, and how a call is recorded. How gradients flow is in engine.py.

The recorded graph is made of nodes: a Function (one call of an operation), an Output (one of several results of
a call) or a leaf Tensor. All have `parents`, `shape`, `dtype`, `order` and `hooks`; those with parents
have `propagate`, which turns the gradient of the node into one for each parent. Nodes point at their parents only,
never forward, so a graph nobody holds is freed at once, and so are the intermediate arrays that no rule saved.

A gradient rule is written once. Given arrays it just computes; given Tensors (when create_graph asks for gradients
of gradients) the same lines record themselves.
"""

import copy
from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np

from minigrad import writes
from minigrad.devices import array_module
from minigrad.dtypes import FLOATING
from minigrad.explain import explained
from minigrad.modes import enable_grad, grad_mode
from minigrad.tensor import Tensor, unwrap, wrap
from minigrad.typing import Gradient, Node
from minigrad.views import looks_at, note_view

next_order = count().__next__

# profile() and detect_anomaly() watch every forward call on Tensors and every rule while they are listed here.
# What a rule calls on plain arrays is part of the rule.
observers: list = []


class GradientError(RuntimeError):
    """A gradient rule returned something that cannot be the gradient of its input."""


class Function:
    """One call of a differentiable operation; subclass it to write your own.

        class Square(Function):
            def forward(self, x):              # arrays in, array out
                self.save_for_backward(x)
                return x * x

            def backward(self, grad):          # d(root)/d(output) in, d(root)/d(input) out
                (x,) = self.saved
                return 2 * x * grad

        y = Square()(x)                        # or Square.apply(x)

    Parameters that are not differentiated go to __init__. backward returns one
    gradient for each input (a tuple when there are several; None where there is none). It
    need not undo broadcasting: the engine sums each gradient to its input's shape. To
    support gradients of gradients, write the rule with operators and minigrad.ops
    functions, which take arrays and Tensors alike, from inputs and outputs saved as
    they are.

    A fused operation, whose rule calls a kernel, also defines `composite(*inputs)`:
    the same function in primitives. It saves its inputs first and in order; its
    higher-order gradients are those of the composite.

    `fresh = True` on the class promises that each array which backward returns shares memory with nothing: not with
    its arguments, what was saved or the other results. The engine may then add to it in place.

    `moves = True` says that elements are copied, chosen or looked at, and none is computed: its flops are 0.
    """

    __slots__ = ("_origins", "_recorded_at", "dtype", "hooks", "order", "parents", "saved", "shape")
    parents: Sequence[Node | None]  # for each input, the node that its gradient goes to
    saved: Any  # a tuple; None once backward has used and released it
    _origins: Sequence[int | None]

    composite: Any = None
    fresh = False
    moves = False
    put: Any = None  # put(base, view), where the result looks at the memory of the input: see views.py

    def forward(self, *inputs):
        raise NotImplementedError(f"{self.name} has no forward")

    def backward(self, *grads):
        raise NotImplementedError(f"{self.name} is not differentiable")

    def flops(self, inputs, outputs) -> int:
        """The floating-point operations of a call of forward on arrays: minigrad.profile() asks for them, after it.

        An addition, multiplication, division or comparison of numbers counts 1, a root, exponential, sine or another
        elementary function as well; so a sum of n terms counts n (it begins with 0), and a product of (m, k) with
        (k, n) 2·m·k·n. A fused operation counts what its formula does. Moving and choosing elements, masks, random
        bits and the arithmetic of indices count 0. The default, for operations by element, is 1 per output element.
        """
        return 0 if self.moves else sum(getattr(y, "size", 1) for y in outputs)

    def backward_flops(self, grads, results) -> int:
        """The same of the rule, from its arguments and results, while what it saved is there; only what it computed.

        The default is 1 for each element of each gradient, and 0 for one that is passed on or not wanted. What the
        engine does with gradients, adding them up, is not counted.
        """
        if self.moves:
            return 0
        computed = (dx for dx in results if dx is not None and not any(looks_at(dx, g) for g in grads))
        return sum(getattr(dx, "size", 1) for dx in computed)

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        if isinstance(vars(cls).get("forward"), staticmethod):  # written as PyTorch's are
            from minigrad.static_functions import as_methods

            as_methods(cls)

    @classmethod
    def apply(cls, *inputs: Any, **parameters: Any) -> Any:
        """Call the operation: cls(**parameters)(*inputs)."""
        return cls(**parameters)(*inputs)

    @property
    def name(self) -> str:
        """The name of the operation, which is that of the class."""
        return type(self).__name__

    @property
    def needs_input_grad(self) -> tuple[bool, ...]:
        """For each input, whether its gradient is wanted."""
        return tuple(parent is not None for parent in self.parents)

    def save_for_backward(self, *arrays: Any) -> None:
        """Keep arrays for the rule, which finds them in self.saved (as Tensors under create_graph)."""
        self.saved = arrays

    def __call__(self, *inputs):
        arrays, parents = [], []
        any_tensor = recorded = False
        grad_enabled = grad_mode.value
        for x in inputs:
            if isinstance(x, Tensor):
                any_tensor = True
                arrays.append(x.array)
                if grad_enabled and x.requires_grad:
                    recorded = True
                    parents.append(x.grad_fn or x)
                else:
                    parents.append(None)
            else:
                arrays.append(x)
                parents.append(None)
        self.parents = parents
        self.saved = ()
        try:
            out = observed(self, "forward", arrays) if observers and any_tensor else self.forward(*arrays)
        except Exception as error:
            better = explained(error, self.name.lower(), [*arrays, *getattr(self, "__dict__", {}).values()])
            if better is error:
                raise
            raise better from error
        if not any_tensor:
            return out
        if type(out) is tuple:
            return self._several(inputs, arrays, out, recorded)
        if type(out) is not np.ndarray and isinstance(out, (np.generic, int, float)):
            scalar, out = out, np.asarray(out)  # numpy gives scalars for 0-d results
            self.saved = tuple(out if saved is scalar else saved for saved in self.saved)
        if recorded and out.dtype.kind in FLOATING:
            self._record(arrays, (out,))
            self.shape = out.shape
            self.dtype = out.dtype
            result = wrap(out, True, self)
        else:
            result = wrap(out)
        if grad_enabled and (out.base is not None or out is arrays[0]):
            note_view(self, inputs, result)
        return result

    def _record(self, arrays, outputs) -> None:
        """Become a node of the graph: remember where each saved array came from."""
        self.order = next_order()
        self.hooks = None
        self._recorded_at = writes.now
        if not self.saved:
            self._origins = ()
            return
        origins: list[int | None] = []
        for saved in self.saved:
            origin: int | None = None
            if saved is None:
                origins.append(None)
                continue
            for i, array in enumerate(arrays):
                if array is saved:
                    origin = i
                    break
            else:
                for i, output in enumerate(outputs):
                    if output is saved:
                        origin = ~i  # outputs are counted from -1 downwards
                        break
            origins.append(origin)
        self._origins = origins

    def _several(self, inputs, arrays, outputs, recorded):
        """The results of a function with several: each gets a small node, and their gradients meet in this one."""
        if recorded:
            self._record(arrays, outputs)
            self.shape = tuple(out.shape for out in outputs)
            self.dtype = tuple(out.dtype for out in outputs)
        results = []
        for i, out in enumerate(outputs):
            result = wrap(out, True, Output(self, i)) if recorded and out.dtype.kind in FLOATING else wrap(out)
            if grad_mode.value and out.base is not None:
                note_view(self, inputs, result, i)
            results.append(result)
        return tuple(results)

    def again(self) -> "Function":
        """The same operation with the same parameters, to be called once more."""
        new = copy.copy(self)
        new.saved = new.hooks = None
        return new

    def propagate(self, gradient: Any, retain_graph: bool, create_graph: bool) -> tuple:
        """One gradient for each parent by the rule, from that of the output: an array, or with create_graph a Tensor.

        For a function of several outputs it is a list, with None for an output that no gradient came for.
        """
        if self.saved is None or self._recorded_at != writes.now:
            self._check_saved()
        grads = self._complete(gradient, create_graph) if type(gradient) is list else (gradient,)
        if create_graph:
            results = self._recorded_rule(grads)
        else:
            try:
                results = observed(self, "backward", grads) if observers else self.backward(*grads)
            except MemoryError as error:
                raise explained(error, f"the gradient of {self.name.lower()}", grads) from error
        if not retain_graph:
            self.saved = None
        results = results if type(results) is tuple else (results,)
        if len(results) != len(self.parents):
            raise GradientError(
                f"{self.name}.backward returned {len(results)} gradients for {len(self.parents)} inputs "
                f"({self.rule_place()})"
            )
        return results

    def _complete(self, gradients: list, create_graph: bool) -> tuple:
        """Zeros in place of the gradients that never came."""
        xp = array_module(unwrap(next(g for g in gradients if g is not None)))
        zeros = [xp.zeros(s, d) if g is None else g for g, s, d in zip(gradients, self.shape, self.dtype, strict=True)]
        return tuple(g if isinstance(g, Tensor) or not create_graph else wrap(g) for g in zeros)

    def _recorded_rule(self, grads: tuple):
        """The rule on Tensors, or the gradient of the composite, recorded."""
        arrays, self.saved = self.saved, self._saved_as_tensors()
        try:
            with enable_grad():
                return self.backward(*grads) if self.composite is None else self._composite_rule(grads)
        finally:
            self.saved = arrays

    def _composite_rule(self, grads: tuple) -> tuple:
        from minigrad.engine import grad

        inputs = [
            Identity()(x) if isinstance(x, Tensor) and x.requires_grad else x for x in self.saved[: len(self.parents)]
        ]
        outputs = self.composite(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        wanted = [x for x, parent in zip(inputs, self.parents, strict=True) if parent is not None]
        results = iter(grad(outputs, wanted, grads, create_graph=True, allow_unused=True))
        return tuple(None if parent is None else next(results) for parent in self.parents)

    def rule_place(self) -> str:
        """The file and line of the gradient rule, and of the forward call if detect_anomaly recorded it."""
        code = type(self).backward.__code__
        place = f"rule at {code.co_filename}:{code.co_firstlineno}"
        made_at = getattr(self, "made_at", None)
        return f"{place}; called at {made_at}" if made_at else f"{place}; detect_anomaly() also names the call"

    def _check_saved(self) -> None:
        if self.saved is None:
            raise RuntimeError(
                f"backward through {self.name} a second time: what it saved was released after the first; "
                "pass retain_graph=True to the first call"
            )
        for array in writes.arrays_in(self.saved, *getattr(self, "__dict__", {}).values()):
            if writes.last_write(array) > self._recorded_at:
                raise RuntimeError(
                    f"an input or output of {self.name}, of shape {array.shape}, was modified in place after it was "
                    "saved for the gradient; run backward before updating it, or work on a .clone()"
                )

    def _saved_as_tensors(self) -> tuple:
        """The saved arrays as Tensors joined to the graph, so that a rule can record itself."""
        tensors = []
        for array, origin in zip(self.saved, self._origins, strict=True):
            if origin is None or (origin >= 0 and self.parents[origin] is None):
                joined = array if array is None or not hasattr(array, "dtype") else wrap(array)
            elif origin < 0:
                several = isinstance(self.dtype, tuple)
                joined = wrap(array, True, Output(self, ~origin) if several else self)
            else:
                parent = self.parents[origin]
                if not isinstance(parent, Tensor):
                    joined = wrap(array, True, parent)
                elif parent.array is array:
                    joined = parent
                else:  # its .data has been set to another array since
                    joined = Identity()(parent)
                    joined.array = array
            tensors.append(joined)
        return tuple(tensors)


class Output:
    """One of several outputs of a Function: a node that hands its gradient to slot `index`."""

    __slots__ = ("dtype", "hooks", "index", "order", "parents", "shape")
    fresh = False

    def __init__(self, function: Function, index: int):
        self.parents = (function,)
        self.index = index
        self.order = next_order()
        self.shape = function.shape[index]
        self.dtype = function.dtype[index]
        self.hooks = None

    @property
    def name(self) -> str:
        """The name of the operation, and which of its outputs it is: Split[1]."""
        return f"{self.parents[0].name}[{self.index}]"

    def propagate(self, gradient: Gradient, retain_graph: bool, create_graph: bool) -> tuple:
        """The gradient, for its place among those of the function's outputs."""
        return (_Slot(gradient, self.index),)


class PartialGradient:
    """A gradient that touches a few elements of a large input, such as the rows an embedding looked up.

    A rule may return one in place of an array of mostly zeros; add_to(buffer) adds `values` to
    the gradient that has gathered so far, which costs the few elements and not the whole.
    """

    __slots__ = ("add_to", "values")

    def __init__(self, values, add_to):
        self.values = values
        self.add_to = add_to

    def joined_to(self, before: Any, own: bool, parent: Any) -> Any:
        """The gradient gathered for parent before, None or an array, with this one: memory that is the engine's own."""
        if before is None:
            before = array_module(self.values).zeros(parent.shape, dtype=parent.dtype)
        elif not own:
            before = before.copy()
        self.add_to(before)
        return before


class _Slot(PartialGradient):
    """The gradient of one of several outputs: it takes its place in the list of them all."""

    __slots__ = ("index",)

    def __init__(self, values, index: int):
        self.values, self.index = values, index

    def joined_to(self, before, own: bool, parent: Function):
        slots = [None] * len(parent.shape) if before is None else before
        slots[self.index] = self.values
        return slots


class Identity(Function):
    """y = x;  dx = dy. A new node for the same array."""

    moves = True

    def forward(self, x):
        return x

    def backward(self, grad):
        return grad

    def put(self, base: Tensor, view: Tensor) -> Tensor:
        """The view, for it is all of base."""
        return view


def observed(node: Function, phase: str, inputs: Sequence[Any]) -> Any:
    """Run a forward or a rule between the observers' begin and end; one that raises ends with the result None."""
    watching = [(observer, observer.begin(node, phase, inputs)) for observer in observers]
    result = None
    try:
        result = node.forward(*inputs) if phase == "forward" else node.backward(*inputs)
    finally:
        for observer, token in reversed(watching):
            observer.end(node, phase, inputs, result, token)
    return result
