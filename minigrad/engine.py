"""How gradients flow: backward() and grad() walk the recorded graph from its end to its leaves.

The graph's nodes are described in function.py. What every rule would otherwise repeat is done here once:
each gradient is brought to the shape and dtype of its input or refused with the rule's name, gradients that
meet are added without writing into memory that somebody else holds, and what a rule saved is let go.
"""

import sys

import numpy as np

from minigrad.devices import array_module
from minigrad.dtypes import is_half
from minigrad.explain import explained
from minigrad.function import Function, Identity, Output, PartialGradient, enable_grad, observed, observers
from minigrad.tensor import Tensor, unwrap, wrap


class GradientError(RuntimeError):
    """A gradient rule returned something that cannot be the gradient of its input."""


def backward(root: Tensor, gradient=None, retain_graph=None, create_graph=False) -> None:
    """Add d(root)/d(leaf) to every leaf's .grad. See Tensor.backward."""
    if not root.requires_grad:
        raise RuntimeError(
            "backward: this tensor does not depend on any that requires grad; "
            "build the inputs with requires_grad=True, and not under no_grad"
        )
    seeds = {root.grad_fn or root: _seed(root, gradient, create_graph, "backward")}
    _flow(seeds, None, create_graph if retain_graph is None else retain_graph, create_graph)


def grad(outputs, inputs, grad_outputs=None, create_graph=False, retain_graph=None, allow_unused=False):
    """d(sum of outputs · grad_outputs)/d(inputs), as a tuple, without touching any .grad.

    outputs, inputs  a Tensor or a sequence of Tensors
    grad_outputs     upstream gradients, one an output; may be left out for one-element outputs
    create_graph     record the computation, so that the result can be differentiated again
    allow_unused     give None for an input the outputs do not depend on, instead of an error
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if grad_outputs is None or isinstance(grad_outputs, Tensor):
        grad_outputs = [grad_outputs] * len(outputs) if grad_outputs is None else [grad_outputs]
    if len(grad_outputs) != len(outputs):
        raise ValueError(f"grad: {len(outputs)} outputs but {len(grad_outputs)} grad_outputs; give one each")
    for i, tensor in enumerate(inputs):
        if not tensor.requires_grad:
            raise RuntimeError(f"grad: input {i} (shape {tensor.shape}) does not require grad")
    seeds = {}
    for tensor, gradient in zip(outputs, grad_outputs, strict=True):
        if tensor.requires_grad:
            node, seed = tensor.grad_fn or tensor, _seed(tensor, gradient, create_graph, "grad")
            seeds[node] = _total(seeds[node], seed) if node in seeds else seed
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


def _seed(root: Tensor, gradient, create_graph: bool, caller: str):
    """The upstream gradient a pass starts from: an array, or a Tensor when the pass is recorded."""
    if gradient is None:
        if root.data.size != 1:
            raise RuntimeError(
                f"{caller}: a tensor of shape {root.shape} has {root.data.size} elements, so its gradient is not one "
                "number a leaf; reduce it to a scalar (loss.mean()) or pass an upstream gradient of that shape"
            )
        array = root.data * 0 + 1
        array = array if hasattr(array, "base") and not isinstance(array, np.generic) else np.asarray(array)
        return wrap(array) if create_graph else array
    shape = gradient.shape if hasattr(gradient, "shape") else np.shape(gradient)
    if tuple(shape) != root.shape:
        raise ValueError(f"{caller}: the upstream gradient has shape {tuple(shape)}, the tensor {root.shape}")
    if create_graph:
        return gradient if isinstance(gradient, Tensor) else Tensor(gradient, dtype=root.dtype)
    gradient = unwrap(gradient)
    if not hasattr(gradient, "astype"):
        gradient = np.asarray(gradient)
    return gradient.astype(root.dtype, copy=False)


def _flow(seeds: dict, targets: set | None, retain_graph: bool, create_graph: bool) -> dict:
    """Carry gradients from the seeds backwards. Without targets into every leaf's .grad, else collect theirs.

    A node is always made after its parents, so the order of creation, reversed, is a
    topological order: when a node's turn comes, its gradient is complete. No recursion.

    seeds    node -> the gradient to start from
    targets  the nodes whose gradients are wanted, leaves or not; returned is node -> gradient of those reached

    When a node's turn comes, its hooks run first (_run_hooks). A leaf Tensor accumulates, unless there are targets.
    An Output puts its gradient into its slot of a list, the gradient of its function, which has None in the slots
    that nothing came for. Any other node's rule is applied, and of its results, one for each of node.parents, each
    goes to its parent, where there is one and it is wanted: a PartialGradient by _add_partial, else brought to the
    parent's shape and dtype by _fitted and added to what has gathered there.
    """
    nodes = set(seeds)
    stack = list(seeds)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in nodes:
                nodes.add(parent)
                stack.append(parent)
    ordered = sorted(nodes, key=_order, reverse=True)
    if targets is not None:
        ordered = _leading_to(targets, ordered)
    wanted = set(ordered) if targets is not None else nodes

    pending = seeds  # node -> the gradient gathered for it so far
    found = {}
    for node in ordered:
        gradient = pending.pop(node, None)
        if gradient is None:
            continue
        if node.hooks:
            gradient = _run_hooks(node, gradient, create_graph)
        if targets is not None and node in targets:
            found[node] = gradient
        if isinstance(node, Tensor):
            if targets is None:
                _accumulate(node, gradient, create_graph)
            continue
        if type(node) is Output:
            function = node.parents[0]
            if function in wanted:
                slots = pending.setdefault(function, [None] * len(function.shape))
                slots[node.index] = gradient
            continue
        results = _apply_rule(node, gradient, retain_graph, create_graph)
        gradient = None
        parents = node.parents
        if len(results) != len(parents):
            raise GradientError(
                f"{node.name}.backward returned {len(results)} gradients for {len(parents)} inputs ({_where(node)})"
            )
        for i in range(len(parents)):
            parent, result = parents[i], results[i]
            if parent is None or result is None or parent not in wanted:
                continue
            if type(result) is not np.ndarray or result.shape != parent.shape or result.dtype is not parent.dtype:
                if type(result) is PartialGradient:
                    pending[parent] = _add_partial(result, pending.pop(parent, None), parent)
                    continue
                result = _fitted(result, parent, i, node)
            before = pending.get(parent)
            if before is None:
                pending[parent] = result
            elif create_graph or before.base is not None or sys.getrefcount(before) > 3:
                pending[parent] = _total(before, result)
            else:
                before += result  # only this loop holds it, so it can be added to where it stands
        results = result = before = None  # hold nothing that is not needed any more
    return found


def _total(x, y):
    """x + y; where they are 0-d, numpy would give a scalar, which cannot be added to in place."""
    total = x + y
    return np.asarray(total) if isinstance(total, np.generic) else total


def _order(node) -> int:
    return node.order


def _leading_to(targets: set, ordered: list) -> list:
    """The nodes on some path to a target; the rest of the graph need not be walked."""
    leading = set()
    for node in reversed(ordered):
        if node in targets or any(parent in leading for parent in node.parents if parent is not None):
            leading.add(node)
    return [node for node in ordered if node in leading]


def _apply_rule(node: Function, gradient, retain_graph: bool, create_graph: bool) -> tuple:
    if node._origins or node.saved is None:
        node._check_saved()
    grads = _complete(gradient, node, create_graph) if type(gradient) is list else (gradient,)
    if create_graph:
        arrays, node.saved = node.saved, node._saved_as_tensors()
        try:
            with enable_grad():
                results = node.backward(*grads) if node.composite is None else _composite_rule(node, grads)
        finally:
            node.saved = arrays
    else:
        try:
            results = observed(node, "backward", grads) if observers else node.backward(*grads)
        except MemoryError as error:
            raise explained(error, f"the gradient of {node.name.lower()}", grads) from error
    if not retain_graph:
        node.saved = None
    return results if type(results) is tuple else (results,)


def _complete(gradients: list, node: Function, create_graph: bool) -> tuple:
    """Zeros in place of the gradients that never came, for a function with several outputs."""
    present = next(g for g in gradients if g is not None)
    zeros = []
    for gradient, shape, dtype in zip(gradients, node.shape, node.dtype, strict=True):
        if gradient is None:
            gradient = np.zeros_like(unwrap(present), shape=shape, dtype=dtype)
            gradient = wrap(gradient) if create_graph else gradient
        zeros.append(gradient)
    return tuple(zeros)


def _composite_rule(node: Function, grads: tuple) -> tuple:
    """The gradient of a fused operation through its composite, recorded."""
    inputs = [
        Identity()(x) if isinstance(x, Tensor) and x.requires_grad else x for x in node.saved[: len(node.parents)]
    ]
    outputs = node.composite(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    wanted = [x for x, parent in zip(inputs, node.parents, strict=True) if parent is not None]
    results = iter(grad(outputs, wanted, grads, create_graph=True, allow_unused=True))
    return tuple(None if parent is None else next(results) for parent in node.parents)


def _fitted(result, parent, index: int, node: Function):
    """A gradient brought to its input's shape and dtype, where that is what broadcasting and promotion ask for."""
    if isinstance(result, (np.generic, int, float)):
        result = np.asarray(result)
    if not hasattr(result, "shape"):
        raise GradientError(
            f"{node.name}.backward gave a {type(result).__name__} for input {index}; expected an array of shape "
            f"{parent.shape} ({_where(node)})"
        )
    if result.shape != parent.shape:
        try:
            result = unbroadcast(result, parent.shape)
        except ValueError:
            raise GradientError(
                f"{node.name}.backward gave a gradient of shape {result.shape} for input {index} of shape "
                f"{parent.shape}; they must be equal, or differ by broadcasting only ({_where(node)})"
            ) from None
    if result.dtype != parent.dtype:
        if node.dtype == parent.dtype and not is_half(parent.dtype):  # half precision computes in float32
            raise GradientError(
                f"{node.name}.backward gave a {result.dtype} gradient for input {index}, which is {parent.dtype}; "
                f"keep the dtype, a float64 constant may have slipped in ({_where(node)})"
            )
        result = result.astype(parent.dtype)
    return result


def _add_partial(partial: PartialGradient, before, parent):
    """The gathered gradient with a partial one added to it, in place where nobody else can see it."""
    if before is None:
        before = array_module(partial.values).zeros(parent.shape, dtype=parent.dtype)
    elif before.base is not None or sys.getrefcount(before) > 2:  # this variable and the count itself
        before = before.copy()
    partial.add_to(before)
    return before


def unbroadcast(gradient, shape: tuple):
    """Sum a gradient over the axes along which an input of `shape` was repeated; the result has that shape.

    gradient  an array or a Tensor of the shape to which the input was broadcast: with new axes in front, and with axes
              of size 1 repeated. ValueError if its shape is no broadcast of `shape`.
    """
    from minigrad import ops

    extra = gradient.ndim - len(shape)
    if extra < 0 or any(have != want and want != 1 for have, want in zip(gradient.shape[extra:], shape, strict=True)):
        raise ValueError(f"{gradient.shape} is not a broadcast of {shape}")
    axes = tuple(i for i in range(gradient.ndim) if i < extra or (shape[i - extra] == 1 and gradient.shape[i] != 1))
    return ops.reshape(ops.sum(gradient, axes) if axes else gradient, shape)


def _run_hooks(node, gradient, create_graph: bool):
    for hook in tuple(node.hooks.values()):
        seen = gradient if isinstance(gradient, Tensor) else wrap(gradient)
        replaced = hook(seen)
        if replaced is not None:
            if replaced.shape != node.shape:
                raise ValueError(f"a hook returned shape {replaced.shape} for a gradient of shape {node.shape}")
            gradient = replaced if create_graph else unwrap(replaced)
    return gradient


def _accumulate(leaf: Tensor, gradient, create_graph: bool) -> None:
    """Add to a leaf's .grad, which must share its memory with nothing else."""
    if create_graph:
        leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient
    elif leaf.grad is not None:
        if leaf.grad.grad_fn is None:
            leaf.grad.data += gradient
        else:
            leaf.grad = wrap(leaf.grad.data + gradient)
    # Held by the caller's variable, this parameter and the count itself: it is nobody else's.
    elif gradient.base is None and gradient.flags.c_contiguous and sys.getrefcount(gradient) <= 3:
        leaf.grad = wrap(gradient)
    else:
        leaf.grad = wrap(gradient.copy())


def _where(node: Function) -> str:
    """The file and line of a gradient rule, and of the forward call if detect_anomaly recorded it."""
    code = type(node).backward.__code__
    place = f"rule at {code.co_filename}:{code.co_firstlineno}"
    made_at = getattr(node, "made_at", None)
    return f"{place}; called at {made_at}" if made_at else f"{place}; detect_anomaly() also names the call"
