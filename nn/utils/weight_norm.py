"""Weight normalisation: the length and the direction of each filter's weight as parameters of their own."""

from typing import Any

from minigrad import ops
from minigrad.tensor import Tensor
from nn.module import Module, Parameter


class WeightNorm:
    """The hook that makes weight = g·v/‖v‖ before each call of its module."""

    def __init__(self, name: str, dim: int | None):
        self.name, self.dim = name, dim

    def weight(self, module: Module) -> Tensor:
        """g·v/‖v‖, joined to the graph of both."""
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / length(v, self.dim))

    def __call__(self, module: Module, args: Any) -> None:
        setattr(module, self.name, self.weight(module))


def length(v: Tensor, dim: int | None) -> Tensor:
    """The norm over all dimensions but dim, which stays, the others of size 1; over all, 0-d, for None."""
    if dim is None:
        return ops.norm(v)
    return ops.norm(v, 2, tuple(d for d in range(v.ndim) if d != dim % v.ndim), keepdim=True)


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Replace a module's parameter by {name}_g, its lengths, and {name}_v, its directions: weight = g·v/‖v‖.

    Salimans & Kingma 2016, eq. 2. dim is the one that keeps lengths of its own, the filters; None for one length in
    all. The parameter becomes an ordinary Tensor, made again before each call. Returns the module. The names are
    torch.nn.utils.weight_norm's, which torch.nn.utils.parametrizations.weight_norm loads, too. ValueError if the
    module has no such parameter, TypeError if it is normalised already.
    """
    if any(isinstance(hook, WeightNorm) and hook.name == name for hook in module._pre_hooks.values()):
        raise TypeError(f"weight_norm: {name} of {type(module).__name__} is normalised already")
    weight = vars(module).get(name)
    if not isinstance(weight, Parameter):
        raise ValueError(f"weight_norm: {type(module).__name__} has no parameter {name!r}")
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(length(weight.detach(), dim), weight.requires_grad))
    module.register_parameter(f"{name}_v", Parameter(weight.detach(), weight.requires_grad))
    hook = WeightNorm(name, dim)
    module.register_forward_pre_hook(hook)
    hook(module, ())
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make one parameter of the two again. Returns the module; ValueError if it is not normalised."""
    for handle, hook in list(module._pre_hooks.items()):
        if isinstance(hook, WeightNorm) and hook.name == name:
            weight = Parameter(hook.weight(module).detach())
            handle.remove()
            for attribute in (name, f"{name}_g", f"{name}_v"):
                delattr(module, attribute)
            module.register_parameter(name, weight)
            return module
    raise ValueError(f"remove_weight_norm: {name!r} of {type(module).__name__} is not normalised")
