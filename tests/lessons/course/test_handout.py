"""`minigrad course handout`: what a student gets, and what not."""

import json
import re
import subprocess
import sys
import tomllib

import pytest

from lessons.commands import course as command
from lessons.commands.course_handout import _numbers
from lessons.course.cutting import is_blank, with_answers
from lessons.course.exercises import TABLE, Course, course
from lessons.course.handout import LIBRARY, TESTS, make_handout, student_project
from lessons.running.catalogue import lessons
from models.errors import UserError

pytest.importorskip("jupytext")
KIT = course()
ALL = {lesson.number for lesson in lessons()}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    out = tmp_path_factory.mktemp("course") / "new" / "repository"
    make_handout(KIT, out, ALL, set())
    return Course(out, unfinished=True)


def files(root) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def test_exactly_the_named_bodies_are_blank(repository):
    targets = {target: exercise for exercise in reversed(KIT.exercises) for target in exercise.targets}
    given = files(repository.root)
    for package in LIBRARY:
        for name, content in files(KIT.root / package).items():
            path = f"{package}/{name}"
            inside = [target for target in targets if target.path == path]
            text = given[path].decode() if inside else given[path]
            assert (with_answers(text, content.decode(), inside).encode() if inside else text) == content, path
    for target, exercise in targets.items():
        writers = [e for e in KIT.exercises if target in e.write] or [exercise]
        assert is_blank(given[target.path].decode(), target, writers[0].label), target


def test_nothing_of_the_teachers(repository):
    given = files(repository.root)
    teachers = [name for name in given if re.search(r"wrong|TEACH|prov|grad(e|ing)\b|judg|tree|handout", name)]
    assert [name for name in teachers if not name.startswith(LIBRARY)] == []
    assert sorted(name for name in given if "/" not in name) == [".gitignore", "LICENSE", "README.md", "pyproject.toml"]
    judging = {test.partition("::")[0] for exercise in KIT.exercises for test in exercise.tests}
    tests = {name for name in given if name.startswith("tests/")}
    assert {name for name in tests if "/test_" in name} == judging
    assert {"tests/conftest.py", "tests/lessons/exercises/expect.py"} < tests
    assert all(name.startswith("tests/lessons/exercises/") for name in tests - set(TESTS))
    assert "\nremove" not in given[TABLE].decode()


@pytest.mark.slow
def test_every_test_is_found_with_every_body_blank(repository):
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(command, cwd=repository.root, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:]


def test_the_table_and_the_readme_tell_the_same_exercises(repository):
    assert [e.number for e in repository.exercises] == [e.number for e in KIT.exercises]
    for theirs, ours in zip(repository.exercises, KIT.exercises, strict=True):
        assert (theirs.label, theirs.write, theirs.hints, theirs.tests) == (
            ours.label,
            ours.write,
            ours.hints,
            ours.tests,
        )
    readme = (repository.root / "README.md").read_text()
    for exercise in KIT.exercises:
        assert f"| {exercise.number} | {exercise.title} |" in readme
    assert "your teacher's to say" in readme


def test_the_lessons_are_there_as_files_and_notebooks(repository):
    for lesson in lessons():
        assert (repository.root / "lessons" / lesson.path.name).read_bytes() == lesson.path.read_bytes()
        cells = json.loads((repository.root / "lessons" / f"{lesson.path.stem}.ipynb").read_text())["cells"]
        assert "".join(cells[0]["source"]).startswith(f"# {lesson.number}. ")


IMPORT_EVERYTHING = """
import importlib, minigrad, pkgutil
for package in ("minigrad", "nn", "models", "lessons"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not module.name.startswith("lessons.") or not module.name[8:10].isdigit():
            importlib.import_module(module.name)
print(minigrad.__file__)
"""


@pytest.mark.slow
def test_everything_imports_with_every_body_blank(repository):
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING], cwd=repository.root, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert str(repository.root) in result.stdout


def test_a_solved_lesson_is_filled_in_and_another_left_out(tmp_path, monkeypatch, capsys):
    assert command.main(["handout", str(tmp_path / "out"), "--lessons", "1-2,4", "--solved", "1"]) == 0
    made = Course(tmp_path / "out")
    assert {e.lesson for e in made.exercises} == {e.lesson for e in KIT.exercises} & {2, 4}
    assert sorted(path.name[:2] for path in (tmp_path / "out/lessons").glob("[0-9]*.py")) == ["01", "02", "04"]
    for exercise in KIT.exercises:
        for target in exercise.write if exercise.lesson not in (2, 4) else ():
            assert not is_blank(made.source(target.path), target, exercise.label)
    assert "3 lessons" in capsys.readouterr().out
    result = subprocess.run(
        [sys.executable, "-m", "lessons.course.trying", "/dev/null"], cwd=tmp_path / "out", capture_output=True
    )
    assert b"Error" not in result.stderr


def test_what_stands_there_is_not_touched(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("out", "file"):
        with pytest.raises(UserError, match=f"{name} is there already and not empty"):
            make_handout(KIT, tmp_path / name, ALL, set())
    assert {path.name for path in tmp_path.iterdir()} == {"out", "file"}


def test_an_empty_directory_will_do(tmp_path):
    (tmp_path / "out").mkdir()
    make_handout(KIT, tmp_path / "out", {1}, set())
    assert (tmp_path / "out" / "README.md").is_file()


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("the disk is full")

    monkeypatch.setattr("lessons.course.handout._copy_tests", fail)
    with pytest.raises(OSError, match="the disk is full"):
        make_handout(KIT, tmp_path / "out", {1}, set())
    assert list(tmp_path.iterdir()) == []


def test_without_jupytext_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jupytext", None)
    with pytest.raises(UserError, match=r"the extra `course`: pip install -e '\.\[course\]'"):
        make_handout(KIT, tmp_path / "out", {1}, set())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "numbers"), [("3", {3}), ("1-4", {1, 2, 3, 4}), ("1, 3,5 - 6", {1, 3, 5, 6}), ("7-7,7", {7})]
)
def test_numbers_of_lessons(text, numbers):
    assert _numbers(text) == numbers


@pytest.mark.parametrize("text", ["", "a", "4-1", "1-", "1,,2", "-3"])
def test_numbers_that_are_none(text):
    with pytest.raises(UserError, match="names no lessons; expected numbers and ranges"):
        _numbers(text)


def test_a_lesson_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match="no lesson 99: there are 1, 2"):
        make_handout(KIT, tmp_path / "out", {1, 99}, set())


def test_the_project_file_is_the_library_s_with_the_tools_for_tests():
    ours = tomllib.loads((KIT.root / "pyproject.toml").read_text())
    theirs = tomllib.loads(student_project((KIT.root / "pyproject.toml").read_text()))
    assert set(theirs["project"]["dependencies"]) > set(ours["project"]["dependencies"])
    assert any(tool.startswith("pytest") for tool in theirs["project"]["dependencies"])
    assert theirs["project"]["entry-points"] == ours["project"]["entry-points"]
    assert theirs["tool"]["setuptools"] == ours["tool"]["setuptools"]
    assert {"test", "parity"}.isdisjoint(theirs["project"]["optional-dependencies"])
    assert "course" in theirs["project"]["optional-dependencies"]
    assert theirs["tool"].keys() == {"setuptools", "pytest"}


def test_a_lesson_stops_at_a_blank_with_its_name(repository):
    run = "import sys; sys.path.insert(0, ''); from lessons.commands.lesson import main; main(['1', '--fast'])"
    result = subprocess.run([sys.executable, "-c", run], cwd=repository.root, capture_output=True, text=True)
    expected = "UserError: this lesson uses what you have not written yet, exercise 1.4: Einsum by matrix products"
    assert result.stderr.rstrip().endswith(expected)
