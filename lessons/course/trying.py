"""Run tests in this process and write what happens, a JSON object per line: `python -m lessons.course.trying OUT ID…`.

A process of its own, because what a student writes may loop, crash or end it.

    {"event": "start", "test": id}
    {"event": "end", "test": id, "passed": true}
    {"event": "end", "test": id, "passed": false, "error": {...}}     see _told
    {"event": "broken", "error": {...}}                               the library, or the file of tests, does not import
"""

import importlib
import json
import re
import sys
import traceback
from pathlib import Path

LIBRARY = ("minigrad", "nn", "models")
LABEL = re.compile(r"exercise (\d+\.\d+): ")


def main(out: str, ids: list[str]) -> int:
    with open(out, "w", encoding="utf-8") as file:

        def send(**event) -> None:
            file.write(json.dumps(event) + "\n")
            file.flush()

        try:
            for name in LIBRARY:
                importlib.import_module(name)
        except Exception as error:
            send(event="broken", error=_told(error))
            return 1
        import pytest

        quiet = ["-q", "--no-header", "-p", "no:cacheprovider", "--tb=no", "-o", "addopts="]
        return pytest.main([*quiet, *ids], plugins=[_Recorder(send)])


class _Recorder:
    """A pytest plugin that sends the outcome of each test."""

    def __init__(self, send):
        self.send = send

    def pytest_exception_interact(self, node, call, report):
        if report.when == "collect":
            error = call.excinfo.value
            self.send(event="broken", error=_told(error.__cause__ or error))

    def pytest_runtest_logstart(self, nodeid):
        self.send(event="start", test=nodeid)

    def pytest_runtest_makereport(self, item, call):
        """The first phase that fails decides; a test that is skipped has not passed."""
        if call.excinfo is not None:
            self.send(event="end", test=item.nodeid, passed=False, error=_told(call.excinfo.value))
        elif call.when == "call":
            self.send(event="end", test=item.nodeid, passed=True)


def _told(error: BaseException) -> dict:
    """An error in words and places.

    kind, message            its type and its text
    what, expected, got      of a check that did not hold (tests/lessons/exercises/expect.py), else absent
    exercise                 "4.2", if a blank body of that exercise raised it
    compiling                whether numba could not compile something
    places                   [file, line] of the repository's own, outermost first; of a syntax error, where it is
    """
    told = {"kind": type(error).__name__, "message": str(error)}
    if type(error).__name__ == "Unexpected":
        told |= {"what": error.what, "expected": error.expected, "got": error.got}
    if isinstance(error, SyntaxError) and error.filename:
        told |= {"message": error.msg, "exercise": None, "compiling": False}
        told["places"] = [[_relative(error.filename), error.lineno]]
        return told
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    labels = [LABEL.search(str(cause)) for cause in causes]
    told["exercise"] = next((match[1] for match in labels if match), None)
    told["compiling"] = any(
        type(cause).__module__.startswith("numba.core.errors") for cause in causes
    )
    places = [(_relative(f.filename), f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    told["places"] = [
        [path, line] for path, line in places if path and not path.startswith("tests/")
    ]
    return told


def _relative(path: str) -> str | None:
    """The path from the root of the repository, which is the working directory; None for another's file."""
    path, root = Path(path).resolve(), Path.cwd().resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
