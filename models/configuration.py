"""Settings from dataclasses, a TOML file and the command line: defaults, then the file, then the flags.

    sections = {"model": GPTConfig(...), "training": TrainConfig()}
    sections = read_toml(sections, "big.toml")
    sections = parse_flags(sections, argv, prog="minigrad train gpt", description="Train a GPT.")

A section is a dataclass instance. Every field is a flag and a TOML key of the same name, without the
section's: `--num-layers 6`, `num_layers = 6`. The docstring below a field is its help. What a field may be is
checked in the dataclass's __post_init__, by the functions at the end.
"""

import dataclasses
import difflib
import math
import os
import tomllib
import types
import typing
from collections.abc import Collection, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

from models.errors import UserError

Sections = dict[str, Any]
C = TypeVar("C")


def parse_flags(
    sections: Sections, argv: Sequence[str], prog: str, description: str, hidden: Sequence[str] = ()
) -> Sections:
    """The sections with the values that flags give; `hidden` fields get no flag.

    Prints the help, or what is wrong with a flag, and exits as argparse does. Raises whatever a section
    raises about its values.
    """
    import tyro

    classes = {name: _flags_class(type(section), hidden) for name, section in sections.items()}
    fields = [(name, _marked(tyro.conf.OmitArgPrefixes, cls)) for name, cls in classes.items()]
    defaults = {name: cls(**_values(sections[name])) for name, cls in classes.items()}
    everything = dataclasses.make_dataclass("Arguments", fields)
    parsed = tyro.cli(everything, args=list(argv), prog=prog, description=description, default=everything(**defaults))
    return {name: type(section)(**_values(getattr(parsed, name))) for name, section in sections.items()}


def choose_device(wanted: str) -> str:
    """ "cpu" or "cuda" for --device cpu, cuda or auto. Raises UserError where the GPU asked for cannot be used."""
    from minigrad import devices  # here, because settings without a device need no numpy

    problem = None if wanted == "cpu" else devices.problem()
    if problem and wanted == "cuda":
        raise UserError(f"--device cuda: {problem}. `minigrad doctor` says more; --device cpu needs no GPU")
    return "cpu" if wanted == "cpu" or problem else "cuda"


def read_toml(sections: Sections, path: str | os.PathLike) -> Sections:
    """The sections with the values a TOML file gives. Raises UserError for what it cannot take."""
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise UserError(f"{path} is not a TOML file: {error}") from None
    return replace_fields(sections, values, source=str(path))


def replace_fields(sections: Sections, values: dict, source: str) -> Sections:
    """The sections with other values for some fields, each in the section that has it.

    Raises UserError, naming the source, for a field that no section has and for a value of the wrong type.
    """
    owners = {field.name: name for name, section in sections.items() for field in dataclasses.fields(section)}
    changes: dict[str, dict] = {name: {} for name in sections}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in owners:
            close = difflib.get_close_matches(name, owners, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(owners)}"
            raise UserError(f"{source}: unknown field {key!r}: {hint}")
        hint = typing.get_type_hints(type(sections[owners[name]]))[name]
        try:
            changes[owners[name]][name] = _converted(value, hint)
        except TypeError:
            raise UserError(f"{source}: {key} = {value!r}: expected {_described(hint)}") from None
    return {name: dataclasses.replace(section, **changes[name]) for name, section in sections.items()}


def _marked(mark: Any, annotation: Any) -> Any:
    """A field's annotation with one of tyro's marks."""
    return mark[annotation]


def _values(section) -> dict:
    return {field.name: getattr(section, field.name) for field in dataclasses.fields(section)}


def _flags_class(cls: type, hidden: Sequence[str]) -> type:
    """The dataclass as the parser is to see it: hidden fields suppressed, values not judged yet."""
    import tyro

    hints = typing.get_type_hints(cls)
    suppressed = [
        (field.name, _marked(tyro.conf.Suppress, hints[field.name]), dataclasses.field(default=None))
        for field in dataclasses.fields(cls)
        if field.name in hidden
    ]
    namespace = {"__post_init__": lambda self: None}
    return dataclasses.make_dataclass(cls.__name__, suppressed, bases=(cls,), namespace=namespace)


def _converted(value, hint):
    """A TOML or JSON value as the annotated type, or a TypeError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        for argument in arguments:
            try:
                return _converted(value, argument)
            except TypeError:
                continue
    elif origin is typing.Literal:
        if value in arguments:
            return value
    elif origin is tuple:
        if isinstance(value, list | tuple) and len(value) == len(arguments):
            return tuple(map(_converted, value, arguments))
    elif hint is float:
        if type(value) in (int, float):
            return float(value)
    elif hint is Path:
        if isinstance(value, str):
            return Path(value)
    elif type(value) is hint:
        return value
    raise TypeError


def _described(hint) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return f"a list of {len(typing.get_args(hint))} values"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a string", Path: "a path"}
    return names.get(hint, str(hint))


# What fields may be.


def check(config: Any, name: str, fits: bool, expected: str) -> None:
    """Raises UserError, "name=value: expected …", unless the value of a field fits."""
    if not fits:
        raise UserError(f"{name}={getattr(config, name)!r}: expected {expected}")


def check_whole(config: Any, *names: str, least: int = 1) -> None:
    """Raises UserError unless these fields are whole numbers, `least` or above; numpy's become Python's."""
    expected = "a whole number above 0" if least == 1 else f"a whole number, {least} or above"
    for name in names:
        value = getattr(config, name)
        check(config, name, _is_number(value, Integral) and value >= least, expected)
        setattr(config, name, int(value))  # what a checkpoint's JSON can hold


def check_number(config: Any, *names: str, zero: bool = True) -> None:
    """Raises UserError unless these fields are finite numbers above 0, or 0 where that is allowed."""
    for name in names:
        value = getattr(config, name)
        fits = _is_number(value, Real) and (value >= 0 if zero else value > 0) and value < math.inf
        check(config, name, fits, "a number, 0 or above" if zero else "a number above 0")
        setattr(config, name, float(value))


def check_probability(config: Any, *names: str) -> None:
    """Raises UserError unless these fields are numbers from 0 to below 1."""
    for name in names:
        value = getattr(config, name)
        check(config, name, _is_number(value, Real) and 0 <= value < 1, "a probability, from 0 to below 1")
        setattr(config, name, float(value))


def check_choice(config: Any, **choices: Collection[Any]) -> None:
    """Raises UserError unless each field is among its choices: check_choice(self, cell=("lstm", "gru"))."""
    for name, known in choices.items():
        check(config, name, getattr(config, name) in known, f"one of {', '.join(map(str, known))}")


def _is_number(value: object, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def of_preset(config: type[C], presets: dict[str, dict], name: str, changes: dict[str, Any]) -> C:
    """A configuration from a table of presets, with changes to some fields. UserError gives the closest name."""
    if name not in presets:
        close = difflib.get_close_matches(name, presets, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(presets)}"
        raise UserError(f"no {config.__name__.removesuffix('Config')} preset {name!r}: {hint}")
    return config(**presets[name] | changes)
