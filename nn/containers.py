"""Modules that hold modules or parameters: Sequential runs its modules in turn, the others only keep what they hold."""

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Self

from minigrad.tensor import Tensor
from nn.module import Module, Parameter


class _Container(Module):
    """What the containers share: the attributes of one kind are what they hold, in the order of their insertion."""

    _kind: Any = Module

    def _held(self) -> dict[str, Any]:
        """What is held, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, self._kind)}

    def _put(self, name: str, value: Any) -> None:
        if self._kind is Parameter:
            value = Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value
        if not isinstance(value, self._kind):
            hint = "; give the modules one by one" if isinstance(value, (list, tuple)) else ""
            raise TypeError(
                f"{type(self).__name__}: {value!r} is a {type(value).__name__}, expected a {self._kind.__name__}{hint}"
            )
        (self.add_module if self._kind is Module else self.register_parameter)(name, value)

    def __len__(self) -> int:
        return len(self._held())

    def __bool__(self) -> bool:
        return len(self) > 0

    def forward(self, *inputs: Any) -> Any:
        """Containers only hold; Sequential is the one that computes."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(): it only holds; call what is in it")


class _List(_Container):
    """A list whose elements are named "0", "1", … in the state_dict."""

    def __init__(self, values: Iterable[Any] = ()):
        super().__init__()
        self.extend(values)

    def append(self, value: Any) -> Self:
        """Add one at the end; returns self."""
        self._put(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add several at the end; returns self."""
        for value in values:
            self.append(value)
        return self

    def insert(self, index: int, value: Any) -> None:
        """Put one before the element at an index."""
        values = list(self)
        values.insert(index, value)
        self._renumber(values)

    def pop(self, index: int = -1) -> Any:
        """Take one out and return it."""
        value = self[self._index(index)]
        del self[index]
        return value

    def _renumber(self, values: list) -> None:
        before = self._held()
        for name in before:
            delattr(self, name)
        try:
            self.extend(values)
        except TypeError:
            for name in self._held():
                delattr(self, name)
            for name, value in before.items():
                self._put(name, value)
            raise

    def _index(self, index: int) -> int:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"{type(self).__name__}: index {index} of {n} {self._kind.__name__.lower()}s")
        return index % n

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._held().values()))

    def __getitem__(self, index: Any) -> Any:
        """The element at an index; for a slice, a container of those elements."""
        values = list(self)
        if isinstance(index, slice):
            return self._of(values[index])
        return values[self._index(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        self._put(list(self._held())[self._index(index)], value)

    def __delitem__(self, index: Any) -> None:
        values = list(self)
        del values[index if isinstance(index, slice) else self._index(index)]
        self._renumber(values)

    def __add__(self, other: Iterable[Any]) -> Self:
        return self._of([*self, *other])

    def __contains__(self, value: Any) -> bool:
        return any(value is held for held in self)

    @classmethod
    def _of(cls, values: list) -> Self:
        return cls(values)


class ModuleList(_List):
    """A list of modules, which are its submodules."""


class ParameterList(_List):
    """A list of parameters, which are its parameters; Tensors become Parameters."""

    _kind = Parameter


class Sequential(_List):
    """The modules one after another, each on the output of the one before: Sequential(a, b)(x) = b(a(x)).

    Also from one mapping of names to modules: Sequential({"hidden": a, "out": b}).
    """

    def __init__(self, *modules: Any):
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            super().__init__()
            for name, module in modules[0].items():
                self._put(name, module)
        else:
            super().__init__(modules)

    def forward(self, input: Any) -> Any:
        """What the last module makes of input."""
        for module in self:
            input = module(input)
        return input

    @classmethod
    def _of(cls, values: list) -> Self:
        return cls(*values)


class _Dict(_Container):
    """A dict with string keys, in insertion order."""

    def __init__(self, values: Mapping[str, Any] | Iterable = ()):
        super().__init__()
        self.update(values)

    def update(self, values: Mapping[str, Any] | Iterable) -> None:
        """Add or replace those of a mapping, or of pairs (name, value)."""
        for name, value in dict(values).items():
            self[name] = value

    def pop(self, name: str) -> Any:
        """Take one out and return it."""
        value = self[name]
        delattr(self, name)
        return value

    def clear(self) -> None:
        """Take all out."""
        for name in self._held():
            delattr(self, name)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._held().keys()

    def values(self) -> ValuesView[Any]:
        """What they name."""
        return self._held().values()

    def items(self) -> ItemsView[str, Any]:
        """Pairs of both."""
        return self._held().items()

    def __getitem__(self, name: str) -> Any:
        held = self._held()
        if name not in held:
            raise KeyError(f"{type(self).__name__} has no {name!r}; it holds {', '.join(map(repr, held)) or 'nothing'}")
        return held[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._put(name, value)

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: Any) -> bool:
        return name in self._held()


class ModuleDict(_Dict):
    """A dict of modules, which are its submodules."""


class ParameterDict(_Dict):
    """A dict of parameters, which are its parameters; Tensors become Parameters."""

    _kind = Parameter
