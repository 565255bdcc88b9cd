"""`minigrad lesson`."""

import json
import sys

import pytest

from lessons.commands.lesson import main
from lessons.material.kit import FAST
from lessons.running import progress
from lessons.running.catalogue import lessons
from models.errors import UserError


@pytest.fixture(autouse=True)
def a_reader_of_their_own(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))


def test_the_list_has_every_lesson(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    assert main([]) == 0
    output = capsys.readouterr().out
    assert "✓ a " not in output
    for lesson in lessons():
        assert f"{lesson.number}  {lesson.title}" in output
        assert lesson.facts["You will have"] in output


def test_running_one_saves_its_figures(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv(FAST, "0")  # so that the command's own setting is undone
    assert main(["2", "--fast", "--out", str(tmp_path / "two")]) == 0
    output = capsys.readouterr().out
    order = ["2. Derivatives", "The question", "def f(x):", "[figure 1: ", "By hand", "s of computing"]
    places = [output.find(text) for text in order]
    assert -1 not in places
    assert places == sorted(places)
    assert f"[figure 1: {tmp_path / 'two' / 'figure-1.png'}]" in output
    assert (tmp_path / "two" / "figure-1.png").is_file()


def test_the_list_says_what_was_built_so_far(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv(FAST, "0")
    progress.add(1)
    main(["2", "--fast", "--out", str(tmp_path)])
    capsys.readouterr()
    main([])
    output = capsys.readouterr().out
    for lesson in lessons():
        assert (f"✓ {lesson.facts['You will have']}" in output) == (lesson.number <= 2)
    assert "minigrad lesson 3 runs the next" in output


@pytest.mark.parametrize("text", ["", "no json", "7", "[[1]]"])
def test_a_damaged_file_counts_as_no_lesson(text, tmp_path):
    progress.add(1)
    (tmp_path / "cache" / "lessons.json").write_text(text)
    assert progress.done() == set()
    progress.add(3)
    assert progress.done() == {3}


def test_sections_wait_for_a_reader_at_a_terminal(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv(FAST, "0")
    asked = []
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)

    def press(prompt):
        asked.append(prompt)
        if len(asked) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", press)
    with pytest.raises(KeyboardInterrupt):
        main(["2", "--fast", "--out", str(tmp_path)])
    assert "By finite differences" not in capsys.readouterr().out  # the fourth section


def test_an_unknown_number_is_one_line():
    with pytest.raises(UserError, match=r"no lesson 99: there are 1 to \d+; `minigrad lesson` lists them"):
        main(["99"])


def test_a_notebook_is_written_and_named(tmp_path, capsys):
    pytest.importorskip("jupytext")
    assert main(["3", "--notebook", "--out", str(tmp_path / "new")]) == 0
    path = tmp_path / "new" / "03_backpropagation.ipynb"
    assert f"{path}: open it with `jupyter lab {path}`" in capsys.readouterr().out
    cells = json.loads(path.read_text())["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert "".join(cells[0]["source"]).startswith("# 3. ")


def test_without_jupytext_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "jupytext", None)
    with pytest.raises(UserError, match=r"the extra `course`: in your clone, pip install -e '\.\[course\]'"):
        main(["1", "--notebook", "--out", str(tmp_path)])
    assert not list(tmp_path.iterdir())
