"""What every lesson uses: the source of what runs, a goal to reach, and a smaller size for the tests."""

import inspect
import os
import textwrap

from models.errors import DataError
from models.text.sources import corpora

FAST = "MINIGRAD_LESSON_FAST"  # set to 1, the lessons run at reduced size


def fast() -> bool:
    """Whether this is a run at reduced size: `minigrad lesson 3 --fast`, and the tests."""
    return os.environ.get(FAST) == "1"


def show_source(*things) -> None:
    """Show the source of functions, methods or classes, read from the files they were loaded from.

    A kernel in CUDA C is named by a string: "minigrad/kernels/cuda/matmul.cu:matmul_naive".
    """
    for thing in things:
        if isinstance(thing, str):
            from lessons.material import cuda_source

            source, start = cuda_source.read(thing)
            place = f"// {thing.partition(':')[0]}, line {start}"
        else:
            lines, start = inspect.getsourcelines(thing)
            source = "".join(lines)
            place = f"# {inspect.unwrap(thing).__module__.replace('.', '/')}.py, line {start}"
        _show_code(
            f"{place}\n{textwrap.dedent(source)}", "cuda" if isinstance(thing, str) else "python"
        )


def _show_code(code: str, language: str) -> None:
    """In colour where this is a notebook, else printed."""
    try:
        get_ipython  # noqa: B018  a notebook defines it
    except NameError:
        print(code)
    else:
        from IPython.display import HTML, display
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import get_lexer_by_name

        # Markdown or IPython's Code would do, but for a page that nbconvert makes: there both lose the typeface.
        formatter = HtmlFormatter(
            noclasses=True, nobackground=True, prestyles="font: 12px monospace"
        )
        display(HTML(highlight(code, get_lexer_by_name(language), formatter)))


def goal(
    what: str, value: float, *, at_least: float | None = None, at_most: float | None = None
) -> None:
    """Print a number beside the goal of the lesson, and whether it was reached."""
    value = float(value)
    reached = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    bound = f"at least {at_least:g}" if at_most is None else f"at most {at_most:g}"
    print(
        f"{what}: {value:.3g}. The goal, {bound}, is {'reached' if reached else 'not reached yet'}."
    )


def corpus(name: str, instead: str | None = None) -> str:
    """The text of a corpus of models/text/sources/corpora.py; where it cannot be fetched, and at reduced size, another.

    instead  the other text; if not given, the one that every Python carries: its own reference, in English
    """
    if not fast():
        try:
            return corpora.text(name)
        except DataError as error:
            print(f"{error}\nThe lesson continues with a smaller text, and reaches other numbers.")
    return corpora.get("pydoc").text() if instead is None else instead
