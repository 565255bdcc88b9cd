"""Derivatives of functions: Jacobians, Hessians and their products with vectors, as torch.autograd.functional has them.

`inputs` is a Tensor or a tuple of them, and func is called with them; what comes back has the same form. With
create_graph=True the results can be differentiated again. func may return a Tensor or a tuple of Tensors.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from minigrad import ops
from minigrad.creation import zeros, zeros_like
from minigrad.devices import array_module
from minigrad.engine import grad
from minigrad.function import Identity
from minigrad.modes import enable_grad
from minigrad.tensor import Tensor, wrap

Tensors: TypeAlias = Tensor | tuple[Tensor, ...]


def jacobian(func: Callable[..., Tensors], inputs: Tensors, create_graph: bool = False) -> Any:
    """d(output)/d(input): (*output.shape, *input.shape) for one of each.

    Several inputs give a tuple of them; several outputs a tuple, for each output, of that.
    """
    with enable_grad():
        given, outputs, one_output = _called(func, inputs, create_graph, "jacobian")
        rows = [_jacobian_of(output, given, create_graph) for output in outputs]
    each = [row[0] if isinstance(inputs, Tensor) else tuple(row) for row in rows]
    return each[0] if one_output else tuple(each)


def _jacobian_of(output: Tensor, given: tuple, create_graph: bool) -> list:
    """For each input, d(output)/d(input), from one backward pass for each element of the output."""
    rows = []
    for i in range(output.numel()):
        seed = array_module(output.data).zeros(output.numel(), output.dtype)
        seed[i] = 1
        rows.append(_gradients([output], given, [wrap(seed.reshape(output.shape))], create_graph))
    if not rows:
        return [zeros((*output.shape, *x.shape), dtype=x.dtype, device=x.device) for x in given]
    columns = [ops.stack(column) for column in zip(*rows, strict=True)]
    return [column.reshape((*output.shape, *x.shape)) for column, x in zip(columns, given, strict=True)]


def hessian(func: Callable[..., Tensor], inputs: Tensors, create_graph: bool = False) -> Any:
    """The second derivatives of a function with one number as its output: (*input.shape, *input.shape).

    Several inputs give a tuple of tuples: number i, j is with respect to input i, then input j.
    """

    def gradient(*given: Tensor) -> Tensors:
        found = _gradients([_scalar(func(*given), "hessian")], given, None, create_graph=True)
        return found[0] if isinstance(inputs, Tensor) else tuple(found)

    return jacobian(gradient, inputs, create_graph)


def vjp(
    func: Callable[..., Tensors], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """(outputs, vᵀJ): the vector times the Jacobian, which is what backward computes.

    v  of the shape of the outputs; may be left out for one number
    """
    with enable_grad():
        given, outputs, one_output = _called(func, inputs, create_graph, "vjp")
        if v is None:
            _scalar(outputs[0] if one_output else None, "vjp")
        seeds = None if v is None else _vectors(v, outputs, "vjp")
        found = _gradients(list(outputs), given, seeds, create_graph)
    return _form(outputs, one_output, create_graph), found[0] if isinstance(inputs, Tensor) else tuple(found)


def jvp(
    func: Callable[..., Tensors], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """(outputs, Jv): the change of the outputs as the inputs move along v.

    v  of the shape of the inputs; may be left out for one number

    By two backward passes: uᵀJ is linear in u, and its derivative with respect to u, times v, is Jv.
    """
    with enable_grad():
        given, outputs, one_output = _called(func, inputs, create_graph, "jvp")
        if v is None:
            _scalar(given[0] if isinstance(inputs, Tensor) else None, "jvp")
            v = wrap(array_module(given[0].data).ones_like(given[0].data))
        vectors = _vectors(v, given, "jvp")
        u = [zeros_like(output, requires_grad=True) for output in outputs]
        pulled = _gradients(list(outputs), given, u, create_graph=True)
        found = _gradients(pulled, u, vectors, create_graph)
    return _form(outputs, one_output, create_graph), found[0] if one_output else tuple(found)


def hvp(
    func: Callable[..., Tensor], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """(output, Hv) for a function with one number as its output, by two backward passes; H is never made."""
    with enable_grad():
        given, outputs, _ = _called(func, inputs, create_graph, "hvp")
        if v is None:
            _scalar(given[0] if isinstance(inputs, Tensor) else None, "hvp")
            v = wrap(array_module(given[0].data).ones_like(given[0].data))
        first = _gradients([_scalar(outputs[0], "hvp")], given, None, create_graph=True)
        found = _gradients(first, given, _vectors(v, given, "hvp"), create_graph)
    return _form(outputs, True, create_graph), found[0] if isinstance(inputs, Tensor) else tuple(found)


vhp = hvp  # H is symmetric


def functional_call(module: Any, parameters: dict[str, Tensor], args: Any = (), kwargs: dict | None = None) -> Any:
    """module(*args, **kwargs) with other tensors in place of its parameters and buffers, which are given by name.

    The module is as it was afterwards. What is left out of `parameters` stays. KeyError for a name it has not.
    """
    own = dict(module.named_parameters()) | dict(module.named_buffers())
    unknown = [name for name in parameters if name not in own]
    if unknown:
        raise KeyError(f"functional_call: no parameter or buffer {unknown[0]!r}; there are {', '.join(own)}")
    swapped = []
    try:
        for name, tensor in parameters.items():
            path, _, last = name.rpartition(".")
            owner = module.get_submodule(path)
            swapped.append((owner, last, owner.__dict__[last]))
            owner.__dict__[last] = tensor
        return module(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))
    finally:
        for owner, last, before in reversed(swapped):
            owner.__dict__[last] = before


def _called(func, inputs, create_graph: bool, op: str) -> tuple:
    """(inputs as new nodes or leaves, outputs, whether there is one output) of a call."""
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    for i, x in enumerate(given):
        if not isinstance(x, Tensor) or not x.is_floating_point():
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"{op}: input {i} is {kind}; expected floating Tensors, one or a tuple")
    if create_graph:
        given = tuple(Identity()(x) if x.requires_grad else x.detach().requires_grad_() for x in given)
    else:
        given = tuple(x.detach().requires_grad_() for x in given)
    outputs = func(*given)
    one_output = isinstance(outputs, Tensor)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    for i, y in enumerate(outputs):
        if not isinstance(y, Tensor):
            raise TypeError(f"{op}: the function returned a {type(y).__name__} as output {i}; expected Tensors")
    return given, outputs, one_output


def _gradients(outputs: list, given, seeds, create_graph: bool) -> list:
    """Gradients with respect to each, 0 where the outputs do not depend on it."""
    connected = [i for i, y in enumerate(outputs) if y.requires_grad]
    if not connected:
        return [zeros_like(x) for x in given]
    some = [outputs[i] for i in connected]
    seeds = None if seeds is None else [seeds[i] for i in connected]
    found = grad(some, list(given), seeds, create_graph=create_graph, retain_graph=True, allow_unused=True)
    return [zeros_like(x) if g is None else g for g, x in zip(found, given, strict=True)]


def _vectors(v, like: tuple, op: str) -> list:
    vectors = list(v) if isinstance(v, tuple) else [v]
    if [x.shape for x in vectors] != [x.shape for x in like]:
        raise ValueError(f"{op}: v has shapes {[x.shape for x in vectors]}; expected {[x.shape for x in like]}")
    return vectors


def _scalar(x, op: str) -> Tensor:
    if x is None or x.numel() != 1:
        shape = "several tensors" if x is None else f"shape {x.shape}"
        raise ValueError(f"{op}: {shape}; expected one number (for others give v, or take the jacobian)")
    return x


def _form(outputs: tuple, one: bool, create_graph: bool) -> Tensors:
    outputs = outputs if create_graph else tuple(y.detach() for y in outputs)
    return outputs[0] if one else outputs
