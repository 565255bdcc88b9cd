"""The proof that the exercises judge: the library gets all points, a blank none, and every planted mistake is caught.

Mistakes are in lessons/wrong_answers.toml: what a student typically writes instead, as a replacement in the bodies.
"""

import ast
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lessons.course.cutting import body, cut, put
from lessons.course.errors import CourseError, CutError
from lessons.course.exercises import Course, Exercise
from lessons.course.judging import Judges, Limits, Verdict
from lessons.course.trees import Reference

WRONG_ANSWERS = "lessons/wrong_answers.toml"
FEWEST = 3  # mistakes an exercise must catch
FOR_A_MISTAKE = 60  # seconds: what loops has lost its points


@dataclass(frozen=True)
class Mistake:
    """A typical mistake: in the bodies of its exercise, `replace` becomes `by`."""

    exercise: str
    mistake: str
    replace: str
    by: str


@dataclass
class Proof:
    """What was seen of an exercise.

    problems  what must be fixed, one line each
    loops     mistakes that were caught because they took too long
    seconds   of all trials
    """

    exercise: Exercise
    checks: int
    planted: int
    caught: int = 0
    problems: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    seconds: float = 0.0


def mistakes(root: Path) -> dict[str, list[Mistake]]:
    """The planted mistakes by exercise."""
    path = root / WRONG_ANSWERS
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise CourseError(f"{WRONG_ANSWERS}: {error}") from None
    found = {}
    for number, entries in table.items():
        if not isinstance(entries, list):
            raise CourseError(f'{WRONG_ANSWERS}: {number}: an entry starts with [["{number}"]]')
        for entry in entries:
            if set(entry) != {"mistake", "replace", "by"} or not all(
                isinstance(v, str) for v in entry.values()
            ):
                raise CourseError(
                    f"{WRONG_ANSWERS}: {number}: an entry has the texts mistake, replace and by"
                )
        found[number] = [Mistake(number, **entry) for entry in entries]
    return found


def reference(course: Course, exercise: Exercise) -> dict[str, str]:
    """The files of the library that an exercise touches, with what gives its answer away removed."""
    files = _sources(course, exercise)
    for path in files:
        removed = [target for target in exercise.remove if target.path == path]
        files[path] = cut(files[path], removed, exercise.label)
    return files


def blank(course: Course, exercise: Exercise) -> dict[str, str]:
    """The files as a student gets them."""
    files = reference(course, exercise)
    for path in files:
        files[path] = cut(
            files[path],
            [target for target in exercise.write if target.path == path],
            exercise.label,
        )
    return files


def wrong(course: Course, exercise: Exercise, mistake: Mistake) -> dict[str, str]:
    """The files with a mistake planted. CourseError if its text is not there exactly once, or changes nothing."""
    where = f"{WRONG_ANSWERS}: {exercise.number}, {mistake.mistake!r}"
    bodies = {target: body(course.source(target.path), target) for target in exercise.write}
    times = sum(text.count(mistake.replace) for text in bodies.values())
    if times != 1:
        shown = mistake.replace if len(mistake.replace) < 80 else f"{mistake.replace[:77]}..."
        raise CourseError(f"{where}: {shown!r} occurs {times} times in the bodies; expected once")
    if mistake.replace == mistake.by:
        raise CourseError(f"{where}: replace and by are the same")
    target, text = next(
        (target, text) for target, text in bodies.items() if mistake.replace in text
    )
    files = reference(course, exercise)
    before = files[target.path]
    try:
        files[target.path] = put(before, {target: text.replace(mistake.replace, mistake.by)})
    except CutError as error:
        raise CourseError(f"{where}: {error}") from None
    if target.path.endswith(".py") and ast.dump(ast.parse(before)) == ast.dump(
        ast.parse(files[target.path])
    ):
        raise CourseError(f"{where}: the code is the same before and after")
    return files


def prove(
    course: Course,
    exercises: list[Exercise],
    workers: int,
    limits: Limits,
    when_done: Callable[[Proof], None] = lambda proof: None,
) -> list[Proof]:
    """Prove the exercises, several trials at a time; `when_done` is called with each when its last trial is over."""
    planted = mistakes(course.root)
    if unknown := planted.keys() - {exercise.number for exercise in course.exercises}:
        raise CourseError(f"{WRONG_ANSWERS}: there is no exercise {min(unknown)}")
    variants = {e.number: _variants(course, e, planted.get(e.number, [])) for e in exercises}
    with Judges(workers) as judges:
        library = Reference(course.root, judges.home)

        def judge(exercise: Exercise, files: dict[str, str], one_failure: bool) -> Verdict:
            checks, short = course.checks(exercise), min(limits.seconds, FOR_A_MISTAKE)
            return judges.judge(
                exercise, checks, library, files, Limits(short, limits.memory, one_failure)
            )

        def judge_library(exercise: Exercise, files: dict[str, str]) -> Verdict:
            checks = course.checks(exercise)
            return judges.judge(exercise, checks, library, files, limits, trusted=True)

        # The library itself first: what numba compiles for it is there for all the others.
        solved = {
            e.number: judges.pool.submit(judge_library, e, variants[e.number].pop("reference"))
            for e in exercises
        }
        tried = {
            e.number: {
                name: judges.pool.submit(judge, e, files, name != "blank")
                for name, files in variants[e.number].items()
            }
            for e in exercises
        }
        proofs = []
        for exercise in exercises:
            others = {name: future.result() for name, future in tried[exercise.number].items()}
            proof = _proof(course, exercise, planted, solved[exercise.number].result(), others)
            proofs.append(proof)
            when_done(proof)
    return proofs


def _sources(course: Course, exercise: Exercise) -> dict[str, str]:
    return {
        path: course.source(path)
        for path in dict.fromkeys(target.path for target in exercise.targets)
    }


def _variants(course: Course, exercise: Exercise, planted: Iterable[Mistake]) -> dict:
    """The files of every variant: "reference", "blank", and each mistake."""
    return {
        "reference": reference(course, exercise),
        "blank": blank(course, exercise),
        **{mistake: wrong(course, exercise, mistake) for mistake in planted},
    }


def _proof(
    course: Course, exercise: Exercise, planted: dict, solved: Verdict, others: dict
) -> Proof:
    checks = course.checks(exercise)
    proof = Proof(exercise, len(checks), len(others) - 1)
    proof.seconds = solved.seconds + sum(verdict.seconds for verdict in others.values())
    for check in checks:
        if check.id in solved.why:
            proof.problems.append(f"the library fails {check.id}: {solved.why[check.id]}")
    proof.problems += [f"the library: {line}" for line in solved.notes]
    proof.problems += [
        f"{target} is not called by the tests"
        for target, count in solved.calls.items()
        if not count
    ]
    for verdict in (others.pop("blank"),):
        for check in checks:
            if check.id in verdict.passed:
                proof.problems.append(f"{check.id} passes on a blank body")
    for mistake, verdict in others.items():
        if verdict.share(checks) < 1:
            proof.caught += 1
            if any("took longer than" in note for note in verdict.notes):
                proof.loops.append(mistake.mistake)
        else:
            proof.problems.append(f"not caught: {mistake.mistake}")
    if proof.planted < FEWEST:
        proof.problems.append(f"{proof.planted} mistakes are planted; expected at least {FEWEST}")
    return proof
