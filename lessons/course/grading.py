"""Grading: every exercise of a submission tried by itself, and the points it gets."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lessons.course.exercises import Check, Course, Exercise
from lessons.course.judging import Judges, Limits, Verdict
from lessons.course.submissions import Submission, Unusable
from lessons.course.trees import Reference

TO_COMPILE = Limits(seconds=300)


@dataclass
class Mark:
    """What an exercise got.

    files  the student's files in which its functions are, with their sha256
    """

    exercise: Exercise
    checks: list[Check]
    verdict: Verdict
    attempted: bool = True
    files: dict[str, str] = field(default_factory=dict)

    @property
    def points(self) -> float:
        return round(self.exercise.points * self.verdict.share(self.checks), 2)


@dataclass
class Grade:
    """What a submission got; `notes` are about it as a whole."""

    name: str
    marks: list[Mark]
    notes: list[str]

    @property
    def points(self) -> float:
        return round(sum(mark.points for mark in self.marks), 2)

    @property
    def most(self) -> int:
        return sum(mark.exercise.points for mark in self.marks)

    @property
    def seconds(self) -> float:
        return sum(mark.verdict.seconds for mark in self.marks)


def grade(
    course: Course,
    exercises: list[Exercise],
    paths: list[Path],
    workers: int,
    limits: Limits,
    when_tried: Callable[[], None] = lambda: None,
) -> Iterator[Grade]:
    """Grade submissions in turn, their exercises `workers` at a time. An error in one does not stop the others.

    when_tried  is called after every exercise, those of the library itself at the beginning included
    """
    checks = {exercise.number: course.checks(exercise) for exercise in exercises}
    with Judges(workers) as judges:
        library = Reference(course.root, judges.home)

        def judge(exercise: Exercise, files: dict[str, str]) -> Verdict:
            return judges.judge(exercise, checks[exercise.number], library, files, limits)

        def warm(exercise: Exercise) -> None:
            judges.judge(exercise, checks[exercise.number], library, {}, TO_COMPILE, trusted=True)

        # Once with the library's own bodies, so that what numba compiles for it is there for every submission.
        for _ in judges.pool.map(warm, exercises):
            when_tried()
        for path in paths:
            submission = Submission(path, course)
            marks = []
            for mark in judges.pool.map(
                lambda e, s=submission: _mark_safely(s, e, checks[e.number], judge), exercises
            ):
                marks.append(mark)
                when_tried()
            yield Grade(submission.name, marks, _notes(submission))


def _mark_safely(
    submission: Submission, exercise: Exercise, checks: list[Check], judge: Callable
) -> Mark:
    """A submission must not stop the class, whatever it found to break."""
    try:
        return _mark(submission, exercise, checks, judge)
    except Exception as error:
        return Mark(exercise, checks, _not_judged(error))


def _notes(submission: Submission) -> list[str]:
    try:
        return submission.notes
    except Exception as error:
        return _not_judged(error).notes


def _not_judged(error: Exception) -> Verdict:
    verdict = Verdict()
    verdict.spoil(f"could not be judged ({type(error).__name__}: {error})")
    return verdict


def _mark(submission: Submission, exercise: Exercise, checks: list[Check], judge: Callable) -> Mark:
    verdict = Verdict()
    if submission.is_untouched(exercise):
        return Mark(exercise, checks, verdict, attempted=False)
    try:
        oracles = submission.oracles(exercise)
        files = submission.files_for(exercise)
    except Unusable as error:
        verdict.spoil(str(error))
        return Mark(exercise, checks, verdict)
    hashes = {
        path: submission.sha256(path)
        for path in dict.fromkeys(target.path for target in exercise.write)
    }
    verdict = judge(exercise, files)
    for line in oracles:
        verdict.spoil(f"{line}: not used, reported")
    _in_students_lines(verdict, submission, {path: files[path] for path in hashes})
    return Mark(exercise, checks, verdict, files=hashes)


def _in_students_lines(verdict: Verdict, submission: Submission, judged: dict[str, str]) -> None:
    """Give the lines in what was said as they are in the student's files."""
    for path, text in judged.items():
        lines = submission.line_map(path, text)

        def students(match, lines=lines):
            return f"{match[1]}{lines.get(int(match[2]), match[2])}"

        pattern = re.compile(rf"({re.escape(path)} line )(\d+)")
        verdict.notes = list(dict.fromkeys(pattern.sub(students, note) for note in verdict.notes))
        verdict.why = {test: pattern.sub(students, why) for test, why in verdict.why.items()}
