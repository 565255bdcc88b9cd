"""What every optimiser shares: parameter groups, state, and moving both in and out."""

from collections import defaultdict

import numpy as np

from minigrad.devices import array_module, is_array, move
from minigrad.tensor import Tensor, unwrap


class Optimizer:
    """Base of the optimisers: updates parameters in place from their .grad.

    params  an iterable of Tensors; or of dicts {"params": [...], "lr": ...}, groups with
            options of their own
    l1      strength of an L1 penalty: l1·sign(p) is added to each gradient

    A subclass lists its options in `defaults` and writes `update(group, params, grads)`.
    """

    def __init__(self, params, defaults: dict):
        self.defaults = {**defaults}
        self.param_groups: list[dict] = []
        self.state: dict[Tensor, dict] = defaultdict(dict)
        groups = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__}: no parameters; pass model.parameters() of a model that has some")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: dict) -> None:
        """Add a group: {"params": tensors, option: value, …}; options left out take the defaults."""
        unknown = set(group) - {"params"} - set(self.defaults)
        if unknown:
            raise ValueError(
                f"{type(self).__name__}: unknown option {', '.join(sorted(unknown))} in a parameter group; "
                f"it takes {', '.join(self.defaults)}"
            )
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        taken = {p for g in self.param_groups for p in g["params"]}
        for i, p in enumerate(params):
            if not isinstance(p, Tensor):
                raise TypeError(f"{type(self).__name__}: parameter {i} is a {type(p).__name__}; expected a Tensor")
            if not p.is_leaf:
                raise ValueError(f"{type(self).__name__}: parameter {i} is the result of an operation, not a leaf")
            if p in taken:
                raise ValueError(f"{type(self).__name__}: a parameter of shape {p.shape} is in two groups")
            taken.add(p)
        self.param_groups.append({**self.defaults, **group, "params": params})
        self.check(self.param_groups[-1])

    def check(self, group: dict) -> None:
        """Refuse options that make no sense."""
        for name in ("lr", "weight_decay", "eps", "l1", "momentum"):
            if group.get(name, 0) < 0:
                raise ValueError(f"{type(self).__name__}: {name}={group[name]}; expected a number ≥ 0")
        for beta in group.get("betas", ()):
            if not 0 <= beta < 1:
                raise ValueError(f"{type(self).__name__}: betas={group['betas']}; expected numbers from 0 to below 1")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients (or write zeros into them)."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p.grad is None:
                    p.grad = None
                else:
                    p.grad.data.fill(0)

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            grads = [p.grad.data for p in params]
            if group["l1"]:
                grads = [g + group["l1"] * np.sign(p.data) for g, p in zip(grads, params, strict=True)]
            self.update(group, params, grads)
            for p in params:
                p.bump_version()

    def update(self, group: dict, params: list[Tensor], grads: list) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no update rule")

    def buffers(self, name: str, params: list[Tensor], fill: float = 0.0) -> list:
        """One array of state a parameter, made on first use."""
        found = []
        for p in params:
            state = self.state[p]
            if name not in state:
                state[name] = array_module(p.data).full_like(p.data, fill, order="C")
            elif type(state[name]) is not type(p.data):  # the parameters have been moved since
                state[name] = move(state[name], p.device)
            found.append(state[name])
        return found

    def state_dict(self) -> dict:
        """{"state": {number: {name: array or int}}, "param_groups": [...]}, parameters by number, as in PyTorch."""
        numbers = self._numbers()
        return {
            "state": {numbers[p]: dict(state) for p, state in self.state.items() if p in numbers},
            "param_groups": [{**g, "params": [numbers[p] for p in g["params"]]} for g in self.param_groups],
        }

    def load_state_dict(self, state_dict: dict) -> None:
        """Take over a state_dict of an optimiser with the same groups; on error nothing has changed."""
        saved, own = state_dict["param_groups"], self.param_groups
        if [len(g["params"]) for g in saved] != [len(g["params"]) for g in own]:
            raise ValueError(
                f"{type(self).__name__}: the saved groups have {[len(g['params']) for g in saved]} parameters, "
                f"these {[len(g['params']) for g in own]}"
            )
        by_number = {number: p for p, number in self._numbers().items()}
        loaded = defaultdict(dict)
        for number, state in state_dict["state"].items():
            p = by_number[int(number)]
            for name, value in state.items():
                value = unwrap(value)
                if hasattr(value, "dtype"):
                    if tuple(value.shape) != p.shape:
                        raise ValueError(
                            f"{type(self).__name__}: saved {name} has shape {tuple(value.shape)} for a parameter of "
                            f"shape {p.shape}"
                        )
                    there = array_module(p.data).empty(p.shape, p.dtype)
                    there[...] = move(np.asarray(value) if not is_array(value) else value, p.device)
                    value = there
                loaded[p][name] = value
        self.state = loaded
        for group, options in zip(own, saved, strict=True):
            group.update({name: value for name, value in options.items() if name != "params"})

    def _numbers(self) -> dict[Tensor, int]:
        return {p: i for i, p in enumerate(p for g in self.param_groups for p in g["params"])}

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            options = ", ".join(f"{k}={v}" for k, v in group.items() if k != "params")
            lines.append(f"  group {i}: {len(group['params'])} parameters, {options}")
        return f"{type(self).__name__}(\n" + "\n".join(lines) + "\n)"
