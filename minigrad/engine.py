"""How gradients flow: backward() and grad() walk the recorded graph from its end to its leaves.

The graph's nodes are described in function.py. What every rule would otherwise repeat is done here once:
each gradient is brought to the shape and dtype of its input or refused with the rule's name, gradients that
meet are added without writing into memory that somebody else holds, and what a rule saved is let go.
"""

import threading
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from minigrad.devices import array_module, is_array
from minigrad.dtypes import is_half
from minigrad.function import Function, GradientError, PartialGradient
from minigrad.tensor import Tensor, unwrap, wrap
from minigrad.typing import Data, Shape
from minigrad.writes import note_write

_accumulating = threading.Lock()  # several threads may add to one leaf
_order = attrgetter("order")


def backward(
    root: Tensor,
    gradient: Data | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add d(root)/d(leaf) to every leaf's .grad, or to that of `inputs`. See Tensor.backward."""
    if not root.requires_grad:
        raise RuntimeError(
            "backward: this tensor does not depend on any that requires grad; "
            "build the inputs with requires_grad=True, and not under no_grad"
        )
    targets = None
    if inputs is not None:
        inputs = _several(inputs, "backward")
        if not inputs:
            raise ValueError("backward: inputs is empty; give the tensors whose .grad is wanted, or leave it out")
        targets = {x.grad_fn or x for x in inputs}
    seeds = {root.grad_fn or root: _seed(root, gradient, create_graph, "backward")}
    found = _flow(seeds, targets, create_graph if retain_graph is None else retain_graph, create_graph)
    if inputs is None:
        for leaf, arrived in found.items():
            _accumulate(leaf, arrived)
        return
    for x in dict.fromkeys(inputs):
        arrived = found.get(x.grad_fn or x)
        if arrived is not None:
            _accumulate(x, arrived)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """d(sum of outputs · grad_outputs)/d(inputs), as a tuple, without touching any .grad.

    outputs, inputs  a Tensor or a sequence of Tensors
    grad_outputs     upstream gradients, one for each output; may be left out for one-element outputs
    create_graph     record the computation, so that the result can be differentiated again
    allow_unused     give None for an input the outputs do not depend on, instead of an error
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = _several(inputs, "grad")
    if grad_outputs is None:
        grad_outputs = [None] * len(outputs)
    elif isinstance(grad_outputs, Tensor) or is_array(grad_outputs):
        grad_outputs = [grad_outputs]
    if len(grad_outputs) != len(outputs):
        raise ValueError(f"grad: {len(outputs)} outputs but {len(grad_outputs)} grad_outputs; give one each")
    seeds: dict[Any, Any] = {}
    for tensor, gradient in zip(outputs, grad_outputs, strict=True):
        if tensor.requires_grad:
            node, seed = tensor.grad_fn or tensor, _seed(tensor, gradient, create_graph, "grad")
            seeds[node] = _array(seeds[node] + seed) if node in seeds else seed
    targets = [tensor.grad_fn or tensor for tensor in inputs]
    found = _flow(seeds, set(targets), create_graph if retain_graph is None else retain_graph, create_graph)
    results = []
    for i, node in enumerate(targets):
        if node not in found and not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on input {i} (shape {inputs[i].shape}); "
                "pass allow_unused=True to get None for it"
            )
        gradient = found.get(node)
        results.append(gradient if gradient is None or isinstance(gradient, Tensor) else wrap(gradient))
    return tuple(results)


def _several(inputs, caller: str) -> list[Tensor]:
    """The tensors that gradients are wanted for, as a list, once all of them require grad."""
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for i, tensor in enumerate(inputs):
        if not tensor.requires_grad:
            raise RuntimeError(f"{caller}: input {i} (shape {tensor.shape}) does not require grad")
    return inputs


def _seed(root: Tensor, gradient, create_graph: bool, caller: str):
    """The upstream gradient a pass starts from: an array, or a Tensor when the pass is recorded."""
    if gradient is None:
        if root.array.size != 1:
            raise RuntimeError(
                f"{caller}: a tensor of shape {root.shape} has {root.array.size} elements, so its gradient is not one "
                "number for each leaf; reduce it to a scalar (loss.mean()) or pass an upstream gradient of that shape"
            )
        gradient = array_module(root.array).ones(root.shape, root.dtype)
        return wrap(gradient) if create_graph else gradient
    shape = gradient.shape if hasattr(gradient, "shape") else np.shape(gradient)
    if tuple(shape) != root.shape:
        raise ValueError(f"{caller}: the upstream gradient has shape {tuple(shape)}, the tensor {root.shape}")
    if create_graph:
        from minigrad.ops import astype

        return astype(gradient if isinstance(gradient, Tensor) else Tensor(gradient), root.dtype)
    gradient = unwrap(gradient)
    return (gradient if is_array(gradient) else np.asarray(gradient)).astype(root.dtype, copy=False)


def _flow(seeds: dict, targets: set | None, retain_graph: bool, create_graph: bool) -> dict:
    """Carry gradients from the seeds backwards: {target: its gradient, in memory that nothing else shares}.

    seeds    {node: the gradient to start from}
    targets  the nodes whose gradients are wanted, reached or not; None for every leaf

    A node is always made after its parents, so the order of creation, reversed, is a topological order: when a
    node's turn comes, its gradient is complete. No recursion. An array that a rule returns may be held by somebody
    else (it may be the upstream gradient itself), so a gradient is added to in place only if its memory is the
    engine's `own`: the engine made it, or its rule declares that it returns fresh arrays.
    """
    ordered = _reached(seeds)
    wanted: set = set()  # what leads to the targets, if there are any
    if targets is not None:
        ordered = _leading_to(targets, ordered)
        wanted.update(ordered)
    pending, own, found = seeds, set(), {}
    for node in ordered:
        gradient = pending.pop(node, None)
        if gradient is None:
            continue
        if node.hooks:
            gradient = _run_hooks(node, gradient if node in own else _copy(gradient), create_graph)
            own.discard(node)  # a hook may hold on to it
        parents = node.parents
        if not parents if targets is None else node in targets:
            found[node] = gradient if node in own and not create_graph else _copy(gradient)
            if not parents or not any(parent in wanted for parent in parents):
                continue
        results = node.propagate(gradient, retain_graph, create_graph)
        gradient, fresh = None, node.fresh
        for i in range(len(parents)):
            parent, result = parents[i], results[i]
            if parent is None or result is None or (targets is not None and parent not in wanted):
                continue
            made = fresh
            if type(result) is not np.ndarray or result.shape != parent.shape or result.dtype is not parent.dtype:
                if isinstance(result, PartialGradient):
                    pending[parent] = result.joined_to(pending.get(parent), parent in own, parent)
                    own.add(parent)
                    continue
                given, result = result, _fitted(result, parent, i, node)
                made = made or result is not given
            before = pending.get(parent)
            if before is None:
                pending[parent] = result
                if made:
                    own.add(parent)
            elif parent in own and not create_graph:
                before += result
            else:
                pending[parent] = _array(before + result)
                own.add(parent)
        results = result = given = before = None  # hold nothing that is not needed any more
    return found


def _reached(seeds) -> list:
    """The nodes that gradients can reach from the seeds, each before its parents."""
    nodes, stack = set(seeds), list(seeds)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in nodes:
                nodes.add(parent)
                stack.append(parent)
    return sorted(nodes, key=_order, reverse=True)


def _leading_to(targets: set, ordered: list) -> list:
    """The nodes on some path to a target; the rest of the graph need not be walked."""
    leading = set()
    for node in reversed(ordered):
        if node in targets or any(parent in leading for parent in node.parents if parent is not None):
            leading.add(node)
    return [node for node in ordered if node in leading]


def _array(gradient):
    """A gradient as an array: numpy gives scalars where arrays are 0-d, and those cannot be added to in place."""
    return np.asarray(gradient) if isinstance(gradient, np.generic) else gradient


def _copy(gradient):
    """A gradient in memory of its own; recorded if it is a Tensor."""
    return gradient.clone() if isinstance(gradient, Tensor) else gradient.copy()


def _fitted(result, parent, index: int, node: Function):
    """A gradient brought to its input's shape and dtype, where that is what broadcasting and promotion ask for."""
    if isinstance(result, (np.generic, int, float)):
        result = np.asarray(result)
    if not hasattr(result, "shape"):
        raise GradientError(
            f"{node.name}.backward gave a {type(result).__name__} for input {index}; expected an array of shape "
            f"{parent.shape} ({node.rule_place()})"
        )
    if result.shape != parent.shape:
        try:
            result = unbroadcast(result, parent.shape)
        except ValueError:
            raise GradientError(
                f"{node.name}.backward gave a gradient of shape {result.shape} for input {index} of shape "
                f"{parent.shape}; they must be equal, or differ by broadcasting only ({node.rule_place()})"
            ) from None
    if result.dtype != parent.dtype:
        if node.dtype == parent.dtype and not is_half(parent.dtype):  # half precision computes in float32
            raise GradientError(
                f"{node.name}.backward gave a {result.dtype} gradient for input {index}, which is {parent.dtype}; "
                f"keep the dtype, a float64 constant may have slipped in ({node.rule_place()})"
            )
        result = result.astype(parent.dtype)
    return result


def unbroadcast(gradient: Any, shape: Shape) -> Any:
    """Sum a gradient over the axes along which an input of `shape` was repeated; the result has that shape.

    gradient  an array or a Tensor of the shape to which the input was broadcast: with new axes in front, and with axes
              of size 1 repeated. ValueError if its shape is not a broadcast of `shape`.
    """
    from minigrad import ops

    extra = gradient.ndim - len(shape)
    if extra < 0 or any(have != want and want != 1 for have, want in zip(gradient.shape[extra:], shape, strict=True)):
        raise ValueError(f"{gradient.shape} is not a broadcast of {shape}")
    axes = tuple(i for i in range(gradient.ndim) if i < extra or (shape[i - extra] == 1 and gradient.shape[i] != 1))
    return _array(ops.reshape(ops.sum(gradient, axes) if axes else gradient, shape))


def _run_hooks(node, gradient, create_graph: bool):
    """The gradient after the node's hooks, which see it as a Tensor and may replace it by another."""
    for hook in tuple(node.hooks.values()):
        replaced = hook(gradient if isinstance(gradient, Tensor) else wrap(gradient))
        if replaced is None:
            continue
        if not isinstance(replaced, Tensor):
            raise TypeError(
                f"a hook returned a {type(replaced).__name__}; expected a Tensor, or None to keep the gradient"
            )
        if replaced.shape != node.shape:
            raise ValueError(f"a hook returned shape {replaced.shape} for a gradient of shape {node.shape}")
        if replaced.dtype != node.dtype:
            raise TypeError(f"a hook returned {replaced.dtype} for a {node.dtype} gradient; keep the dtype")
        gradient = replaced if create_graph else replaced.array
    return gradient


def _accumulate(leaf: Tensor, gradient) -> None:
    """Add to a leaf's .grad a gradient, an array or a recorded Tensor, that nobody else holds."""
    with _accumulating:
        before = leaf.grad
        if isinstance(gradient, Tensor):
            leaf.grad = gradient if before is None else before + gradient
        elif before is None:
            whole = gradient.base is None and gradient.flags.c_contiguous
            leaf.grad = wrap(gradient if whole else gradient.copy())
        elif before.shape != gradient.shape:
            raise ValueError(f"backward: .grad has shape {before.shape}, its tensor {leaf.shape}; set .grad to None")
        elif before.grad_fn is None:
            before.array += gradient
            note_write(before.array)
        else:
            leaf.grad = wrap(_array(before.array + gradient))
