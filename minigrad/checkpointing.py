"""checkpoint: forget the activations of a stretch of the model, compute them again in backward.

Memory for time (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016). Of the
stretch only its inputs are kept; backward runs it a second time, from the same random
numbers, and goes back through that. With a checkpoint around each of n layers the peak is the
inputs of n layers and the activations of one, for one more forward.
"""

from collections.abc import Callable
from typing import Any

from minigrad import random
from minigrad.engine import grad
from minigrad.function import Function, Identity, next_order
from minigrad.modes import enable_grad, is_grad_enabled
from minigrad.tensor import Tensor, wrap


def checkpoint(fn: Callable[..., Any], *inputs: Any, **keywords: Any) -> Any:
    """fn(*inputs, **keywords), with what it saves for backward forgotten and computed again when needed.

    fn returns a Tensor or a tuple of Tensors. It must do the same when called again: it
    sees the same inputs and the same random numbers (the generator is set back for the
    second run), and must not have side effects. Parameters that fn uses without being
    given them get their gradients too, and gradients of gradients work.

    The gradients are those of fn(*inputs), bit for bit as long as no tensor is used both
    inside and outside; then its contributions are added in another order.
    """
    if not is_grad_enabled():
        return fn(*inputs, **keywords)
    stretch = _Stretch(fn, inputs, keywords)
    outputs, reached = stretch.first_run()
    if not reached:
        return outputs
    flat = _tuple(outputs)
    results = _tuple(_Checkpoint([output.data for output in flat], stretch)(*reached))
    results = tuple(new if old.requires_grad else old for old, new in zip(flat, results, strict=True))
    return results if isinstance(outputs, tuple) else results[0]


class _Checkpoint(Function):
    """y = fn(x), its graph thrown away;  dx from running fn again."""

    fresh = True
    moves = True  # what runs inside is counted there

    def __init__(self, outputs: list, stretch: "_Stretch"):
        self.outputs, self.stretch = outputs, stretch

    def forward(self, *reached):
        self.save_for_backward(*reached)  # so that backward refuses inputs that were written to since
        outputs, self.outputs = self.outputs, None
        return tuple(outputs) if len(outputs) > 1 else outputs[0]

    def backward(self, *grads):
        return self.stretch.second_run(grads, self.saved)


class _Stretch:
    """A call of fn, ready to be repeated."""

    def __init__(self, fn, inputs: tuple, keywords: dict):
        self.fn, self.inputs, self.keywords = fn, inputs, keywords
        self.rng_state = random.get_rng_state()

    def first_run(self):
        """The outputs, and the tensors that require grad which they were computed from.

        The graph is recorded once to find the parameters that fn reaches on its own. It ends at
        fresh leaves in place of the inputs and at everything that is older than the call.
        """
        start = next_order()
        leaves, inputs, keywords = self._fresh(_leaf)
        outputs = self.fn(*inputs, **keywords)
        for output in _tuple(outputs):
            if not isinstance(output, Tensor):
                raise TypeError(
                    f"checkpoint: fn returned a {type(output).__name__}; expected a Tensor or a tuple of Tensors"
                )
        seen = {output.grad_fn or output for output in _tuple(outputs) if output.requires_grad}
        stack = list(seen)
        outside = {}  # in the order in which they are met, so that runs repeat
        while stack:
            node = stack.pop()
            if node.order < start:
                outside[node] = None
                continue
            for parent in node.parents:
                if parent is not None and parent not in seen:
                    seen.add(parent)
                    stack.append(parent)
        self.given = [original for leaf, original in leaves.items() if leaf in outside]
        self.places = [i for i, leaf in enumerate(leaves) if leaf in outside]
        self.closed_over = [node for node in outside if node not in leaves]
        for node in self.closed_over:
            if not isinstance(node, Tensor):
                raise ValueError(
                    f"checkpoint: fn uses the result of {node.name}, of shape {node.shape}, without being given it; "
                    "pass it as an input (parameters may be used freely)"
                )
        return outputs, [*self.given, *self.closed_over]

    def second_run(self, grads, saved) -> tuple:
        """The gradients of what first_run found, from a graph that lives only here."""
        recorded = isinstance(grads[0], Tensor)
        now = random.get_rng_state()
        random.set_rng_state(self.rng_state)
        try:
            with enable_grad():
                leaves, inputs, keywords = self._fresh(_again if recorded else _leaf)
                outputs = _tuple(self.fn(*inputs, **keywords))
        finally:
            random.set_rng_state(now)
        leaves = list(leaves)
        wanted = [*(leaves[i] for i in self.places), *self.closed_over]
        used = [i for i, output in enumerate(outputs) if output.requires_grad]
        upstream = [grads[i] if recorded else wrap(grads[i]) for i in used]
        results = grad([outputs[i] for i in used], wanted, upstream, create_graph=recorded, allow_unused=True)
        return tuple(result if recorded or result is None else result.data for result in results)

    def _fresh(self, joined):
        """{stand-in: original} for the inputs that require grad, and the arguments with the stand-ins in place."""
        leaves = {}

        def stand_in(x):
            if not isinstance(x, Tensor) or not x.requires_grad:
                return x
            leaf = joined(x)
            leaves[leaf] = x
            return leaf

        inputs = [stand_in(x) for x in self.inputs]
        keywords = {name: stand_in(x) for name, x in self.keywords.items()}
        return leaves, inputs, keywords


def _leaf(x: Tensor) -> Tensor:
    return wrap(x.data, True)


def _again(x: Tensor) -> Tensor:
    return Identity()(x)


def _tuple(outputs) -> tuple:
    return outputs if isinstance(outputs, tuple) else (outputs,)
