"""`minigrad course`: the exercises of the lessons: handed out, tested, graded, proved.

Each subcommand is a module of lessons/commands with a function main(argv).
"""

import importlib

from models.errors import UserError

SUBCOMMANDS = {
    "prove": ("course_prove", "that the tests of the exercises judge rightly"),
}


def main(argv: list[str] | None = None) -> int:
    """Run `minigrad course SUBCOMMAND [arguments]`."""
    name, *rest = argv or ["--help"]
    if name in ("-h", "--help"):
        print("usage: minigrad course SUBCOMMAND [arguments]\n")
        for each, (_, what) in SUBCOMMANDS.items():
            print(f"  {each:8} {what}")
        print("\nminigrad course SUBCOMMAND --help tells more.")
        return 0
    if name not in SUBCOMMANDS:
        raise UserError(f"minigrad course: no {name!r}; there are {', '.join(SUBCOMMANDS)}")
    return importlib.import_module(f"lessons.commands.{SUBCOMMANDS[name][0]}").main(rest)
