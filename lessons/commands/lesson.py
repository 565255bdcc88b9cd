"""`minigrad lesson`: from a tensor to a GPT, in lessons that run.

Without a number the lessons there are; with one, that lesson in the terminal, or as a notebook.
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path

from lessons.material.kit import FAST
from lessons.running import progress
from lessons.running.catalogue import Lesson, lessons
from models.errors import UserError


def main(argv: list[str] | None = None) -> int:
    """Run `minigrad lesson [NUMBER] [--show] [--notebook] [--fast] [--out DIR]`."""
    parser = argparse.ArgumentParser(
        prog="minigrad lesson", description="List the lessons, or run one."
    )
    parser.add_argument(
        "number",
        type=int,
        nargs="?",
        help="which lesson to run; without it they are listed",
    )
    parser.add_argument(
        "--show",
        action="store_true",
        help="show the figures in windows instead of saving them",
    )
    parser.add_argument(
        "--notebook",
        action="store_true",
        help="write the lesson as a Jupyter notebook instead",
    )
    parser.add_argument("--fast", action="store_true", help="run at reduced size, as the tests do")
    parser.add_argument(
        "--out",
        type=Path,
        help="where figures and notebook go (default: runs/lessons/NUMBER)",
    )
    arguments = parser.parse_args(argv)
    if arguments.number is None:
        return _list()
    lesson = _find(arguments.number)
    out = arguments.out or Path("runs") / "lessons" / f"{lesson.number:02}"
    if arguments.notebook:
        return _write_notebook(lesson, out)
    if arguments.fast:
        os.environ[FAST] = "1"
    return _run(lesson, out, arguments.show)


def _find(number: int) -> Lesson:
    found = {lesson.number: lesson for lesson in lessons()}
    if number not in found:
        raise UserError(
            f"no lesson {number}: there are {min(found)} to {max(found)}; `minigrad lesson` lists them"
        )
    return found[number]


def _list() -> int:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("", justify="right")
    for name in ("lesson", "time", "what you will have, and ✓ what you have"):
        table.add_column(name, overflow="fold")
    done = progress.done()
    for lesson in lessons():
        minutes = lesson.facts["Time"].partition(",")[0].replace(" minutes", "\u00a0min")
        built = "✓ " if lesson.number in done else ""
        table.add_row(
            str(lesson.number), lesson.title, minutes, built + lesson.facts["You will have"]
        )
    Console().print(table)
    following = next((lesson.number for lesson in lessons() if lesson.number not in done), 1)
    print(f"\nminigrad lesson {following} runs the next; with --notebook it writes a notebook.")
    return 0


def _run(lesson: Lesson, out: Path, show: bool) -> int:
    from lessons.running.terminal import run

    waited = 0.0

    def wait():
        nonlocal waited
        if sys.stdin.isatty() and sys.stdout.isatty():
            before = time.monotonic()
            input("Enter for the next section, Ctrl-C to stop ")
            waited += time.monotonic() - before

    started = time.monotonic()
    try:
        run(lesson, out, show, between_sections=wait)
    except NotImplementedError as error:
        if not re.match(r"exercise \d+\.\d+: ", str(error)):
            raise
        raise UserError(f"this lesson uses what you have not written yet, {error}") from None
    computing = time.monotonic() - started - waited
    progress.add(lesson.number)
    print(f"Lesson {lesson.number} took {computing:.1f} s of computing{_memory()}.")
    return 0


def _memory() -> str:
    try:
        import resource
    except ImportError:  # Windows
        return ""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on a Mac bytes
    return f" and {peak / (2**20 if sys.platform == 'darwin' else 2**10):.0f} MB of memory"


def _write_notebook(lesson: Lesson, out: Path) -> int:
    try:
        import jupytext
    except ImportError:
        raise UserError(
            "a notebook needs the extra `course`: in your clone, pip install -e '.[course]'"
        ) from None
    path = out / f"{lesson.path.stem}.ipynb"
    out.mkdir(parents=True, exist_ok=True)
    jupytext.write(jupytext.read(lesson.path), path)
    print(f"{path}: open it with `jupyter lab {path}`")
    return 0
