"""What the README says is run: every Python block, and every command line is one the program knows."""

import os
import re
import shlex
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from models.commands.cli import main

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
FENCED = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
INDENTED = [
    "\n".join(line[4:] for line in block.splitlines())
    for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", README, re.MULTILINE)
    if "import minigrad" in block
]
FOR_TEACHERS = re.search(r"## For teachers.*?```sh\n(.*?)```", README, re.DOTALL)[1]
COMMANDS = re.findall(r"^    (minigrad [a-z].*?)(?:  .*)?$", README, re.MULTILINE)


@pytest.mark.parametrize("code", [*FENCED, *INDENTED], ids=range(len(FENCED) + len(INDENTED)))
def test_python_blocks_run(code, capsys):
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})


def test_the_example_learns(capsys):
    training = next(code for code in FENCED if "cross_entropy" in code)
    exec(compile(training, "README.md", "exec"), {"__name__": "readme"})
    accuracy = float(re.search(r"accuracy ([\d.]+)", capsys.readouterr().out)[1])
    assert accuracy > 0.9


@pytest.mark.parametrize("command", COMMANDS)
def test_command_lines_exist(command):
    name = shlex.split(command)[1]
    assert name in {entry.name for entry in entry_points(group="minigrad.commands")}


def test_what_teachers_type_works(tmp_path, monkeypatch, capsys):
    pytest.importorskip("jupytext")
    monkeypatch.chdir(tmp_path)
    codes = {}
    for line in FOR_TEACHERS.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        if program == "cd":
            os.chdir(arguments[0])
        else:
            assert program == "minigrad"
            codes[arguments[1]] = main(arguments)
    assert codes == {"handout": 0, "test": 1, "grade": 0, "prove": 0}  # the exercise is not written yet
    output = capsys.readouterr().out
    assert "2.1 The rule of a running sum" in output
    assert "0 things to fix" in output


def test_there_are_blocks_to_run():
    assert len(FENCED) >= 2
    assert INDENTED
    assert len(COMMANDS) >= 6
