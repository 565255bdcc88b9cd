"""TEACHING.md: what it names exists, its commands parse, its programs get the points it says."""

import argparse
import inspect
import re
import shlex
import shutil
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest

from lessons.course.exercises import course
from lessons.running.catalogue import lessons
from minigrad.kernels.reference import attention as kernel
from models.commands import cli
from tests.lessons.exercises import test_13_attention as checks

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "lessons" / "TEACHING.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^( *)```(\w+)\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL)
PROSE = re.sub(r"^( *)```.*?^ *```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
EXERCISES = {exercise.number: exercise for exercise in course().exercises}
MINUTES = {lesson.number: int(lesson.facts["Time"].split()[0]) for lesson in lessons()}
INVENTED = "4.9"  # the exercise that is added as an example
WEEKS = (6, 10, 14)


def blocks(language: str) -> list[str]:
    return [textwrap.dedent(text) for _, each, text in FENCED if each == language]


def rows(after: str, columns: int) -> list[list[str]]:
    """The cells of the first table behind a text, without its head."""
    table = re.search(r"(?:^\|.*\n)+", TEXT[TEXT.index(after) :], re.MULTILINE)[0].splitlines()[2:]
    found = [[cell.strip() for cell in row.strip("|").split("|")] for row in table]
    assert all(len(row) == columns for row in found)
    return found


def expanded(exercises: str) -> list[str]:
    """ "1.1 to 1.4" as its four exercises."""
    first, _, last = exercises.partition(" to ")
    numbers = list(EXERCISES)
    return numbers[numbers.index(first) : numbers.index(last or first) + 1]


def test_every_exercise_it_names_exists():
    named = set(re.findall(r"\b[1-9]\d?\.\d\b", PROSE)) | set(re.findall(r"\b[1-9]\d?\.\d\b", "\n".join(blocks("sh"))))
    assert len(named) > 40
    assert named - {INVENTED} <= EXERCISES.keys()
    assert INVENTED not in EXERCISES


def test_every_lesson_it_names_exists():
    named = {int(n) for n in re.findall(r"[Ll]essons? (\d+)", PROSE)}
    named |= {int(n) for row in rows("From the lessons' planted bugs", 3) for n in row[:1]}
    assert named <= MINUTES.keys()


@pytest.mark.parametrize("weeks", WEEKS)
def test_a_syllabus(weeks):
    """Weeks are counted, lessons and exercises exist, no exercise is due before its lesson, hours are right."""
    table = rows(f"<!-- {weeks} weeks -->", 5)
    assert [int(row[0]) for row in table] == list(range(1, weeks + 1))
    met, due = [], []
    for _, new, exercises, _, hours in table:
        new = [int(n) for n in new.split(", ")]
        met += new
        exercises = [n for part in exercises.split(", ") for n in expanded(part)]
        due += exercises
        assert {EXERCISES[number].lesson for number in exercises} <= set(met)
        minutes = sum(MINUTES[n] for n in new) + sum(EXERCISES[number].minutes for number in exercises)
        assert abs(int(hours) - minutes / 60) <= 1
    assert met == sorted(set(met))
    assert len(due) == len(set(due))
    if weeks == 14:
        assert (set(met), set(due)) == (MINUTES.keys(), EXERCISES.keys())


class Parsed(BaseException):
    """Not an Exception, which the program would report."""


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines()])
def test_a_command_line_parses(line, monkeypatch):
    program, *arguments = shlex.split(line, comments=True)
    if program == "pip":
        assert arguments == ["install", "-e", ".[course,test]"]
        return
    assert program == "minigrad"
    original = argparse.ArgumentParser.parse_args

    def parse(*given, **named):
        original(*given, **named)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    with pytest.raises(Parsed):
        cli.main(arguments[: arguments.index(">")] if ">" in arguments else arguments)


def test_the_mistakes_are_those_that_are_planted():
    planted = tomllib.loads((ROOT / "lessons" / "wrong_answers.toml").read_text(encoding="utf-8"))
    for number, mistake in rows("And in the exercises", 2):
        assert mistake in [each["mistake"] for each in planted[number]]


def test_the_programs_get_the_points_it_says(monkeypatch):
    """The three bodies of attention_backward, excellent, adequate and poor."""
    said = [int(points) for points in re.findall(r"\((\d+) of 10 points\)", TEXT)]
    methods = [name for name, _ in inspect.getmembers(checks.TestBackward) if name.startswith("test")]
    assert EXERCISES["13.5"].points == 10
    got = []
    for text in blocks("python")[:3]:
        names = dict(vars(kernel))
        arguments = ", ".join(inspect.signature(kernel.attention_backward).parameters)
        exec(f"def attention_backward({arguments}):\n{textwrap.indent(text, '    ')}", names)
        monkeypatch.setattr(kernel, "attention_backward", names["attention_backward"])
        got.append(10 * np.mean([_passes(name) for name in methods]))
    assert got == said == [10, 6, 0]


def _passes(method: str) -> bool:
    try:
        getattr(checks.TestBackward(), method)()
    except Exception:
        return False
    return True


def test_the_exercise_it_adds_is_proved(tmp_path, capsys):
    """Its table, tests and mistakes, over the library."""
    for part in ("minigrad", "nn", "models", "lessons", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    entry, wrong_answers = blocks("toml")
    assert f'number = "{INVENTED}"' in entry
    (tmp_path / "lessons" / "course.toml").write_text(entry, encoding="utf-8")
    (tmp_path / "lessons" / "wrong_answers.toml").write_text(wrong_answers, encoding="utf-8")
    (tmp_path / "tests" / "lessons" / "exercises" / "test_huber.py").write_text(blocks("python")[3], encoding="utf-8")
    assert cli.main(["course", "prove", "--root", str(tmp_path)]) == 0
    assert "3 of 3 planted mistakes caught, 0 things to fix" in capsys.readouterr().out
