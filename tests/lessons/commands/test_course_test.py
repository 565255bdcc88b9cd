"""`minigrad course test` in a student's repository: points, and failures in words."""

import io
import re

import pytest
from rich.console import Console

from lessons.commands import course as command
from lessons.course import testing
from lessons.course.cutting import Target, body, put
from lessons.course.exercises import Course, course
from lessons.course.handout import make_handout
from lessons.course.reports import show
from lessons.course.testing import Broken, run_tests
from models.errors import UserError

pytest.importorskip("jupytext")
KIT = course()
FILE = "minigrad/ops/shape.py"
UNSQUEEZE = Target(FILE, "unsqueeze")
HEAD = "def unsqueeze(x: Tensor, dim: int) -> Tensor:"
BROKEN = HEAD.replace(")", "")  # no Python any more


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("course") / "repository"
    make_handout(KIT, out, {1}, set())
    return out


@pytest.fixture
def student(made):
    """A student's repository of lesson 1, and what they write."""
    before = {exercise.write[0].path: (made / exercise.write[0].path).read_bytes() for exercise in KIT.of("1")}

    class Student:
        course = Course(made, unfinished=True)

        def write(self, text: str, target: Target = UNSQUEEZE) -> None:
            path = made / target.path
            path.write_text(put(path.read_text(), {target: text}))

        def edit(self, path: str, old: str, new: str) -> None:
            text = (made / path).read_text()
            assert old in text
            (made / path).write_text(text.replace(old, new))

        def test(self, which: str):
            return run_tests(self.course, self.course.of(which))

        def report(self, which: str | None) -> str:
            console = Console(file=io.StringIO(), width=100)
            show(console, self.course, run_tests(self.course, self.course.of(which)))
            return console.file.getvalue()

    yield Student()
    for path, content in before.items():
        (made / path).write_bytes(content)


def answer(target: Target) -> str:
    return body(KIT.source(target.path), target)


def line_of(path, text: str) -> int:
    return path.read_text().splitlines().index(text) + 1


def test_blank_half_and_whole(student):
    report = student.report("1")
    assert "0 of 12 points so far" in report
    assert re.search(r"·\s+1\.1 A dimension of size one\s+0 of 1\s+not written yet", report)
    assert f"unsqueeze  in  {FILE}:" in report
    assert "then: minigrad course test 1.1" in report
    student.write(answer(UNSQUEEZE))
    student.write("\n    return square(x - mean(x)).mean()", KIT.exercise("1.2").write[0])
    report = student.report("1")
    assert re.search(r"✓\s+1\.1 A dimension of size one\s+1 of 1", report)
    assert re.search(r"✗\s+1\.2 The variance\s+0 of 2\s+0 of \d checks pass", report)
    assert "1 of 12 points so far" in report
    assert "Traceback" not in report


def test_a_wrong_result_is_explained(student):
    student.write("\n    return reshape(x, (1, *x.shape))")
    (result,) = student.test("1.1")
    told = result.told
    assert told.kind == "wrong"
    assert told.check.words.startswith("A dimension of size 1 is put in at places 0, 1, 2 and 3")
    assert told.what == "the shape of unsqueeze(x, 1), x of shape (2, 3, 4)"
    assert (told.expected, told.got) == ("(2, 1, 3, 4)", "(1, 2, 3, 4)")
    assert told.where == f"{FILE}:{line_of(student.course.root / FILE, HEAD)}"
    report = student.report("1.1")
    for text in ("checked", "expected", "(2, 1, 3, 4)", told.where, "minigrad course test 1.1 --hint 1"):
        assert text in report


def test_a_crash_shows_the_student_s_last_line(student):
    student.write("\n    shape = x.shape\n    return missing(shape)")
    (result,) = student.test("1.1")
    told = result.told
    assert told.kind == "crash"
    assert told.got == "NameError: name 'missing' is not defined"
    assert told.code == "return missing(shape)"
    assert told.where == f"{FILE}:{line_of(student.course.root / FILE, '    return missing(shape)')}"


@pytest.mark.slow
def test_a_check_that_does_not_end(student, monkeypatch):
    monkeypatch.setattr(testing, "PATIENCE", 15)
    student.write("\n    while True:\n        pass")
    (result,) = student.test("1.1")
    assert [failure.kind for failure in result.failures] == ["endless", "not run", "not run", "not run"]
    assert result.told.got == "no end after 15 s"


def test_ending_the_process_gains_nothing(student):
    student.write("\n    import os\n    os._exit(0)")
    (result,) = student.test("1.1")
    assert result.points == 0
    assert (result.told.kind, result.told.got) == ("endless", "the process ended")


def test_a_syntax_error_is_one_line(student, made):
    student.edit(FILE, HEAD, BROKEN)
    with pytest.raises(Broken) as caught:
        student.test("1.1")
    assert re.fullmatch(rf"{FILE}:\d+: .+\n    {re.escape(BROKEN)}", str(caught.value))
    student.edit(FILE, BROKEN, HEAD)
    student.edit("minigrad/engine.py", "import threading\n", "import threading)\n")
    with pytest.raises(Broken, match=r"^minigrad/engine\.py:\d+: SyntaxError: unmatched"):
        student.test("1.1")


def test_an_import_error_is_one_line(student):
    student.edit(FILE, "import math\n", "import math\nimport nothing_of_the_sort\n")
    number = line_of(student.course.root / FILE, "import nothing_of_the_sort")
    with pytest.raises(Broken) as caught:
        student.test("1.1")
    assert str(caught.value) == f"{FILE}:{number}: ModuleNotFoundError: No module named 'nothing_of_the_sort'"


def test_a_function_that_is_gone(student):
    student.edit(FILE, HEAD, HEAD.replace("unsqueeze", "unsqueezed"))
    with pytest.raises(Broken) as caught:
        student.test("1.1")
    assert str(caught.value) == f"{FILE}: there is no function unsqueeze: its name and its parameters must stay"


def test_a_file_of_tests_that_does_not_import(student, made):
    path = made / "tests/lessons/exercises/test_01_tensors.py"
    before = path.read_text()
    try:
        path.write_text(before.replace("from minigrad import ops", "from minigrad import oops"))
        with pytest.raises(Broken, match=r"ImportError: cannot import name 'oops' from 'minigrad'"):
            student.test("1.1")
    finally:
        path.write_text(before)


def test_another_exercise_s_blank_is_named(student):
    einsum = KIT.exercise("1.4").write[0]
    student.write("\n    unsqueeze(x, 0)\n" + answer(einsum).lstrip("\n"), einsum)
    (result,) = student.test("1.4")
    student.edit("minigrad/ops/linalg.py", "import expand, permute", "import expand, unsqueeze, permute")
    (result,) = student.test("1.4")
    assert result.told.kind == "needs"
    assert result.told.got == "exercise 1.1: A dimension of size one, which is not written yet"


def test_the_command_and_its_exit_codes(student, monkeypatch, capsys):
    monkeypatch.chdir(student.course.root / "minigrad")  # it finds the repository above
    assert command.main(["test", "1.1"]) == 1
    student.write(answer(UNSQUEEZE))
    assert command.main(["test", "1.1"]) == 0
    assert "1 of 1 points so far" in capsys.readouterr().out
    student.edit(FILE, HEAD, BROKEN)
    assert command.main(["test", "1.1"]) == 1
    assert capsys.readouterr().err.startswith("Nothing can be tested before this is fixed:\n")


def test_hints_one_at_a_time(student, monkeypatch, capsys):
    monkeypatch.chdir(student.course.root)
    first, second = KIT.exercise("1.1").hints
    assert command.main(["test", "1.1", "--hint"]) == 0
    output = capsys.readouterr().out
    assert first in output
    assert second not in output
    assert "minigrad course test 1.1 --hint 2" in output
    assert command.main(["test", "1.1", "--hint", "2"]) == 0
    assert second in capsys.readouterr().out
    with pytest.raises(UserError, match=r"exercise 1\.1 has hints 1 to 2, not 3"):
        command.main(["test", "1.1", "--hint", "3"])
    with pytest.raises(UserError, match="--hint needs an exercise"):
        command.main(["test", "1", "--hint"])


def test_a_student_s_repository_has_no_other_subcommand(student, monkeypatch, capsys):
    monkeypatch.setattr(command, "_is_here", lambda module: module == "course_test")
    assert command.main([]) == 0
    output = capsys.readouterr().out
    assert "  test " in output
    assert "handout" not in output
    with pytest.raises(UserError, match="no 'grade'; there are test"):
        command.main(["grade"])


def test_with_parameters_the_first_that_fails_decides():
    def events(*ends):
        for i, passed in enumerate(ends):
            yield {"event": "start", "test": f"a[{i}]"}
            if passed is not None:
                yield {"event": "end", "test": f"a[{i}]", "passed": passed, "number": i}

    assert testing._outcomes(events(True, True), "time")["a"]["passed"]
    assert testing._outcomes(events(True, False, False, True), "time")["a"]["number"] == 1
    assert testing._outcomes(events(True, None), "time")["a"] == {"passed": False, "unfinished": "time"}
    assert testing._outcomes(events(False, None), "time")["a"]["number"] == 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_solving_one_exercise_after_the_other(tmp_path):
    """Points rise with each, though all later ones are still blank, and no earlier one falls.

    An exercise may need a later one for part of its checks: in the end all have all their points.
    """
    make_handout(KIT, tmp_path / "out", {e.lesson for e in KIT.exercises}, set())
    repository = Course(tmp_path / "out", unfinished=True)
    exercises, points, wrong = repository.exercises, {}, []
    for i, exercise in enumerate(exercises):
        for target in exercise.write:
            path = tmp_path / "out" / target.path
            path.write_text(put(path.read_text(), {target: answer(target)}))
        last_of_lesson = exercise is exercises[-1] or exercises[i + 1].lesson != exercise.lesson
        for result in run_tests(repository, exercises[: i + 1] if last_of_lesson else [exercise]):
            number = result.exercise.number
            if result.points < points.get(number, 0.1):
                wrong.append(f"after {exercise.number}: {number}: {result.points} points: {result.told}")
            points[number] = result.points
            if result.failures:
                print(f"after {exercise.number}: {number}: {result.told.got}")
        print(f"{exercise.number}: {sum(points.values()):.1f} points", flush=True)
    assert not wrong, "\n".join(wrong)
    assert points == {exercise.number: exercise.points for exercise in exercises}
