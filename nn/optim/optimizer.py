"""What every optimiser shares: parameter groups, state, and moving both in and out."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypedDict

import numpy as np

from minigrad.devices import array_module, is_array, move
from minigrad.modes import enable_grad
from minigrad.tensor import Tensor, unwrap
from minigrad.writes import note_write
from nn.utils.parameters import clear_gradients

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class SharedOptions(TypedDict, total=False):
    """Options that every optimiser takes by keyword.

    l1        strength of an L1 penalty: l1·sign(p) is added to each gradient
    maximize  go up the gradient instead of down
    foreach, fused
              PyTorch's choices between implementations; accepted, and without effect here
    """

    l1: float
    maximize: bool
    foreach: bool | None
    fused: bool | None
    capturable: bool
    differentiable: bool


WITHOUT_EFFECT = ("foreach", "fused")
REFUSED = {
    "capturable": "leave it out: minigrad.CudaGraph records any step of Adam",
    "differentiable": "updates are never recorded; compute new parameters with operators on Tensors instead",
}


class Optimizer:
    """Base of the optimisers: updates parameters in place from their .grad.

    params    an iterable of Tensors or of pairs (name, Tensor); or of dicts {"params": [...], "lr": ...}, groups
              with options of their own
    defaults  the options of a group and their values where a group does not give its own
    shared    see SharedOptions

    A subclass lists its options in `defaults` and writes `update(group, params, grads)`.
    """

    def __init__(self, params: Parameters, defaults: dict[str, Any], **shared: Any):
        self.defaults = {**defaults, **_checked(type(self).__name__, shared)}
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = defaultdict(dict)
        if isinstance(params, (Tensor, dict, str)):
            raise TypeError(
                f"{type(self).__name__}: params is a {type(params).__name__}; expected an iterable of Tensors or of "
                "groups, such as model.parameters() or [tensor]"
            )
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__}: no parameters; pass model.parameters() of a model that has some")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add a group: {"params": tensors, option: value, …}; options left out take the defaults.

        Parameters given as pairs (name, tensor) leave their names in the group, under "param_names".
        """
        name = type(self).__name__
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f'{name}: a parameter group must be a dict with "params"; this one is {group!r:.80}')
        unknown = set(group) - {"params", "param_names", "initial_lr"} - set(self.defaults)
        if unknown:
            raise ValueError(
                f"{name}: unknown option {', '.join(sorted(unknown))} in a parameter group; "
                f"it takes {', '.join(self.defaults)}"
            )
        group, params = {**self.defaults, **group}, group["params"]
        if isinstance(params, (set, frozenset)):
            raise TypeError(f"{name}: the parameters are a set, whose order changes from run to run; give a list")
        params = [params] if isinstance(params, Tensor) else list(params)
        if params and all(isinstance(p, tuple) and len(p) == 2 for p in params):
            group["param_names"], params = [p[0] for p in params], [p[1] for p in params]
        taken = {p for g in self.param_groups for p in g["params"]}
        for i, p in enumerate(params):
            if not isinstance(p, Tensor):
                raise TypeError(f"{name}: parameter {i} is a {type(p).__name__}; expected a Tensor")
            if not p.is_leaf:
                raise ValueError(f"{name}: parameter {i} is the result of an operation, not a leaf")
            if p in taken:
                raise ValueError(f"{name}: parameter {i}, of shape {p.shape}, is given twice or is in two groups")
            taken.add(p)
        group["params"] = params
        self.check(group)
        self.param_groups.append(group)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse options that make no sense; ValueError says which."""
        for name in ("lr", "weight_decay", "eps", "l1", "momentum"):
            if not group.get(name, 0) >= 0:
                raise ValueError(f"{type(self).__name__}: {name}={group[name]}; expected a number ≥ 0")
        for beta in group.get("betas", ()):
            if not 0 <= beta < 1:
                raise ValueError(f"{type(self).__name__}: betas={group['betas']}; expected numbers from 0 to below 1")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or with set_to_none=False fill them with 0."""
        for group in self.param_groups:
            clear_gradients(group["params"], set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        closure  a function that clears the gradients, computes the loss, calls backward() and returns the loss;
                 it is called first, and its loss is returned
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            grads = [p.grad.array for p in params]
            for grad, p in zip(grads, params, strict=True):
                if grad.shape != p.array.shape:
                    raise ValueError(
                        f"{type(self).__name__}: a gradient of shape {grad.shape} for a parameter of shape {p.shape}"
                    )
            if group["l1"] or group["maximize"]:
                grads = [_adjusted(group, g, p.data) for g, p in zip(grads, params, strict=True)]
            self.update(group, params, grads)
            note_write(*[p.array for p in params])
        return loss

    def update(self, group: dict[str, Any], params: list[Tensor], grads: list) -> None:
        """Write the new values of params, Tensors, from grads, arrays of the same shapes."""
        raise NotImplementedError(f"{type(self).__name__} has no update rule")

    def buffers(self, name: str, params: Sequence[Tensor], fill: float = 0.0) -> list:
        """One array of state for each parameter, made on first use."""
        found = []
        for p in params:
            state, data = self.state[p], p.array
            buffer = state.get(name)
            if buffer is None:
                buffer = state[name] = array_module(data).full_like(data, fill, order="C")
            elif type(buffer) is not type(data) or (buffer.dtype is not data.dtype and buffer.dtype != data.dtype):
                # the parameters have been moved or converted since
                buffer = state[name] = move(buffer, p.device).astype(data.dtype, copy=False)
            found.append(buffer)
        return found

    def count_step(self, p: Tensor) -> int:
        """Which update of p this is, from 1 on; kept in its state."""
        state = self.state[p]
        step = state["step"] = state.get("step", 0) + 1
        return step

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: {name: array or int}}, "param_groups": [...]}, parameters by number, as in PyTorch."""
        numbers = self._numbers()
        return {
            "state": {numbers[p]: dict(state) for p, state in self.state.items() if p in numbers},
            "param_groups": [{**g, "params": [numbers[p] for p in g["params"]]} for g in self.param_groups],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state_dict of an optimiser with the same groups, ours or PyTorch's; on error nothing has changed.

        Options that this optimiser does not have, such as PyTorch's foreach, are passed over.
        """
        saved, own = state_dict["param_groups"], self.param_groups
        if [len(g["params"]) for g in saved] != [len(g["params"]) for g in own]:
            raise ValueError(
                f"{type(self).__name__}: the saved groups have {[len(g['params']) for g in saved]} parameters, "
                f"these {[len(g['params']) for g in own]}"
            )
        saved_numbers = [number for group in saved for number in group["params"]]
        by_number = dict(zip(saved_numbers, self._numbers(), strict=True))
        loaded: dict[Tensor, dict[str, Any]] = defaultdict(dict)
        for number, state in state_dict["state"].items():
            p = by_number[number if number in by_number else int(number)]
            for name, value in state.items():
                loaded[p][name] = self._loaded(name, value, p)
        self.state = loaded
        for group, options in zip(own, saved, strict=True):
            known = {*self.defaults, "initial_lr", "param_names"}
            group.update({name: value for name, value in options.items() if name in known})

    def state_shape(self, name: str, p: Tensor) -> tuple[int, ...] | None:
        """The shape that state `name` of p has: p's own, unless a subclass says otherwise; None for any."""
        return p.shape

    def _loaded(self, name: str, value: Any, p: Tensor) -> Any:
        """A value of a saved state in the dtype and on the device of its parameter; counts as Python numbers."""
        value = unwrap(value)
        if not hasattr(value, "dtype"):
            return value
        if name == "step" or (value.ndim == 0 and self.state_shape(name, p) != ()):
            number = value.item()
            return int(number) if name == "step" else number
        expected = self.state_shape(name, p)
        if expected is not None and tuple(value.shape) != expected:
            raise ValueError(
                f"{type(self).__name__}: saved {name} has shape {tuple(value.shape)} for a parameter of shape {p.shape}"
            )
        there = array_module(p.data).empty(tuple(value.shape), p.dtype)
        there[...] = move(np.asarray(value) if not is_array(value) else value, p.device)
        return there

    def _numbers(self) -> dict[Tensor, int]:
        return {p: i for i, p in enumerate(p for g in self.param_groups for p in g["params"])}

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            options = ", ".join(f"{k}={v}" for k, v in group.items() if k not in ("params", "param_names"))
            lines.append(f"  group {i}: {len(group['params'])} parameters, {options}")
        return f"{type(self).__name__}(\n" + "\n".join(lines) + "\n)"


def _checked(optimizer: str, shared: dict[str, Any]) -> dict[str, Any]:
    """The shared options that a group keeps, with their defaults."""
    unknown = set(shared) - set(SharedOptions.__annotations__)
    if unknown:
        raise TypeError(f"{optimizer}: unknown option {', '.join(sorted(unknown))}")
    for name, advice in REFUSED.items():
        if shared.get(name):
            raise ValueError(f"{optimizer}: {name}=True is not offered; {advice}")
    kept = {name: value for name, value in shared.items() if name not in (*WITHOUT_EFFECT, *REFUSED)}
    return {"l1": 0.0, "maximize": False, **kept}


def _adjusted(group: dict[str, Any], grad: Any, p: Any) -> Any:
    """The gradient with its sign turned to go up, and with the L1 penalty."""
    grad = -grad if group["maximize"] else grad
    grad = grad + group["l1"] * np.sign(p) if group["l1"] else grad
    return array_module(p).asarray(grad)  # numpy gives scalars for 0-d results
