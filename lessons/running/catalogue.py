"""The lessons there are, and how a lesson file is read: cells of text and of code, gathered into sections.

A lesson is lessons/NN_name.py in the py:percent form, which jupytext turns into a notebook and Python runs as a
script. `# %% [markdown]` starts a cell of text, each of its lines a comment; `# %%` starts a cell of code. The first
cell is the title and a table of facts:

    # %% [markdown]
    # # 1. Tensors
    #
    # | | |
    # |---|---|
    # | Builds on | ... |
    # | You will have | ... |
    # | Time | 60 minutes, of which 5 seconds are computing |
    # | Memory | 0.2 GB |

Each heading of the second level starts a section.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Cell:
    """A cell of a lesson.

    kind  "markdown" or "code"
    text  its text, without the comment signs
    line  where the text starts in the file, counted from 1
    """

    kind: str
    text: str
    line: int


@dataclass
class Section:
    """A heading and what follows it, up to the next."""

    title: str
    cells: list[Cell] = field(default_factory=list)


@dataclass(frozen=True)
class Lesson:
    """One lesson file."""

    path: Path

    @property
    def number(self) -> int:
        return int(self.path.name[:2])

    @cached_property
    def cells(self) -> list[Cell]:
        return read_cells(self.path.read_text(encoding="utf-8"))

    @property
    def title(self) -> str:
        """The title without its number."""
        return re.match(r"# \d+\. (.+)", self.cells[0].text)[1]

    @property
    def facts(self) -> dict[str, str]:
        """The table at the top: "Builds on", "You will have", "Time", "Memory"."""
        rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", self.cells[0].text, re.MULTILINE)
        return dict(rows)

    @property
    def sections(self) -> list[Section]:
        """The sections in order; the first is the title, with the facts and what comes before a heading."""
        sections = [Section(self.title)]
        for cell in self.cells:
            if cell.kind == "markdown" and cell.text.startswith("## "):
                sections.append(Section(cell.text.partition("\n")[0].removeprefix("## ")))
            sections[-1].cells.append(cell)
        return sections


def lessons(folder: Path = Path(__file__).parents[1]) -> list[Lesson]:
    """The lessons of this or another folder, in order."""
    return [Lesson(path) for path in sorted(folder.glob("[0-9][0-9]_*.py"))]


def read_cells(source: str) -> list[Cell]:
    """The cells of a file in py:percent form; what comes before the first is not part of the lesson."""
    cells, kind, start, gathered = [], None, 0, []

    def close():
        text = "\n".join(gathered).strip("\n")
        if kind is not None and text:
            blank = next(i for i, line in enumerate(gathered) if line)
            cells.append(Cell(kind, text, start + blank))

    for number, line in enumerate(source.splitlines(), 1):
        if line.startswith("# %%"):
            close()
            kind, start, gathered = (
                ("markdown" if "[markdown]" in line else "code"),
                number + 1,
                [],
            )
        else:
            gathered.append(re.sub(r"^# ?", "", line) if kind == "markdown" else line)
    close()
    return cells
