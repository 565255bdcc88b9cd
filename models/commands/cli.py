"""The `minigrad` command: finds its subcommands, runs one, and turns what goes wrong into an exit code.

A subcommand is an entry point of the group `minigrad.commands`, `module:main`, where
`main(argv) -> int` gets the arguments after its name. So another package adds a command without a
line here. The first line of the module's docstring describes it: "`minigrad NAME`: what it does."

Exit codes: 0 done; 1 a bug of ours, with its traceback; 2 bad usage or bad data, in one line;
130 Ctrl-C; 141 the reader of our output went away.
"""

import ast
import difflib
import errno
import importlib.util
import os
import signal
import sys
import traceback
from importlib import metadata

from models.errors import UserError

GROUP = "minigrad.commands"
USAGE = "usage: minigrad COMMAND [arguments]\n       minigrad COMMAND --help"


def main(argv: list[str] | None = None) -> int:
    """Run the command line (sys.argv's by default) and return the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        code = _dispatch(argv)
        sys.stdout.flush()
        return code
    except UserError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Python flushes stdout once more on its way out: give it something that can be written to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:
        if _users_to_fix(error):
            return _fail(error)
        traceback.print_exc()
        print("minigrad: this is a bug in minigrad, please report it with the lines above", file=sys.stderr)
        return 1


def _dispatch(argv: list[str]) -> int:
    commands = {point.name: point for point in metadata.entry_points(group=GROUP)}
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_overview(commands))
        return 0
    if argv[0] in ("-V", "--version"):
        print(f"minigrad {metadata.version('minigrad')}")
        return 0
    name, *rest = argv
    if name not in commands:
        close = difflib.get_close_matches(name, commands, n=1)
        hint = f"did you mean `minigrad {close[0]}`?" if close else f"there are {', '.join(commands)}"
        raise UserError(f"no command {name!r}: {hint}")

    try:
        import minigrad  # noqa: F401  sets up the threads, which must come before anything imports numpy
    except ValueError as error:  # an environment variable that it reads, such as MINIGRAD_KERNELS
        raise UserError(str(error)) from error

    return commands[name].load()(rest) or 0


def _overview(commands: dict[str, metadata.EntryPoint]) -> str:
    width = max(map(len, commands), default=0)
    lines = [f"  {name:{width}}  {_description(point)}" for name, point in sorted(commands.items())]
    return "\n".join([USAGE, "", "commands:", *lines, "", "options:", "  --version", "  --help"])


def _description(point: metadata.EntryPoint) -> str:
    """The first line of the command's docstring, read from its source: importing it would take longer."""
    try:
        spec = importlib.util.find_spec(point.module)
        if spec is None or spec.origin is None:
            return "(cannot be found)"
        with open(spec.origin, encoding="utf-8") as file:
            docstring = ast.get_docstring(ast.parse(file.read())) or ""
    except (ImportError, OSError):
        return "(cannot be found)"
    first = docstring.partition("\n")[0]
    return first.partition("`: ")[2] or first


def _users_to_fix(error: Exception) -> bool:
    """Whether it is about the user's disk or memory rather than about our code."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return full or isinstance(error, MemoryError)


def _fail(error: Exception) -> int:
    print(f"minigrad: {' '.join(str(error).split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
