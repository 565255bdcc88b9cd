"""A student repository: the library with the bodies of exercises blank, their tests, the lessons, a README.

Everything is copied from the repository of the course, and nothing of the teacher's: no mistakes to plant, no
grading. It is made beside its place and renamed when it is whole.
"""

import json
import re
import shutil
import tempfile
from pathlib import Path

from lessons.course.cutting import cut
from lessons.course.errors import CourseError
from lessons.course.exercises import TABLE, Course, Exercise
from lessons.course.student_readme import student_readme
from lessons.course.trying import LIBRARY
from lessons.running.catalogue import Lesson, lessons

COMMANDS = {"__init__.py", "lesson.py", "course.py", "course_test.py"}
COURSE = {"__init__.py", "cuda_bodies.py", "cutting.py", "errors.py", "exercises.py", "python_bodies.py"}  # fmt: skip
COURSE |= {"reports.py", "testing.py", "trying.py"}
TESTS = ("tests/__init__.py", "tests/conftest.py", "tests/lessons/__init__.py")
TOOLS = ("pytest>=8", "hypothesis>=6.120")  # what the tests of the exercises need
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def make_handout(course: Course, out: Path, chosen: set[int], solved: set[int]) -> list[Exercise]:
    """Make the repository at `out` and return its exercises: those of the chosen lessons that are not solved.

    CourseError if there is something at `out`, a lesson does not exist, or jupytext is missing.
    """
    known = {lesson.number: lesson for lesson in lessons(course.root / "lessons")}
    if missing := (chosen | solved) - known.keys():
        raise CourseError(f"no lesson {min(missing)}: there are {', '.join(map(str, known))}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CourseError(
            f"{out} is there already and not empty: choose another place, or delete it"
        )
    exercises = [e for e in course.exercises if e.lesson in chosen - solved]
    parts = [lesson for lesson in known.values() if lesson.number in chosen]
    notebooks = _notebooks(parts)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as beside:
        tree = Path(beside) / "repository"
        _copy_library(course.root, tree)
        _copy_lessons(course.root, tree, parts, notebooks)
        _copy_tests(course.root, tree, exercises)
        _blank(course, tree, exercises)
        (tree / TABLE).write_text(_table(exercises), encoding="utf-8")
        project = (course.root / "pyproject.toml").read_text(encoding="utf-8")
        (tree / "pyproject.toml").write_text(student_project(project), encoding="utf-8")
        (tree / "README.md").write_text(student_readme(parts, exercises), encoding="utf-8")
        shutil.copy(course.root / "LICENSE", tree)
        (tree / ".gitignore").write_text(
            "__pycache__/\n*.egg-info/\n.venv/\n.*_cache/\n.hypothesis/\nruns/\n"
        )
        if out.is_dir():
            out.rmdir()
        tree.rename(out)
    return exercises


def _notebooks(parts: list[Lesson]) -> dict[str, str]:
    """The lessons as notebooks, by the names of their files."""
    try:
        import jupytext
    except ImportError:
        raise CourseError(
            "a handout has notebooks, which need the extra `course`: pip install -e '.[course]'"
        ) from None
    return {
        f"{lesson.path.stem}.ipynb": jupytext.writes(jupytext.read(lesson.path), "ipynb")
        for lesson in parts
    }


def _copy_library(root: Path, tree: Path) -> None:
    for package in LIBRARY:
        shutil.copytree(root / package, tree / package, ignore=LEFT_OUT)


def _copy_lessons(root: Path, tree: Path, parts: list[Lesson], notebooks: dict[str, str]) -> None:
    source, target = root / "lessons", tree / "lessons"
    numbered = {lesson.path.name for lesson in lessons(source)}
    names = {path.name for path in source.glob("*.py")} - numbered | {
        lesson.path.name for lesson in parts
    }
    target.mkdir()
    for name in sorted(names):
        shutil.copy(source / name, target)
    for folder in ("material", "running"):
        shutil.copytree(source / folder, target / folder, ignore=LEFT_OUT)
    for name, text in notebooks.items():
        (target / name).write_text(text, encoding="utf-8")
    for folder, files in (("commands", COMMANDS), ("course", COURSE)):
        (target / folder).mkdir()
        for name in files:
            shutil.copy(source / folder / name, target / folder)


def _copy_tests(root: Path, tree: Path, exercises: list[Exercise]) -> None:
    judging = {test.partition("::")[0] for exercise in exercises for test in exercise.tests}
    helpers = {
        path.relative_to(root).as_posix()
        for path in (root / "tests" / "lessons" / "exercises").glob("*.py")
        if not path.name.startswith("test_")
    }
    for path in sorted({*TESTS, *helpers, *judging}):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / path, tree / path)


def _blank(course: Course, tree: Path, exercises: list[Exercise]) -> None:
    """Blank the bodies, each with the name of the exercise that writes it, or else of one that removes it."""
    labels = {
        target: exercise.label for exercise in reversed(exercises) for target in exercise.remove
    }
    labels |= {target: exercise.label for exercise in exercises for target in exercise.write}
    for path in {target.path for target in labels}:
        text = course.source(path)
        for target, label in labels.items():
            if target.path == path:
                text = cut(text, [target], label)
        (tree / path).write_bytes(text.encode())


def _table(exercises: list[Exercise]) -> str:
    """course.toml for students: their exercises, without what is removed for them."""
    entries = ["# The exercises. `minigrad course test` tells how far you are.\n"]
    for exercise in exercises:
        values = {
            "number": exercise.number,
            "title": exercise.title,
            "write": [str(target) for target in exercise.write],
            "points": exercise.points,
            "minutes": exercise.minutes,
            "hints": list(exercise.hints),
            "tests": list(exercise.tests),
        }
        lines = [
            f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()
        ]
        entries.append("\n".join(["[[exercise]]", *lines, ""]))
    return "\n".join(entries)


def student_project(text: str) -> str:
    """pyproject.toml for students: what the tests need is installed with the library; no checks of style."""
    sections = re.split(r"(?m)^(?=\[)", text)
    kept = [s for s in sections if not re.match(r"\[+tool\.(ruff|mypy|importlinter|uv)", s)]
    text = "".join(kept)
    tools = "".join(f'    "{tool}",\n' for tool in TOOLS)
    text = text.replace("dependencies = [\n", f"dependencies = [\n{tools}", 1)
    text = re.sub(
        r"(?m)^description = .*$", 'description = "minigrad, with exercises to write."', text
    )
    text = re.sub(r"(?ms)^(test|parity) = \[.*?^\]\n", "", text)
    return re.sub(r"(?m)^timeout = .*\n", "", text)
