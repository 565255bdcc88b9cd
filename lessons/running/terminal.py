"""Running a lesson in the terminal: section by section, its text, its code, what the code prints, its figures."""

import contextlib
import sys
import types
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.syntax import Syntax

from lessons.running.catalogue import Cell, Lesson
from lessons.running.formulas import plain


def run(lesson: Lesson, out: Path, show: bool = False, between_sections=lambda: None) -> dict:
    """Run a lesson and return the names it defined.

    out               directory for its figures, figure-1.png and so on; made when the first is saved
    show              show figures in windows instead
    between_sections  called after each section but the last
    """
    console = Console()
    with _module(lesson) as module, _plots(out, show):
        sections = lesson.sections
        for section in sections:
            for cell in section.cells:
                if cell.kind == "markdown":
                    console.print(Markdown(plain(cell.text)))
                else:
                    console.print(_coloured(cell.text))
                    _execute(cell, lesson.path, module)
                print()
            if section is not sections[-1]:
                between_sections()
        return vars(module)


def _coloured(code: str) -> Syntax:
    return Syntax(code, "python", theme="ansi_dark", background_color="default", word_wrap=True)


def _execute(cell: Cell, path: Path, module) -> None:
    """Run a cell as the lines of the file that it is, so that tracebacks and inspect find its source."""
    source = "\n" * (cell.line - 1) + cell.text
    exec(compile(source, str(path), "exec"), vars(module))


@contextlib.contextmanager
def _module(lesson: Lesson):
    """A module to run in; what the lesson defines, classes above all, needs one that can be found by name."""
    name = f"lesson_{lesson.number:02}"
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = str(lesson.path)
    try:
        yield module
    finally:
        del sys.modules[name]


@contextlib.contextmanager
def _plots(out: Path, show: bool):
    """plt.show() saves the open figures, unless they are to be shown; matplotlib is left as it was found."""
    import matplotlib.pyplot as plt

    shown, backend, count = plt.show, plt.get_backend(), 0

    def save(*args, **kwargs):
        nonlocal count
        for number in plt.get_fignums():
            count += 1
            out.mkdir(parents=True, exist_ok=True)
            path = out / f"figure-{count}.png"
            plt.figure(number).savefig(path)
            print(f"[figure {count}: {path}]")
        plt.close("all")

    with plt.rc_context():
        if not show:
            plt.switch_backend("Agg")
            plt.show = save
        try:
            yield
        finally:
            plt.show = shown
            plt.close("all")
            plt.switch_backend(backend)
