"""`minigrad course prove`, on a toy course and, slowly, on the real one."""

import pytest

from lessons.course.errors import CourseError
from lessons.course.exercises import Course, course
from lessons.course.judging import Limits
from lessons.course.proving import mistakes, prove, wrong
from models.commands import cli
from tests.lessons.course import toy


@pytest.fixture
def root(tmp_path):
    return toy.write(tmp_path)


def edit(path, before, after):
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))


def test_a_course_that_judges_rightly(root, capsys):
    assert cli.main(["course", "prove", "--root", str(root)]) == 0
    out = capsys.readouterr().out
    assert "9 of 9 planted mistakes caught, 0 things to fix" in out
    assert "3 exercises, 9 points, 7 tests" in out


def test_every_mistake_fits_the_library():
    """Who changes a body that students write finds here, in a second, that a planted mistake has to follow."""
    whole = course()
    for number, planted in mistakes(whole.root).items():
        for mistake in planted:
            assert wrong(whole, whole.exercise(number), mistake)


def test_what_has_to_be_fixed_is_said(root):
    """A test that passes on a blank, a mistake that none catches, too few mistakes, a function nobody calls."""
    tests = root / "tests" / "lessons" / "exercises" / "test_toy.py"
    edit(tests, 'equal(toy.Mean().add(4.0), 4.0, "the mean of 4")', "pass")
    edit(tests, "toy.scale([1, -2])", "[2, -4]")
    edit(tests, 'close(toy.scale(3), 6, "scale(3)")', "toy.scale(3)")
    edit(root / "lessons" / "course.toml", 'write = ["nn.toy:scale"]', 'write = ["nn.toy:scale", "nn.toy:Mean.value"]')
    edit(root / "lessons" / "course.toml", 'remove = ["nn.toy:Mean.value"]\n', "")
    wrong_answers = root / "lessons" / "wrong_answers.toml"
    wrong_answers.write_text(wrong_answers.read_text().partition('[["2.1"]]')[0])
    course = Course(root)
    first, second, third = prove(course, course.exercises, 2, Limits())
    assert first.caught == 0
    assert "not caught: adds 2" in first.problems
    assert "nn.toy:Mean.value is not called by the tests" in first.problems
    assert "tests/lessons/exercises/test_toy.py::TestScale::test_a_list passes on a blank body" in first.problems
    assert second.problems == ["tests/lessons/exercises/test_toy.py::TestMean::test_one passes on a blank body"]
    assert third.problems == ["0 mistakes are planted; expected at least 3"]


@pytest.mark.parametrize(
    ("replace", "by", "message"),
    [
        ("self.count += 2", "", "'self.count += 2' occurs 0 times in the bodies; expected once"),
        ("self", "", "'self' occurs 4 times in the bodies"),
        ("self.total += x", "self.total += x", "replace and by are the same"),
        ("self.total += x", "self.total  +=  x", "the code is the same before and after"),
        ("self.total += x", "self.total += (x", "the body does not fit in"),
    ],
)
def test_mistakes_that_cannot_be_planted(root, replace, by, message):
    path = root / "lessons" / "wrong_answers.toml"
    path.write_text(f'[["1.2"]]\nmistake = "m"\nreplace = "{replace}"\nby = "{by}"\n')
    course = Course(root)
    exercise = course.exercise("1.2")
    with pytest.raises(CourseError) as error:
        wrong(course, exercise, mistakes(root)["1.2"][0])
    assert message in str(error.value)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_exercise_of_the_course(capsys):
    code = cli.main(["course", "prove", "--root", str(toy.ROOT)])
    assert code == 0, capsys.readouterr().out
