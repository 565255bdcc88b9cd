"""What a student sees: the table of exercises with points, and the first failure explained."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lessons.course.exercises import Course, Exercise
from lessons.course.testing import WANTING, Failure, Result, place

MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "unwritten": ("·", "dim")}


def show(console: Console, course: Course, results: list[Result]) -> None:
    """The table, the points, and the first failure in words."""
    console.print(_table(results))
    points, most = sum(r.points for r in results), sum(r.exercise.points for r in results)
    console.print(f"\n{_number(points)} of {most} points so far")
    if wrong := [result for result in results if result.failures and not result.unwritten]:
        _explain(console, min(wrong, key=lambda result: WANTING.get(result.told.kind, 0)))
    elif unwritten := next((r for r in results if r.unwritten), None):
        _invite(console, course, unwritten)


def _table(results: list[Result]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    table.add_column("exercise", overflow="fold")
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for result in results:
        state = "unwritten" if result.unwritten else "failed" if result.failures else "passed"
        mark, style = MARKS[state]
        count = f"{result.passed} of {len(result.checks)} checks pass" if result.failures else ""
        table.add_row(
            Text(mark, style),
            _name(result.exercise),
            f"{_number(result.points)} of {result.exercise.points}",
            Text("not written yet" if state == "unwritten" else count, style),
        )
    return table


def _explain(console: Console, result: Result) -> None:
    failure, exercise = result.told, result.exercise
    console.print(
        Text("\n").append(_name(exercise, "bold")).append(", the first check that fails:\n")
    )
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    for name, text in _rows(failure):
        if text:
            rows.add_row(name, Text(text))
    console.print(Padding(rows, (0, 0, 0, 2)))
    if exercise.hints:
        console.print(f"\nA hint: minigrad course test {exercise.number} --hint 1", highlight=False)


def _rows(failure: Failure):
    """(name, text) of the explanation; texts that are empty are left out."""
    yield "checked", failure.check.words
    yield "of", failure.what
    if failure.kind == "unwritten":
        yield "got", "the body is not written yet"
    elif failure.kind == "needs":
        yield "stopped by", failure.got
    else:
        yield "expected", failure.expected
        yield "raised" if failure.kind == "crash" else "got", failure.got
    yield "where", failure.where
    yield "", failure.code


def _invite(console: Console, course: Course, result: Result) -> None:
    exercise = result.exercise
    console.print(
        Text("\nNext: ")
        .append(_name(exercise, "bold"))
        .append(f", about {exercise.minutes} minutes. Write")
    )
    for target in exercise.write:
        console.print(Text(f"  {target.name}  in  {place(course, target)}"))
    console.print(f"then: minigrad course test {exercise.number}", highlight=False)


def _name(exercise: Exercise, style: str = "") -> Text:
    return Text(f"{exercise.number} {exercise.title}", style)


def _number(points: float) -> str:
    return f"{points:.1f}".removesuffix(".0")
