"""The README of a student's repository."""

from lessons.course.exercises import Exercise
from lessons.running.catalogue import Lesson

README = """\
# minigrad, with exercises

This is minigrad, a deep-learning framework written by hand, and you write parts of it. In some functions the body is
missing; in its place stands, for example,

    raise NotImplementedError("exercise {first}")

The signature and the docstring tell what is to be written. Everything else works.

## Start

You need Python 3.11 or newer. In this directory:

```sh
python3 -m venv .venv
. .venv/bin/activate
pip install -e .
minigrad course test
```

On Windows the second line is `.venv\\Scripts\\activate`. The last line lists the exercises and says where to write
first. If it ends with a list and no error, you are ready.

## Work

1. Read a lesson: `minigrad lesson {lesson}` in the terminal, or its notebook in `lessons/`, for which
   `pip install -e '.[course]'` brings Jupyter. What it imports is this library: where a body that it needs is
   missing, it stops with the name of the exercise.
2. Write the body that an exercise asks for, in the file that the table names.
3. `minigrad course test {number}` says what passes. Of what does not, it says what was checked, what was expected,
   what came out, and where to look. `minigrad course test {lesson}` tests the exercises of a lesson, and
   `minigrad course test` all.
4. Stuck? `minigrad course test {number} --hint 1` gives a first hint, `--hint 2` a second.

Points of an exercise are shared equally among its checks, so half an answer counts. When your work is judged, the
other exercises are filled in and the tests are fresh: what you change in `tests/` helps nobody.

## Lessons

{lessons}

## Exercises

{exercises}

## Help

What help you may take, from others and from AI, is your teacher's to say: ask before you use it, and name what you
used. To learn, write the body first and compare afterwards.
"""
EMPTY = "There are none: everything is filled in."


def student_readme(lessons: list[Lesson], exercises: list[Exercise]) -> str:
    """The README with these lessons and exercises."""
    first = exercises[0] if exercises else None
    return README.format(
        first=f"{first.number}: {first.title}" if first else "4.2: The gradient of cross-entropy",
        number=first.number if first else "4.2",
        lesson=first.lesson if first else lessons[0].number,
        lessons="\n".join(_lesson(lesson) for lesson in lessons),
        exercises=_exercises(exercises) if exercises else EMPTY,
    )


def _lesson(lesson: Lesson) -> str:
    return f"- {lesson.number}. {lesson.title} (`lessons/{lesson.path.name}`)"


def _exercises(exercises: list[Exercise]) -> str:
    rows = ["| exercise | | write | points | minutes |", "|---|---|---|---|---|"]
    for exercise in exercises:
        places = ", ".join(f"`{target.name}` in `{target.path}`" for target in exercise.write)
        rows.append(
            f"| {exercise.number} | {exercise.title} | {places} | {exercise.points} | {exercise.minutes} |"
        )
    points, minutes = sum(e.points for e in exercises), sum(e.minutes for e in exercises)
    rows.append(f"| | all {len(exercises)} | | {points} | {minutes} |")
    return "\n".join(rows)
