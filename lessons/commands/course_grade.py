"""`minigrad course grade`: the points of what students handed in."""

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lessons.course.exercises import Course, course
from lessons.course.gradebook import ClassTable, gradescope, print_line, print_table
from lessons.course.grading import Grade, grade
from lessons.course.judging import Limits
from models.errors import UserError


def main(argv: list[str]) -> int:
    """Run `minigrad course grade DIR… [--json] [--out DIR] [--csv FILE] …`."""
    arguments = _parser().parse_args(argv)
    if arguments.workers < 1 or arguments.time <= 0 or arguments.memory <= 0:
        raise UserError("minigrad course grade: --workers, --time and --memory must be above 0")
    if arguments.json and len(arguments.submissions) > 1:
        raise UserError(
            "minigrad course grade: --json prints one submission; for several give --out DIR"
        )
    for path in arguments.submissions:
        if not path.is_dir():
            raise UserError(
                f"minigrad course grade: {path} is not a directory; give what students handed in, one each"
            )
    found = Course(arguments.root) if arguments.root else course()
    chosen = f"{arguments.lessons},{arguments.exercises}".replace(" ", "").split(",")
    exercises = found.selected([each for each in chosen if each])
    limits = Limits(arguments.time, arguments.memory)
    console = Console(file=sys.stderr if arguments.json else sys.stdout)
    started = time.monotonic()
    with contextlib.ExitStack() as files:
        table = None
        if arguments.csv:
            file = files.enter_context(open(arguments.csv, "w", newline="", encoding="utf-8"))
            table = ClassTable(file, exercises)
        progress = files.enter_context(_progress())
        task = progress.add_task(
            "trying exercises", total=len(exercises) * (1 + len(arguments.submissions))
        )
        graded = grade(
            found,
            exercises,
            arguments.submissions,
            arguments.workers,
            limits,
            when_tried=lambda: progress.advance(task),
        )
        for number, each in enumerate(graded, 1):
            _report(each, number, arguments, console)
            if table:
                table.add(each)
    seconds = time.monotonic() - started
    if len(arguments.submissions) > 1:
        a_minute = 60 * len(arguments.submissions) / seconds
        console.print(
            f"{len(arguments.submissions)} submissions in {seconds:.0f} s, {a_minute:.1f} a minute",
            highlight=False,
        )
    return 0


def _progress() -> Progress:
    """A bar with the time left, where somebody looks, gone in the end."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _report(each: Grade, number: int, arguments, console: Console) -> None:
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        path = arguments.out / f"{each.name}.json"
        path.write_text(json.dumps(gradescope(each), indent=1), encoding="utf-8")
    if arguments.json:
        print(json.dumps(gradescope(each), indent=1))
    elif len(arguments.submissions) == 1:
        print_table(each, console)
    else:
        print_line(each, number, len(arguments.submissions), console)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minigrad course grade",
        description="Grade submissions: each exercise in a process of its own, with limits on time and memory, "
        "without a network, against fresh tests. One submission is shown as a table, a class as a line per student.",
    )
    parser.add_argument(
        "submissions", nargs="+", type=Path, metavar="DIR", help="a student's repository"
    )
    parser.add_argument(
        "--json", action="store_true", help="print Gradescope's results.json instead of the table"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write results.json of each submission there, as NAME.json",
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write a row for each submission")
    parser.add_argument(
        "--lessons", default="", metavar="1-8", help="only exercises of these, as in the handout"
    )
    parser.add_argument("--exercises", default="", metavar="4.2,4.3", help="only these")
    parser.add_argument(
        "--time",
        type=float,
        default=Limits.seconds,
        help="seconds for each exercise (default: %(default)g)",
    )
    parser.add_argument(
        "--memory",
        type=float,
        default=Limits.memory,
        help="GB for each exercise (default: %(default)g)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="how many at a time (default: %(default)s)",
    )
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    return parser
