"""The table of exercises: read, and refused in one clear line."""

import ast

import pytest

from lessons.course.cutting import Target
from lessons.course.errors import CourseError
from lessons.course.exercises import TABLE, Course, course
from lessons.running.catalogue import lessons

ENTRY = {
    "number": '"4.1"',
    "title": '"A box"',
    "write": '["nn.box:Box.open"]',
    "points": "3",
    "minutes": "10",
    "hints": '["look inside"]',
    "tests": '["tests/lessons/exercises/test_04_box.py::TestBox"]',
}


def entry(**changes) -> str:
    lines = {key: value for key, value in {**ENTRY, **changes}.items() if value is not None}
    return "\n".join(["[[exercise]]", *(f"{key} = {value}" for key, value in lines.items()), ""])


@pytest.fixture
def repository(tmp_path):
    """A small one: a function, its test, a lesson; the table is given as text."""

    def make(table: str) -> Course:
        files = {
            "nn/box.py": 'class Box:\n    def open(self):\n        """Open it."""\n        return 1\n',
            "nn/shut/__init__.py": "def shut():\n    return 2\n",
            "tests/lessons/exercises/test_04_box.py": (
                'class TestBox:\n    def test_opens(self):\n        """It\n        opens."""\n'
                "    def test_shuts(self):\n        pass\n    def helper(self):\n        pass\n\n"
                "class TestNothing:\n    pass\n"
            ),
            "lessons/04_box.py": "",
            TABLE: table,
        }
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return Course(tmp_path)

    return make


def test_an_exercise_is_read(repository):
    second = entry(number='"4.10"', write='["nn.shut:shut"]', hints=None, remove='["nn.box:Box.open"]')
    first, other = repository(entry() + second).exercises
    assert first.write == first.targets == (Target("nn/box.py", "Box.open"),)
    assert first.label == "exercise 4.1: A box"
    assert first.lesson == 4
    assert other.targets == (Target("nn/shut/__init__.py", "shut"), Target("nn/box.py", "Box.open"))
    assert other.hints == ()
    assert [str(target) for target in other.targets] == ["nn.shut:shut", "nn.box:Box.open"]


def test_checks_are_the_test_methods_in_words(repository):
    course = repository(entry())
    opens, shuts = course.checks(course.exercise("4.1"))
    assert opens.id == "tests/lessons/exercises/test_04_box.py::TestBox::test_opens"
    assert opens.words == "It opens."
    assert shuts.words == "test_shuts"


def test_selections(repository):
    course = repository(entry())
    assert course.of(None) == course.of("4") == course.of("4.1") == course.exercises
    with pytest.raises(CourseError, match=r"no exercise 4\.2: there are 4\.1"):
        course.of("4.2")
    with pytest.raises(CourseError, match="no exercises of lesson 5: there are some of 4"):
        course.of("5")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[[exercises]]", "unknown key 'exercises'"),
        ("[[exercise]", "course.toml: "),
        (entry(number="4.1"), "number is 4.1; expected a text like"),
        (entry(number=None), "number is None"),
        (entry(color='"red"'), "exercise 4.1: unknown key 'color'; known are hints, "),
        (entry(minutes=None), "exercise 4.1: minutes is missing"),
        (entry(title='""'), "exercise 4.1: title is ''; expected one line of text"),
        (entry(points="0"), "exercise 4.1: points is 0; expected a whole number above 0"),
        (entry(minutes="2.5"), "exercise 4.1: minutes is 2.5"),
        (entry(write='"nn.box:Box.open"'), "exercise 4.1: write is 'nn.box:Box.open'; expected a list of texts"),
        (entry(tests="[]"), "exercise 4.1: tests is empty"),
        (entry(number='"5.1"'), "exercise 5.1: there is no lesson 5"),
        (entry(write='["nn.box"]'), "exercise 4.1: 'nn.box' names no function"),
        (entry(write='["nn.bag:Bag"]'), "exercise 4.1: 'nn.bag:Bag': there is no file nn/bag.py"),
        (entry(write='["nn.box:Box.shut"]'), "exercise 4.1: nn/box.py: there is no function Box.shut"),
        (entry(tests='["tests/lessons/exercises/test_05.py::A"]'), "no file of tests tests/lessons/exercises/test_05"),
        (entry(tests='["tests/lessons/exercises/test_04_box.py::TestBag"]'), "test_04_box.py has no class TestBag"),
        (entry(tests='["tests/lessons/exercises/test_04_box.py::TestNothing"]'), "TestNothing has no test methods"),
        (entry() + entry(), "there are two exercises 4.1"),
        (entry() + entry(number='"4.2"'), "nn.box:Box.open is written in 4.1 and 4.2"),
        (entry(number='"4.2"') + entry(write='["nn.shut:shut"]'), "exercise 4.1 comes after 4.2; sort by number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_clear_line(repository, table, message):
    with pytest.raises(CourseError) as caught:
        _ = repository(table).exercises
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_place_without_a_course(tmp_path):
    with pytest.raises(CourseError, match="is missing: go to a clone"):
        _ = Course(tmp_path).exercises


def test_every_exercise_is_named_in_its_lesson():
    """In the section Exercises, by number and title."""
    texts = {}
    for lesson in lessons():
        section = next(section for section in lesson.sections if section.title == "Exercises")
        texts[lesson.number] = " ".join(" ".join(cell.text for cell in section.cells).split())
    for exercise in course().exercises:
        for text in ("In the course kit", exercise.number, exercise.title):
            assert text in texts[exercise.lesson], f"lesson {exercise.lesson} names no {text!r} in its Exercises"


def test_every_class_of_tests_judges_an_exercise():
    named = {test for exercise in course().exercises for test in exercise.tests}
    for path in sorted((course().root / "tests/lessons/exercises").glob("test_[0-9][0-9]_*.py")):
        classes = [n.name for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef)]
        for name in classes:
            if name.startswith("Test"):
                assert f"tests/lessons/exercises/{path.name}::{name}" in named
