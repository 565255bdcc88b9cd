"""The exercises: lessons/course.toml, read and checked against the repository that it belongs to."""

import ast
import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from lessons.course.cutting import Target, line
from lessons.course.errors import CourseError, CutError

TABLE = "lessons/course.toml"
OPTIONAL = {"remove", "hints"}


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    number   "4.2": of its lesson, and its own
    write    the bodies that the student writes
    remove   bodies that would give the answer away, blank as well
    points   for all of it, shared equally among its checks
    minutes  an estimate
    hints    in steps
    tests    classes of tests that judge it, "tests/lessons/exercises/test_04_neurons.py::TestCrossEntropyGradient"
    """

    number: str
    title: str
    write: tuple[Target, ...]
    points: int
    minutes: int
    tests: tuple[str, ...]
    remove: tuple[Target, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def lesson(self) -> int:
        return int(self.number.partition(".")[0])

    @property
    def label(self) -> str:
        """What its blank bodies raise: "exercise 4.2: The gradient of cross-entropy"."""
        return f"exercise {self.number}: {self.title}"

    @property
    def targets(self) -> tuple[Target, ...]:
        """All bodies that are blank in a handout."""
        return self.write + self.remove

    @property
    def order(self) -> tuple[int, ...]:
        return tuple(map(int, self.number.split(".")))


@dataclass(frozen=True)
class Check:
    """A test method of an exercise.

    id     as pytest names it
    words  its docstring: what is checked, for a student
    """

    id: str
    words: str


class Course:
    """The repository at `root` and its exercises."""

    def __init__(self, root: Path, unfinished: bool = False):
        """unfinished  a student's: their functions may be missing or not parse, which is no fault of the table"""
        self.root, self.unfinished = root, unfinished

    @cached_property
    def exercises(self) -> list[Exercise]:
        """All exercises, in order. CourseError names the first thing that is wrong with the table."""
        path = self.root / TABLE
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CourseError(
                f"{path} is missing: go to a clone of minigrad or to a course's repository"
            ) from None
        except tomllib.TOMLDecodeError as error:
            raise CourseError(f"{TABLE}: {error}") from None
        if unknown := table.keys() - {"exercise"}:
            raise CourseError(
                f"{TABLE}: unknown key {min(unknown)!r}; exercises start with [[exercise]]"
            )
        found = [self._read(entry) for entry in table.get("exercise", [])]
        self._check_order(found)
        if not self.unfinished:
            self._check_targets(found)
        return found

    def exercise(self, number: str) -> Exercise:
        for exercise in self.exercises:
            if exercise.number == number:
                return exercise
        raise CourseError(
            f"no exercise {number}: there are {', '.join(e.number for e in self.exercises) or 'none'}"
        )

    def of(self, selection: str | None) -> list[Exercise]:
        """The exercises of a lesson, "3", or one of them, "3.2", or all."""
        if selection is None:
            return self.exercises
        if "." in selection:
            return [self.exercise(selection)]
        found = [exercise for exercise in self.exercises if str(exercise.lesson) == selection]
        if not found:
            lessons = ", ".join(map(str, dict.fromkeys(e.lesson for e in self.exercises)))
            raise CourseError(
                f"no exercises of lesson {selection}: there are some of {lessons or 'none'}"
            )
        return found

    def selected(self, selections: Collection[str]) -> list[Exercise]:
        """The exercises of several selections, "4.2", "5" or the lessons "1-4", in order; without one all."""
        chosen = set()
        for selection in selections:
            first, dash, last = selection.partition("-")
            if dash and first.isdigit() and last.isdigit():
                chosen |= {e for e in self.exercises if int(first) <= e.lesson <= int(last)}
            else:
                chosen |= set(self.of(selection))
        return [exercise for exercise in self.exercises if exercise in chosen or not selections]

    def checks(self, exercise: Exercise) -> list[Check]:
        """The test methods that judge an exercise, in the order of their files."""
        return [
            check
            for test in exercise.tests
            for check in self._checks_of(test, f"exercise {exercise.number}")
        ]

    def source(self, path: str) -> str:
        """The text of a file, every character as it is there."""
        return (self.root / path).read_bytes().decode()

    def _read(self, entry: dict) -> Exercise:
        names = {field.name for field in fields(Exercise)}
        number = entry.get("number")
        if not isinstance(number, str) or not re.fullmatch(r"[1-9]\d*\.[1-9]\d*", number):
            raise CourseError(f'{TABLE}: number is {number!r}; expected a text like "4.2"')
        where = f"{TABLE}: exercise {number}"
        if unknown := entry.keys() - names:
            raise CourseError(
                f"{where}: unknown key {min(unknown)!r}; known are {', '.join(sorted(names))}"
            )
        if missing := names - OPTIONAL - entry.keys():
            raise CourseError(f"{where}: {min(missing)} is missing")
        if (
            not isinstance(entry["title"], str)
            or not entry["title"].strip()
            or "\n" in entry["title"]
        ):
            raise CourseError(f"{where}: title is {entry['title']!r}; expected one line of text")
        for key in ("points", "minutes"):
            if type(entry[key]) is not int or entry[key] < 1:
                raise CourseError(
                    f"{where}: {key} is {entry[key]!r}; expected a whole number above 0"
                )
        for key in ("write", "remove", "hints", "tests"):
            texts = entry.get(key, [])
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise CourseError(f"{where}: {key} is {texts!r}; expected a list of texts")
        for key in ("write", "tests"):
            if not entry[key]:
                raise CourseError(f"{where}: {key} is empty")
        lesson = int(number.partition(".")[0])
        if not list((self.root / "lessons").glob(f"{lesson:02}_*.py")):
            raise CourseError(f"{where}: there is no lesson {lesson}")
        for test in entry["tests"]:
            self._checks_of(test, where)
        return Exercise(
            **{key: entry[key] for key in ("number", "title", "points", "minutes")},
            write=tuple(self._target(text, where) for text in entry["write"]),
            remove=tuple(self._target(text, where) for text in entry.get("remove", [])),
            hints=tuple(entry.get("hints", [])),
            tests=tuple(entry["tests"]),
        )

    def _target(self, text: str, where: str) -> Target:
        place, colon, name = text.partition(":")
        if not colon or not name:
            raise CourseError(
                f'{where}: {text!r} names no function; expected "module:qualified name", or "path.cu:name"'
            )
        if place.endswith((".cu", ".cuh")):
            paths = [place]
        else:
            stem = place.replace(".", "/")
            paths = [f"{stem}.py", f"{stem}/__init__.py"]
        for path in paths:
            if (self.root / path).is_file():
                return Target(path, name)
        raise CourseError(f"{where}: {text!r}: there is no file {paths[0]}")

    def _checks_of(self, test: str, where: str) -> list[Check]:
        """The methods of a class of tests, read from its file's text: importing it would run what it tests."""
        path, _, name = test.partition("::")
        if not (self.root / path).is_file():
            raise CourseError(f"{where}: there is no file of tests {path}")
        tree = ast.parse(self.source(path))
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                methods = [
                    m
                    for m in node.body
                    if isinstance(m, ast.FunctionDef) and m.name.startswith("test")
                ]
                if not methods:
                    raise CourseError(f"{where}: {test} has no test methods")
                return [
                    Check(f"{test}::{m.name}", _one_line(ast.get_docstring(m) or m.name))
                    for m in methods
                ]
        raise CourseError(f"{where}: {path} has no class {name or '(write path::Class)'}")

    def _check_order(self, found: list[Exercise]) -> None:
        for before, after in pairwise(found):
            if before.order == after.order:
                raise CourseError(f"{TABLE}: there are two exercises {after.number}")
            if before.order > after.order:
                raise CourseError(
                    f"{TABLE}: exercise {after.number} comes after {before.number}; sort by number"
                )

    def _check_targets(self, found: list[Exercise]) -> None:
        """Each body can be cut, and is written in one exercise only."""
        owner = {}
        for exercise in found:
            for target in exercise.targets:
                try:
                    line(self.source(target.path), target)
                except CutError as error:
                    raise CourseError(f"{TABLE}: exercise {exercise.number}: {error}") from None
                if target in exercise.write and owner.setdefault(target, exercise) is not exercise:
                    raise CourseError(
                        f"{TABLE}: {target} is written in {owner[target].number} and {exercise.number}"
                    )


def course(unfinished: bool = False) -> Course:
    """The course of the working directory or of one above it, else of the installed package."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / TABLE).is_file():
            return Course(folder, unfinished)
    return Course(Path(__file__).parents[2], unfinished)


def _one_line(text: str) -> str:
    return " ".join(text.split())
