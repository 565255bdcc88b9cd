"""`minigrad course handout`: a repository for students, with the exercises' bodies blank."""

import argparse
import re
from pathlib import Path

from lessons.course.exercises import Course, course
from lessons.course.handout import make_handout
from lessons.running.catalogue import lessons
from models.errors import UserError


def main(argv: list[str]) -> int:
    """Run `minigrad course handout OUT [--lessons 1-8] [--solved 1-4]`."""
    parser = argparse.ArgumentParser(
        prog="minigrad course handout",
        description="Make a repository for students: the library with the bodies of the exercises blank, their tests, "
        "the lessons and a README.",
    )
    parser.add_argument("out", type=Path, help="the new directory")
    parser.add_argument(
        "--lessons",
        metavar="1-8",
        help="the lessons it has, such as 1-8 or 1,3,5-7; by default all",
    )
    parser.add_argument("--solved", metavar="1-4", help="lessons whose exercises are filled in")
    arguments = parser.parse_args(argv)
    found = course()
    chosen = _numbers(arguments.lessons) if arguments.lessons else _all(found)
    solved = _numbers(arguments.solved) if arguments.solved else set()
    exercises = make_handout(found, arguments.out.resolve(), chosen, solved)
    points, minutes = sum(e.points for e in exercises), sum(e.minutes for e in exercises)
    print(
        f"{arguments.out}: {len(chosen)} lessons, {len(exercises)} exercises, {points} points, {minutes / 60:.0f} hours"
    )
    print("Its README.md tells a student how to start.")
    return 0


def _all(found: Course) -> set[int]:
    return {lesson.number for lesson in lessons(found.root / "lessons")}


def _numbers(text: str) -> set[int]:
    """{1, 3, 5, 6, 7} of "1,3,5-7"."""
    numbers = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", part)
        if not match or int(match[1]) > int(match[2] or match[1]):
            raise UserError(
                f"{text!r} names no lessons; expected numbers and ranges, such as 1-8 or 1,3,5-7"
            )
        numbers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return numbers
