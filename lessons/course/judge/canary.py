"""Tests that must fail, run before and after a student's: if one passes, somebody has been at the tests.

And a look at the tests themselves when they have run: their functions must be those of the files.
"""

import inspect
import random
import secrets
import types
from pathlib import Path

TEXT = """
import numpy as np
import pytest

from tests.lessons.exercises import expect


class Test{name}:
    def test_close(self):
        expect.close({a}, {b}, "{name}")

    def test_equal(self):
        expect.equal([{a}], [{b}], "{name}")

    def test_holds(self):
        expect.holds({a} == {b}, "{name}")

    def test_assert(self):
        assert {a} == {b}

    def test_arrays(self):
        np.testing.assert_allclose(np.full(3, {a}), np.full(3, {b}))

    def test_raises(self):
        with pytest.raises(ValueError):
            float({a})

    def test_error(self):
        raise NotImplementedError("{name}")
"""


def plant(tree: Path) -> tuple[str, str]:
    """Write two files of tests that must fail into a tree; their paths from its root."""
    made = []
    for _ in range(2):
        name = "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=12))
        a = secrets.randbelow(10**6)
        path = f"tests/lessons/exercises/test_{name}.py"
        (tree / path).write_text(TEXT.format(name=name.capitalize(), a=a, b=2 * a + 1))
        made.append(path)
    return made[0], made[1]


def count() -> int:
    """How many tests that must fail there are in each file."""
    return TEXT.count("def test_")


def changed(module: types.ModuleType, text: types.CodeType) -> list[str]:
    """The functions of a module, its classes' included, that are not those of the compiled text of its file."""
    return [name for name, code in _functions(text) if not _is(module, name, code)]


def _functions(code: types.CodeType):
    """(qualified name, code) of the functions at a module's top and in its classes."""
    for constant in code.co_consts:
        # Python 3.14 makes an __annotate__ of annotations, to be called when they are asked for
        if isinstance(constant, types.CodeType) and not constant.co_name.startswith(
            ("<", "__annotate__")
        ):
            if (
                constant.co_flags & inspect.CO_NEWLOCALS
                and constant.co_flags & inspect.CO_OPTIMIZED
            ):
                yield constant.co_qualname, constant
            else:  # the body of a class
                yield from _functions(constant)


def _is(module: types.ModuleType, name: str, code: types.CodeType) -> bool:
    found = module
    for part in name.split("."):
        found = vars(found).get(part)
        if found is None:
            return False
    found = inspect.unwrap(getattr(found, "__func__", found))
    return (
        not isinstance(found, types.FunctionType) or found.__code__ == code
    )  # a fixture is no function any more
