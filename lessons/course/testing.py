"""Testing the exercises of a student's repository, in place: what passes, and what is wrong in words."""

import ast
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lessons.course.cutting import Target, is_blank, line
from lessons.course.errors import CutError
from lessons.course.exercises import Check, Course, Exercise

WANTING = {"needs": 1, "unwritten": 2}  # kinds of failures for want of a body
PATIENCE = 120  # seconds that one check may take, compiling included


@dataclass(frozen=True)
class Failure:
    """A check that did not pass.

    check     which
    kind      "unwritten": the blank is still there; "needs": another exercise's does; "wrong": something came out
              that was not expected; "crash": an error was raised; "endless": it did not come to its end;
              "not run": something is missing, or a check before it did not come to its end
    what, expected, got   of a wrong result; for a crash `got` is the error
    where     "minigrad/ops/loss.py:37", to look at
    code      the line of the student's that raised the error, if one did
    """

    check: Check
    kind: str
    what: str = ""
    expected: str = ""
    got: str = ""
    where: str = ""
    code: str = ""


@dataclass
class Result:
    """The outcome of an exercise's checks."""

    exercise: Exercise
    checks: list[Check]
    failures: list[Failure]

    @property
    def passed(self) -> int:
        return len(self.checks) - len(self.failures)

    @property
    def points(self) -> float:
        return self.exercise.points * self.passed / len(self.checks)

    @property
    def unwritten(self) -> bool:
        return not self.passed and all(f.kind == "unwritten" for f in self.failures)

    @property
    def told(self) -> Failure:
        """The failure to explain: the first, but one for want of a body only if there is no other."""
        return min(self.failures, key=lambda failure: WANTING.get(failure.kind, 0))


class Broken(Exception):
    """Nothing can be tested, and the message says why in a line or two."""


def run_tests(
    course: Course, exercises: list[Exercise], watch=lambda done, total: None
) -> list[Result]:
    """Try the exercises in a process of its own. Broken if the library does not even import.

    watch  is called with the number of checks that are done and that there are
    """
    targets = [target for exercise in exercises for target in exercise.write]
    for target in {target.path: target for target in targets}.values():
        _check_syntax(course, target)
    checks = {exercise.number: course.checks(exercise) for exercise in exercises}
    ids = [check.id for exercise in exercises for check in checks[exercise.number]]
    try:
        outcomes = _run(course.root, ids, watch)
    except Broken:
        for target in targets:
            _check_presence(course, target)
        raise
    results = []
    for exercise in exercises:
        failures = [
            _failure(course, exercise, check, outcomes.get(check.id))
            for check in checks[exercise.number]
        ]
        results.append(Result(exercise, checks[exercise.number], [f for f in failures if f]))
    return results


def place(course: Course, target: Target) -> str:
    """Where a target is, "minigrad/ops/loss.py:37"; without a line if it is not there any more."""
    try:
        return f"{target.path}:{line(course.source(target.path), target)}"
    except (CutError, OSError):
        return target.path


def _check_syntax(course: Course, target: Target) -> None:
    try:
        source = course.source(target.path)
    except OSError:
        raise Broken(f"{target.path} is missing: put it back") from None
    if not target.is_cuda:
        try:
            ast.parse(source)
        except SyntaxError as error:
            raise Broken(
                f"{target.path}:{error.lineno}: {error.msg}{_code(course, target.path, error.lineno)}"
            ) from None


def _check_presence(course: Course, target: Target) -> None:
    try:
        line(course.source(target.path), target)
    except CutError as error:
        raise Broken(f"{error}: its name and its parameters must stay") from None


def _run(root: Path, ids: list[str], watch) -> dict[str, dict]:
    """The outcome of each test that was started, by its id without parameters."""
    with tempfile.TemporaryDirectory() as folder:
        out, output = Path(folder) / "events", Path(folder) / "output"
        out.touch()
        command = [sys.executable, "-m", "lessons.course.trying", str(out), *ids]
        environment = {**os.environ, "PYTHONPATH": str(root), "MPLBACKEND": "Agg"}
        with output.open("w") as file:
            process = subprocess.Popen(
                command, cwd=root, env=environment, stdout=file, stderr=subprocess.STDOUT
            )
        try:
            in_time = _wait(process, out, lambda events: watch(_ended(events), len(ids)))
        finally:
            process.kill()
            process.wait()
        why = "the process ended" if in_time else f"no end after {PATIENCE} s"
        outcomes = _outcomes(_events(out), why)
        if not outcomes:
            raise Broken(
                f"the tests did not run:\n{output.read_text(errors='replace')[-2000:].strip()}"
            )
        return outcomes


def _wait(process, out: Path, watch) -> bool:
    """Wait for the process to end, as long as something is written to `out` now and then; whether it did."""
    size, waited, before = -1, 0.0, time.monotonic()
    while process.poll() is None:
        if out.stat().st_size != size:
            size, waited = out.stat().st_size, 0.0
            watch(_events(out))
        elif waited > PATIENCE:
            return False
        time.sleep(0.05)
        now = time.monotonic()
        waited, before = waited + min(now - before, 1), now  # a laptop may have slept
    return True


def _ended(events: list[dict]) -> int:
    return sum(event["event"] == "end" for event in events)


def _events(out: Path) -> list[dict]:
    whole = out.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(text) for text in whole.splitlines()]


def _outcomes(events: list[dict], why_unfinished: str) -> dict[str, dict]:
    """The last event of each test; what one with parameters is, the first that fails decides."""
    found = {}
    for event in events:
        if event["event"] == "broken":
            raise Broken(_in_one_line(event["error"]))
        test = event["test"].partition("[")[0]
        before = found.get(test)
        if event["event"] == "start" and (before is None or before["passed"]):
            found[test] = {"passed": False, "unfinished": why_unfinished}
        elif event["event"] == "end" and ("unfinished" in before or before["passed"]):
            found[test] = event
    return found


def _in_one_line(error: dict) -> str:
    places = error.get("places") or [["", 0]]
    path, number = places[-1]
    where = f"{path}:{number}: " if path else ""
    return f"{where}{error['kind']}: {error['message'].splitlines()[0] if error['message'] else ''}"


def _failure(
    course: Course, exercise: Exercise, check: Check, outcome: dict | None
) -> Failure | None:
    """What is wrong, or None if it passed."""
    look = place(course, exercise.write[0])
    if outcome is None:
        return Failure(
            check, "not run", got="a check before it did not come to its end", where=look
        )
    if outcome["passed"]:
        return None
    if "unfinished" in outcome:
        return Failure(check, "endless", expected="a result", got=outcome["unfinished"], where=look)
    error = outcome["error"]
    stopped_by = error["exercise"]
    blank = [target for target in exercise.write if _is_blank(course, exercise, target)]
    if stopped_by == exercise.number or (blank and (stopped_by or error["compiling"])):
        return Failure(check, "unwritten", where=place(course, (blank or exercise.write)[0]))
    if stopped_by:
        labels = {each.number: each.label for each in course.exercises}
        got = f"{labels.get(stopped_by, f'exercise {stopped_by}')}, which is not written yet"
        return Failure(check, "needs", got=got, where=look)
    if error["kind"] == "Skipped":
        return Failure(check, "not run", got=error["message"], where=look)
    if "what" in error:
        return Failure(check, "wrong", error["what"], error["expected"], error["got"], look)
    own = [p for p in error["places"] if p[0] in {target.path for target in exercise.write}]
    told = f"{error['kind']}: {error['message']}"[:2000]
    if not own:
        return Failure(check, "crash", got=told, where=look)
    path, number = own[-1]
    return Failure(
        check, "crash", got=told, where=f"{path}:{number}", code=_code(course, path, number).strip()
    )


def _is_blank(course: Course, exercise: Exercise, target: Target) -> bool:
    try:
        return is_blank(course.source(target.path), target, exercise.label)
    except CutError:
        return False


def _code(course: Course, path: str, number: int | None) -> str:
    """A line of a file, indented on a line of its own."""
    lines = course.source(path).splitlines()
    return f"\n    {lines[number - 1].strip()}" if number and number <= len(lines) else ""
