"""`minigrad course`: the exercises of the lessons: handed out, tested, graded, proved.

Each subcommand is a module of lessons/commands with a function main(argv).
"""

import importlib
import importlib.util

from models.errors import UserError

SUBCOMMANDS = {
    "handout": ("course_handout", "a repository for students, with blanks to fill in"),
    "test": ("course_test", "how far you are, and what is wrong, in words"),
    "grade": ("course_grade", "the points of what students handed in"),
    "prove": ("course_prove", "that the tests of the exercises judge rightly"),
}


def main(argv: list[str] | None = None) -> int:
    """Run `minigrad course SUBCOMMAND [arguments]`."""
    name, *rest = argv or ["--help"]
    known = {each: entry for each, entry in SUBCOMMANDS.items() if _is_here(entry[0])}
    if name in ("-h", "--help"):
        print("usage: minigrad course SUBCOMMAND [arguments]\n")
        for each, (_, what) in known.items():
            print(f"  {each:8} {what}")
        print("\nminigrad course SUBCOMMAND --help tells more.")
        return 0
    if name not in known:
        raise UserError(f"minigrad course: no {name!r}; there are {', '.join(known)}")
    return importlib.import_module(f"lessons.commands.{known[name][0]}").main(rest)


def _is_here(module: str) -> bool:
    """A student's repository has `test` only."""
    return importlib.util.find_spec(f"lessons.commands.{module}") is not None
