"""`minigrad course test`: how far you are with the exercises, and what is wrong, in words."""

import argparse
import sys

from rich.console import Console

from lessons.course.exercises import Course, Exercise, course
from lessons.course.reports import show
from lessons.course.testing import Broken, run_tests
from models.errors import UserError


def main(argv: list[str]) -> int:
    """Run `minigrad course test [3.2 | 3] [--hint N]`; 1 if something does not pass yet."""
    parser = argparse.ArgumentParser(
        prog="minigrad course test",
        description="Test your exercises. The first check that fails is explained: what was checked, what was "
        "expected, what came out, and where to look.",
    )
    parser.add_argument(
        "which", nargs="?", help="an exercise, such as 3.2, or a lesson, such as 3; by default all"
    )
    parser.add_argument(
        "--hint",
        type=int,
        nargs="?",
        const=1,
        metavar="N",
        help="show a hint instead: 1 is the first (default)",
    )
    arguments = parser.parse_args(argv)
    found = course(unfinished=True)
    exercises = found.of(arguments.which)
    if arguments.hint is not None:
        return _hint(exercises, arguments.which, arguments.hint)
    if not exercises:
        print("There are no exercises here: everything is filled in.")
        return 0
    return _test(found, exercises)


def _test(found: Course, exercises: list[Exercise]) -> int:
    console = Console()
    try:
        with console.status("testing") as status:
            results = run_tests(
                found, exercises, lambda done, total: status.update(f"testing: {done} of {total}")
            )
    except Broken as error:
        print(f"Nothing can be tested before this is fixed:\n{error}", file=sys.stderr)
        return 1
    show(console, found, results)
    return 1 if any(result.failures for result in results) else 0


def _hint(exercises: list[Exercise], which: str | None, number: int) -> int:
    if which is None or "." not in which:
        raise UserError("--hint needs an exercise: minigrad course test 3.2 --hint 1")
    (exercise,) = exercises
    hints = exercise.hints
    if not hints:
        raise UserError(f"exercise {exercise.number} has no hints")
    if not 1 <= number <= len(hints):
        raise UserError(f"exercise {exercise.number} has hints 1 to {len(hints)}, not {number}")
    print(
        f"{exercise.number} {exercise.title}, hint {number} of {len(hints)}:\n{hints[number - 1]}"
    )
    if number < len(hints):
        print(f"One more: minigrad course test {exercise.number} --hint {number + 1}")
    return 0
