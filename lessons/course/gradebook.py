"""How grades are reported: a table in the terminal, Gradescope's results.json, a CSV of the class."""

import csv
from typing import TextIO

from rich.console import Console
from rich.table import Table

from lessons.course.exercises import Exercise
from lessons.course.grading import Grade, Mark


def print_table(grade: Grade, console: Console) -> None:
    """Every exercise of a submission with its points, and what went wrong."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, justify in (
        ("", "right"),
        ("exercise", "left"),
        ("points", "right"),
        ("checks", "right"),
        ("calls", "right"),
    ):
        table.add_column(name, justify=justify, overflow="fold")
    for mark in grade.marks:
        passed = f"{len(mark.verdict.passed)}/{len(mark.checks)}"
        calls = str(sum(mark.verdict.calls.values())) if mark.attempted else "not attempted"
        points = f"{mark.points:g}/{mark.exercise.points}"
        table.add_row(mark.exercise.number, mark.exercise.title, points, passed, calls)
    console.print(table)
    for mark in grade.marks:
        for line in _lines(mark):
            console.print(
                f"{mark.exercise.number}  {line}", markup=False, highlight=False, soft_wrap=True
            )
    for note in grade.notes:
        console.print(f"note  {note}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{grade.name}: {grade.points:g} of {grade.most} points, {grade.seconds:.1f} s",
        highlight=False,
    )


def print_line(grade: Grade, number: int, of: int, console: Console) -> None:
    """A submission in a line of the class, and below it what a teacher should know."""
    console.print(
        f"{number}/{of}  {grade.name}: {grade.points:g} of {grade.most}",
        markup=False,
        highlight=False,
    )
    for line in [
        f"{m.exercise.number}  {note}" for m in grade.marks for note in m.verdict.notes
    ] + grade.notes:
        console.print(f"      {line}", markup=False, highlight=False, soft_wrap=True)


def gradescope(grade: Grade) -> dict:
    """results.json as Gradescope reads it: gradescope-autograders.readthedocs.io, "Autograder Specifications"."""
    return {
        "score": grade.points,
        "execution_time": round(grade.seconds, 2),
        "output": "\n".join(grade.notes),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(mark) for mark in grade.marks],
    }


def _test(mark: Mark) -> dict:
    exercise, verdict = mark.exercise, mark.verdict
    return {
        "name": exercise.title,
        "name_format": "text",
        "number": exercise.number,
        "score": mark.points,
        "max_score": exercise.points,
        "status": "passed" if mark.points == exercise.points else "failed",
        "output": "\n".join(_lines(mark) or ["all checks passed"]),
        "output_format": "text",
        "tags": [f"lesson {exercise.lesson}"],
        "visibility": "visible",
        "extra_data": {
            "files": mark.files,
            "calls": {str(target): count for target, count in verdict.calls.items()},
            "passed": sorted(verdict.passed),
            "printed": verdict.output,
            "seconds": round(verdict.seconds, 2),
            "memory": verdict.memory,
            "held_by_the_system": verdict.held,
        },
    }


def _lines(mark: Mark) -> list[str]:
    """What went wrong with an exercise, first what a teacher should know."""
    if not mark.attempted:
        return ["not attempted"]
    lines = list(mark.verdict.notes)
    for check in mark.checks:
        if why := mark.verdict.why.get(check.id):
            lines.append(f"{check.words} " + why.replace("\n", "\n      "))
    return lines


class ClassTable:
    """A CSV: a row per student, a column per exercise, the total, and the notes."""

    def __init__(self, file: TextIO, exercises: list[Exercise]):
        self._file, self._writer = file, csv.writer(file)
        self._writer.writerow(
            ["student", *(exercise.number for exercise in exercises), "total", "notes"]
        )

    def add(self, grade: Grade) -> None:
        """Write a row, at once: what is graded is kept if something stops the rest."""
        noted = [
            f"{mark.exercise.number}: {note}" for mark in grade.marks for note in mark.verdict.notes
        ]
        points = [f"{mark.points:g}" for mark in grade.marks]
        self._writer.writerow(
            [grade.name, *points, f"{grade.points:g}", "; ".join([*noted, *grade.notes])]
        )
        self._file.flush()
