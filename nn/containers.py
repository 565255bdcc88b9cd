"""Modules that hold modules: Sequential runs them in turn, ModuleList and ModuleDict only keep them."""

from collections.abc import Iterable, Iterator, Mapping

from nn.module import Module


class ModuleList(Module):
    """A list of modules, named "0", "1", … in the state_dict."""

    def __init__(self, modules: Iterable[Module] = ()):
        super().__init__()
        self.extend(modules)

    def append(self, module: Module) -> "ModuleList":
        self.add_module(str(len(self)), _module(self, module))
        return self

    def extend(self, modules: Iterable[Module]) -> "ModuleList":
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        modules = list(self)
        modules.insert(index, _module(self, module))
        self._renumber(modules)

    def _renumber(self, modules: list) -> None:
        for i in range(len(self)):
            delattr(self, str(i))
        self.extend(modules)

    def __len__(self) -> int:
        return sum(isinstance(value, Module) for value in vars(self).values())

    def __iter__(self) -> Iterator[Module]:
        return iter([value for value in vars(self).values() if isinstance(value, Module)])

    def __getitem__(self, index):
        """The module at an index; for a slice, a container of those modules."""
        modules = list(self)
        if isinstance(index, slice):
            return type(self)._of(modules[index])
        return modules[_checked(self, index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, str(_checked(self, index)), _module(self, module))

    def __delitem__(self, index) -> None:
        modules = list(self)
        del modules[index]
        self._renumber(modules)

    def __contains__(self, module) -> bool:
        return any(module is held for held in self)

    def __bool__(self) -> bool:
        return len(self) > 0

    @classmethod
    def _of(cls, modules: list) -> "ModuleList":
        return cls(modules)


class Sequential(ModuleList):
    """The modules one after another, each on the output of the one before: Sequential(a, b)(x) = b(a(x)).

    Also from one mapping of names to modules: Sequential({"hidden": a, "out": b}).
    """

    def __init__(self, *modules):
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            super().__init__()
            for name, module in modules[0].items():
                self.add_module(name, _module(self, module))
        else:
            super().__init__(modules)

    def forward(self, input):
        for module in self:
            input = module(input)
        return input

    @classmethod
    def _of(cls, modules: list) -> "Sequential":
        return cls(*modules)


class ModuleDict(Module):
    """A dict of modules with string keys, in insertion order."""

    def __init__(self, modules: Mapping[str, Module] | Iterable = ()):
        super().__init__()
        self.update(modules)

    def update(self, modules) -> None:
        for name, module in dict(modules).items():
            self[name] = module

    def keys(self):
        return dict(self.items()).keys()

    def values(self):
        return dict(self.items()).values()

    def items(self):
        return [(name, value) for name, value in vars(self).items() if isinstance(value, Module)]

    def __getitem__(self, name: str) -> Module:
        held = dict(self.items())
        if name not in held:
            raise KeyError(f"ModuleDict has no {name!r}; it holds {', '.join(map(repr, held)) or 'nothing'}")
        return held[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, _module(self, module))

    def __delitem__(self, name: str) -> None:
        self[name]
        delattr(self, name)

    def __len__(self) -> int:
        return len(self.items())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name) -> bool:
        return name in dict(self.items())

    def __bool__(self) -> bool:
        return len(self) > 0


def _module(container: Module, value) -> Module:
    if not isinstance(value, Module):
        hint = "; give the modules one by one" if isinstance(value, (list, tuple)) else ""
        raise TypeError(f"{type(container).__name__}: {value!r} is a {type(value).__name__}, expected a Module{hint}")
    return value


def _checked(container: Module, index: int) -> int:
    n = len(container)
    if not -n <= index < n:
        raise IndexError(f"{type(container).__name__}: index {index} of {n} modules")
    return index % n
