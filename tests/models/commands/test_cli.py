"""The `minigrad` command: finding commands, and what each kind of failure looks like."""

import errno
import re
import subprocess
import sys
from importlib import metadata

import pytest

from models.commands import cli
from models.errors import DataError, UserError

COMMANDS = {"data": "models.commands.data:main", "train": "models.commands.train:main"}


@pytest.fixture(autouse=True)
def commands(monkeypatch):
    """The entry points, whether or not the distribution is installed; "act" runs the list's first function."""
    acts = []

    class Act:
        name, module = "act", "models.commands.data"

        def load(self):
            return acts[0]

    points = [metadata.EntryPoint(name, value, cli.GROUP) for name, value in COMMANDS.items()]
    monkeypatch.setattr(metadata, "entry_points", lambda group: [*points, Act()])
    return acts


def run(acts, function):
    acts[:] = [function]
    return cli.main(["act", "--flag", "value"])


def raising(error):
    def act(argv):
        raise error

    return act


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_the_overview_lists_commands_with_a_line_each(argv, capsys):
    assert cli.main(argv) == 0
    output = capsys.readouterr().out
    assert re.search(r"^  data +the texts", output, re.MULTILINE)
    assert re.search(r"^  train +teach a model\.$", output, re.MULTILINE)


def test_the_overview_imports_nothing_heavy():
    """In a fresh process; the time it takes is mostly that."""
    program = """
import sys
from models.commands import cli
cli.main(["--help"])
heavy = {"numpy", "numba", "rich", "tyro", "matplotlib", "minigrad", "nn"} & set(sys.modules)
sys.exit(f"imported: {heavy}" if heavy else 0)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_version(monkeypatch, capsys):
    monkeypatch.setattr(metadata, "version", lambda name: {"minigrad": "1.2.3"}[name])
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "minigrad 1.2.3\n"


def test_a_command_gets_its_arguments_and_gives_the_exit_code(commands):
    seen = []
    assert run(commands, lambda argv: seen.append(argv) or 7) == 7
    assert seen == [["--flag", "value"]]
    assert run(commands, lambda argv: None) == 0


@pytest.mark.parametrize(
    ("name", "hint"),
    [("trian", "did you mean `minigrad train`?"), ("xyz", "there are data, train, act")],
)
def test_unknown_command(name, hint, capsys):
    assert cli.main([name]) == 2
    assert capsys.readouterr().err == f"minigrad: no command {name!r}: {hint}\n"


@pytest.mark.parametrize(
    "error",
    [
        UserError("no such thing"),
        DataError("no such thing"),
        OSError(errno.ENOSPC, "no such thing"),
    ],
)
def test_what_a_user_can_put_right_is_one_line(error, commands, capsys):
    assert run(commands, raising(error)) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("minigrad: ")
    assert "no such thing" in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("error", [ValueError("shapes"), KeyError("x"), FileNotFoundError("y"), RuntimeError("z")])
def test_our_bugs_come_with_a_traceback(error, commands, capsys):
    assert run(commands, raising(error)) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert type(error).__name__ in err
    assert err.splitlines()[-1].startswith("minigrad: this is a bug in minigrad")


def test_ctrl_c_is_quiet(commands, capsys):
    assert run(commands, raising(KeyboardInterrupt())) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_exits_of_argument_parsers_pass(commands):
    with pytest.raises(SystemExit) as stop:
        run(commands, raising(SystemExit(2)))
    assert stop.value.code == 2


def test_a_reader_that_goes_away():
    program = """
import sys
from importlib import metadata
from models.commands import cli
def act(argv):
    for i in range(100_000):
        print("a long line of output", i)
class Act:
    name = "act"
    load = staticmethod(lambda: act)
metadata.entry_points = lambda group: [Act()]
sys.exit(cli.main(["act"]))
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141
