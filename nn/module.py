"""Module: parameters, buffers and submodules under one name, found by looking at the attributes.

There is no registry: a module's attributes are its contents, in the order in which they
were assigned. A Parameter among them is a parameter, a Module a submodule; buffers are
named by register_buffer. Reading `self.weight` is an ordinary attribute look-up.
"""

import difflib
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self

import numpy as np

from minigrad import no_grad
from minigrad.devices import DEVICES, is_array, move
from minigrad.dtypes import FLOATING, as_dtype
from minigrad.tensor import Tensor, unwrap
from nn.utils.parameters import clear_gradients


class Parameter(Tensor):
    """A Tensor that a Module trains: assigned to an attribute, it is among the module's parameters().

    Wraps the data without a copy, as Tensor does.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True):
        super().__init__(data, requires_grad=requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class LoadResult(NamedTuple):
    """What load_state_dict(strict=False) left out."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """A layer or a model: subclass it, assign parameters and submodules, define forward.

        class Perceptron(nn.Module):
            def __init__(self, hidden_size):
                super().__init__()
                self.hidden = nn.Linear(784, hidden_size)
                self.out = nn.Linear(hidden_size, 10)

            def forward(self, x):                       # (batch, 784) -> (batch, 10)
                return self.out(self.hidden(x).relu())

    A parameter or submodule that has two names is one: parameters() gives it once.
    """

    training: bool

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        module = super().__new__(cls)
        # Here and not in __init__, so that a subclass may assign before it calls super().__init__().
        vars(module).update(training=True, _persistent={}, _pre_hooks={}, _hooks={})
        return module

    def __init__(self) -> None:
        pass

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What calling the module computes; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(); define what calling it computes")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._pre_hooks and not self._hooks:
            return self.forward(*args, **kwargs)
        for hook in tuple(self._pre_hooks.values()):
            replaced = hook(self, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
        output = self.forward(*args, **kwargs)
        for hook in tuple(self._hooks.values()):
            replaced = hook(self, args, output)
            output = output if replaced is None else replaced
        return output

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._persistent.pop(name, None)  # it is no buffer any more
        elif name in self._persistent:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"{type(self).__name__}.{name} is a buffer and was given a {type(value).__name__}; expected a "
                    "Tensor or None"
                )
        elif value is not None and not isinstance(value, Module):
            held = vars(self).get(name)
            if isinstance(held, Parameter):
                raise TypeError(
                    f"{type(self).__name__}.{name} is a Parameter and was given a {type(value).__name__}; assign "
                    "nn.Parameter(tensor), "
                    f"or write into it: with minigrad.no_grad(): module.{name}.copy_(tensor)"
                )
            if isinstance(held, Module):
                raise TypeError(
                    f"{type(self).__name__}.{name} is a Module and was given a {type(value).__name__}; expected a "
                    "Module or None"
                )
            if isinstance(value, Tensor) and value.is_leaf and value.requires_grad:
                raise TypeError(
                    f"{type(self).__name__}.{name} was given a Tensor that requires grad, which parameters() would "
                    "not find; wrap it: nn.Parameter(tensor), or register_buffer(name, tensor.detach())"
                )
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._persistent.pop(name, None)

    def __getattr__(self, name: str) -> Any:  # reached only when the ordinary look-up has failed
        message = f"{type(self).__name__} has no attribute {name!r}"
        close = difflib.get_close_matches(name, [n for n in vars(self) if not n.startswith("_")], 1)
        raise AttributeError(message + (f"; did you mean {close[0]!r}?" if close else ""))

    def __copy__(self) -> Self:
        """A module with the same parameters, buffers and submodules; what it is assigned later is its own."""
        copied = type(self).__new__(type(self))
        for name, value in vars(self).items():
            vars(copied)[name] = dict(value) if name in ("_persistent", "_pre_hooks", "_hooks") else value
        return copied

    # What is in it.

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """A tensor that belongs to the module and is not trained; in state_dict() if persistent."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"register_buffer({name!r}): a {type(tensor).__name__}; expected a Tensor or None")
        self._check_name(name, "register_buffer")
        self._persistent[name] = persistent
        setattr(self, name, tensor)

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """The same as assigning the attribute."""
        if parameter is not None and not isinstance(parameter, Parameter):
            raise TypeError(f"register_parameter({name!r}): a {type(parameter).__name__}; expected a Parameter")
        self._check_name(name, "register_parameter")
        setattr(self, name, parameter)

    def add_module(self, name: str, module: "Module | None") -> None:
        """The same as assigning the attribute."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module({name!r}): a {type(module).__name__}; expected a Module")
        self._check_name(name, "add_module")
        setattr(self, name, module)

    def _check_name(self, name: str, caller: str) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"{caller}: name {name!r}; expected a non-empty string without dots")
        if hasattr(type(self), name):
            raise ValueError(f"{caller}: {name!r} is a method of {type(self).__name__}; choose another name")
        held = vars(self).get(name)
        kind = {"register_buffer": Tensor, "register_parameter": Parameter, "add_module": Module}[caller]
        if held is not None and (not isinstance(held, kind) or (kind is Tensor and name not in self._persistent)):
            raise KeyError(f"{caller}: {type(self).__name__} has an attribute {name!r} already, {type(held).__name__}")

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The submodules directly in this one, each once."""
        seen = set()
        for name, value in vars(self).items():
            if isinstance(value, Module) and value not in seen:
                seen.add(value)
                yield name, value

    def children(self) -> Iterator["Module"]:
        """named_children without the names."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, "Module"]]:
        """This module (named "") and all below it, with dotted names; each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in vars(self).items():
            if isinstance(module, Module):
                yield from module.named_modules(memo, _join(prefix, name), remove_duplicate)

    def modules(self) -> Iterator["Module"]:
        """named_modules without the names."""
        return (module for _, module in self.named_modules())

    def get_submodule(self, target: str) -> "Module":
        """The module with a dotted name, such as "blocks.0"; itself for "". AttributeError if there is none."""
        return self._get(target, Module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with a dotted name. AttributeError if there is none."""
        return self._get(target, Parameter)

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with a dotted name. AttributeError if there is none."""
        owner, _, name = target.rpartition(".")
        module = self.get_submodule(owner)
        if name not in module._persistent:
            raise AttributeError(f"{type(self).__name__} has no buffer {target!r}")
        return getattr(module, name)

    def _get(self, target: str, kind: type) -> Any:
        found: Any = self
        for name in target.split(".") if target else ():
            found = getattr(found, name)
        if not isinstance(found, kind):
            raise AttributeError(
                f"{type(self).__name__}: {target!r} is a {type(found).__name__}, not a {kind.__name__}"
            )
        return found

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Pairs (dotted name, Parameter); a shared parameter once, under its first name."""
        yield from self._named(prefix, recurse, remove_duplicate, Module._own_parameters)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """named_parameters without the names: what an optimiser is given."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Pairs (dotted name, Tensor) of the buffers, persistent or not."""
        yield from self._named(prefix, recurse, remove_duplicate, Module._own_buffers)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """named_buffers without the names."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def num_parameters(self) -> int:
        """How many numbers there are to train or to freeze, shared ones counted once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def _own_parameters(self):
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Parameter)]

    def _own_buffers(self):
        return [(name, vars(self)[name]) for name in self._persistent if vars(self)[name] is not None]

    def _named(self, prefix, recurse, remove_duplicate, own):
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        seen = set()
        for module_name, module in modules:
            for name, tensor in own(module):
                if not remove_duplicate or tensor not in seen:
                    seen.add(tensor)
                    yield _join(module_name, name), tensor

    # What is done to all of it.

    def train(self, mode: bool = True) -> Self:
        """Into training mode (dropout on), or with False out of it; returns self."""
        if not isinstance(mode, (bool, np.bool_)):
            raise ValueError(f"train({mode!r}): expected True or False")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Out of training mode: dropout off."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Train all parameters, or with False freeze them; returns self."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or with set_to_none=False fill them with 0."""
        clear_gradients(self.parameters(), set_to_none)

    def apply(self, function: Callable[["Module"], Any]) -> Self:
        """Call function on every submodule, the innermost first, and on this one; returns self."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def to(self, *targets: Any, device: str | None = None, dtype: Any = None, non_blocking: bool = False) -> Self:
        """Move to a device ("cpu", "cuda", "cuda:0") or convert the floating tensors to a dtype, in place; or both.

        A Tensor among the targets stands for its device and dtype. non_blocking has no effect. TypeError for a dtype
        that is not floating. Returns self.
        """
        for target in targets:
            if isinstance(target, Tensor):
                device, dtype = target.device, target.dtype
            elif isinstance(target, str) and target.partition(":")[0] in DEVICES:
                device = target
            elif target is not None:
                dtype = target
        device = None if device is None else str(device).partition(":")[0]
        if dtype is not None and as_dtype(dtype).kind not in FLOATING:
            raise TypeError(f"Module.to({dtype!r}): expected a device or a floating dtype")
        with no_grad():
            for tensor in itertools.chain(self.parameters(), self.buffers()):
                for x in (tensor, tensor.grad):
                    if x is None:
                        continue
                    there = x.data if device is None else move(x.data, device)
                    if dtype is not None and x.is_floating_point():
                        there = Tensor(there).to(as_dtype(dtype)).data
                    if there is not x.data:
                        x.data = there
                        x.bump_version()
        return self

    def cpu(self) -> Self:
        """to("cpu")"""
        return self.to("cpu")

    def cuda(self) -> Self:
        """to("cuda")"""
        return self.to("cuda")

    def half(self) -> Self:
        """to("float16")"""
        return self.to("float16")

    def bfloat16(self) -> Self:
        """to("bfloat16")"""
        return self.to("bfloat16")

    def float(self) -> Self:
        """to("float32")"""
        return self.to("float32")

    def double(self) -> Self:
        """to("float64")"""
        return self.to("float64")

    # Out of it and back in.

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """The parameters and persistent buffers by dotted name, sharing memory with the module.

        A shared parameter stands under each of its names.
        """
        state = {}
        for module_name, module in self.named_modules(remove_duplicate=False):
            for name, tensor in module._own_state():
                state[prefix + _join(module_name, name)] = tensor.detach()
        return state

    def _own_state(self):
        return self._own_parameters() + [(n, t) for n, t in self._own_buffers() if self._persistent[n]]

    def load_state_dict(self, state_dict: dict, strict: bool = True) -> LoadResult:
        """Copy values (Tensors, arrays or PyTorch's tensors) into the parameters and buffers of the same names.

        RuntimeError lists all names that are missing, unexpected (unless strict is False),
        of another shape or of another kind of dtype; the module is then as it was.
        """
        own: dict[str, Any] = {}
        for module_name, module in self.named_modules(remove_duplicate=False):
            own.update((_join(module_name, name), tensor) for name, tensor in module._own_state())
        arrays = {name: _array(value) for name, value in state_dict.items()}
        missing = [name for name in own if name not in arrays]
        unexpected = [name for name in arrays if name not in own]
        problems = [f"missing: {name} {own[name].shape}" for name in missing if strict]
        problems += [f"unexpected: {name} {arrays[name].shape}" for name in unexpected if strict]
        for name, tensor in own.items():
            array = arrays.get(name)
            if array is None:
                continue
            if array.shape != tensor.shape:
                problems.append(f"shape: {name} is {tensor.shape} here, {array.shape} in the state")
            elif not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
                problems.append(f"dtype: {name} is {tensor.dtype} here, {array.dtype} in the state")
        if problems:
            raise RuntimeError(f"load_state_dict into {type(self).__name__}:\n  " + "\n  ".join(problems))
        for name, tensor in own.items():
            if name in arrays:
                tensor.data[...] = move(arrays[name], tensor.device)
                tensor.bump_version()
        return LoadResult(missing, unexpected)

    # Hooks.

    def register_forward_pre_hook(self, hook: Callable[["Module", tuple], Any]) -> "ModuleHookHandle":
        """Call hook(module, args) before forward; what it returns, if not None, takes the place of args."""
        return ModuleHookHandle(self._pre_hooks, hook)

    def register_forward_hook(self, hook: Callable[["Module", tuple, Any], Any]) -> "ModuleHookHandle":
        """Call hook(module, args, output) after forward; what it returns, if not None, replaces the output."""
        return ModuleHookHandle(self._hooks, hook)

    # What it looks like.

    def extra_repr(self) -> str:
        """What repr() shows between the parentheses on this module's own line; a subclass may define it."""
        return ""

    def __repr__(self) -> str:
        children = [f"({name}): {child!r}" for name, child in vars(self).items() if isinstance(child, Module)]
        extra = self.extra_repr()
        if not children:
            return f"{type(self).__name__}({extra})"
        lines = "\n".join([extra, *children] if extra else children)
        return f"{type(self).__name__}(\n  " + lines.replace("\n", "\n  ") + "\n)"


class ModuleHookHandle:
    """Takes a hook off again: handle.remove()."""

    def __init__(self, hooks: dict, hook: Callable):
        self._hooks = hooks
        hooks[self] = hook

    def remove(self) -> None:
        """Take the hook off; again does nothing."""
        self._hooks.pop(self, None)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _array(value):
    """A value of a state_dict as an array."""
    value = unwrap(value)
    return value if is_array(value) else np.asarray(value)
