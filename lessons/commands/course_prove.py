"""`minigrad course prove`: the library gets all points, a blank none, and planted mistakes lose some."""

import argparse
import os
import sys
import time
from pathlib import Path

from lessons.course.exercises import Course, course
from lessons.course.judging import Limits
from lessons.course.proving import Proof, prove
from models.errors import UserError

ROW = "{:>8}  {:44}  {:>6}  {:>6}  {:>7}  {:>6}  {:>7}"


def main(argv: list[str]) -> int:
    """Run `minigrad course prove [NUMBER …] [--workers N] [--time S] [--memory GB]`; 1 if something has to be fixed."""
    parser = argparse.ArgumentParser(
        prog="minigrad course prove",
        description="Prove that the exercises' tests judge rightly: the library gets all points, a blank body none, "
        "and every mistake in lessons/wrong_answers.toml loses some.",
    )
    parser.add_argument(
        "numbers", nargs="*", help="exercises or lessons, such as 4.2, 4 or 1-4; all without"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="how many at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--time",
        type=float,
        default=300,
        help="seconds for each trial (default: %(default)g)",
    )
    parser.add_argument(
        "--memory",
        type=float,
        default=Limits.memory,
        help="GB for each trial (default: %(default)g)",
    )
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.workers < 1 or arguments.time <= 0 or arguments.memory <= 0:
        raise UserError("minigrad course prove: --workers, --time and --memory must be above 0")
    found = Course(arguments.root) if arguments.root else course()
    exercises = found.selected(arguments.numbers)
    print(ROW.format("exercise", "", "points", "tests", "planted", "caught", "seconds"))
    started = time.monotonic()
    limits = Limits(arguments.time, arguments.memory)
    proofs = prove(found, exercises, arguments.workers, limits, when_done=_print)
    _print_total(proofs, time.monotonic() - started)
    return 1 if any(proof.problems for proof in proofs) else 0


def _print(proof: Proof) -> None:
    exercise = proof.exercise
    title = exercise.title if len(exercise.title) <= 44 else f"{exercise.title[:43]}…"
    numbers = exercise.points, proof.checks, proof.planted, proof.caught, f"{proof.seconds:.1f}"
    print(ROW.format(exercise.number, title, *numbers))
    for mistake in proof.loops:
        print(f"          caught because it took too long: {mistake}")
    for problem in proof.problems:
        print(f"          {problem}")
    sys.stdout.flush()


def _print_total(proofs: list[Proof], seconds: float) -> None:
    planted, caught = sum(p.planted for p in proofs), sum(p.caught for p in proofs)
    points, checks = sum(p.exercise.points for p in proofs), sum(p.checks for p in proofs)
    problems = sum(len(proof.problems) for proof in proofs)
    print(
        f"{len(proofs)} exercises, {points} points, {checks} tests: {caught} of {planted} planted mistakes caught, "
        f"{problems} things to fix, in {seconds:.0f} s"
    )
