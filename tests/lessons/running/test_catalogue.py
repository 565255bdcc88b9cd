"""How a lesson file is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons.running.catalogue import Cell, lessons, read_cells

line = st.text(st.characters(blacklist_categories=["C", "Z"]), min_size=1).filter(lambda s: not s.startswith("# %%"))
texts = st.lists(line, min_size=1, max_size=4).map("\n".join)
cells = st.lists(st.tuples(st.sampled_from(["markdown", "code"]), texts), max_size=6)


def written(cells) -> str:
    lines = []
    for kind, text in cells:
        lines.append("# %% [markdown]" if kind == "markdown" else "# %%")
        lines += [f"# {line}" if kind == "markdown" else line for line in text.split("\n")] + [""]
    return "\n".join(lines)


@given(cells)
def test_cells_come_back_as_written(cells):
    source = written(cells)
    found = read_cells(source)
    assert [(cell.kind, cell.text) for cell in found] == cells
    lines = source.split("\n")
    for cell in found:
        assert lines[cell.line - 1].removeprefix("# ") == cell.text.split("\n")[0] or cell.kind == "code"


def test_lines_are_those_of_the_file():
    source = "\n# %% [markdown]\n# # Title\n#\n# text\n\n# %%\n\nx = 1\n\n\n# %%\n# only a comment\n"
    assert read_cells(source) == [
        Cell("markdown", "# Title\n\ntext", 3),
        Cell("code", "x = 1", 9),
        Cell("code", "# only a comment", 13),
    ]


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.path.stem)
def test_jupytext_reads_the_same(lesson):
    jupytext = pytest.importorskip("jupytext")
    theirs = jupytext.read(lesson.path).cells
    assert [(cell.cell_type, cell.source.strip()) for cell in theirs] == [
        (cell.kind, cell.text.strip()) for cell in lesson.cells
    ]
