"""`minigrad course grade`, on submissions to a toy course: honest ones, and ones that do what they must not."""

import csv
import json
import shutil

import pytest

from lessons.course.exercises import Course
from lessons.course.grading import grade
from lessons.course.judging import Limits
from models.commands import cli
from tests.lessons.course import toy

SOFTMAX = "minigrad/kernels/reference/softmax.py"
RIGHT = "return 2 * np.asarray(x)"
AT_TOP = "import numpy as np\n"

# What stands in the body of scale(), and a line of the report. Exercise 1.2, in the same file, loses nothing.
IN_THE_BODY = {
    "fork": (
        "import os; os.fork(); return 2 * np.asarray(x)",
        "nn/toy.py line 8 starts or stops a process (os.fork): refused",
    ),
    "bomb": (
        "import subprocess\n    while True: subprocess.Popen(['sleep', '9'])",
        "nn/toy.py line 9 starts or stops a process (subprocess.Popen): refused",
    ),
    "network": (
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "nn/toy.py line 8 uses the network (socket.getaddrinfo): refused",
    ),
    "exit": ("import sys; sys.exit(0)", "test_a_list called sys.exit(0) (nn/toy.py line 8)"),
    "hard exit": ("import os; os._exit(0)", "test_a_list ended the process (exit code 0)"),
    "crash": ("import ctypes; ctypes.string_at(0)", "test_a_list crashed the process (signal SIGSEGV)"),
    "kills": (
        "import os; os.kill(os.getppid(), 9)",
        "nn/toy.py line 8 starts or stops a process (os.kill): refused",
    ),
    "torch": (
        "import torch; return torch.tensor(x) * 2",
        "nn/toy.py line 8 imports torch: not used, reported: no points for this exercise",
    ),
    "hidden torch": (
        "import importlib\n    try:\n        importlib.import_module('torch')\n    except ImportError:\n        pass\n"
        f"    {RIGHT}",
        "nn/toy.py line 10 imports torch: not used, reported: no points for this exercise",
    ),
    "patched checks": (
        "import sys\n    sys.modules['tests.lessons.exercises.expect'].close = lambda *a, **k: None",
        "the tests were tampered with while running (close): no points for this exercise",
    ),
    "patched numpy": (
        "np.isclose = lambda *a, **k: np.array(True)\n    return np.asarray(x)",
        "the tests were tampered with while running (tests that must fail passed): no points for this exercise",
    ),
    "patched pytest": (
        "import _pytest.runner as r\n    r.CallInfo.from_call = classmethod(lambda c, f, when, reraise=None: "
        "c(None, None, 0, 0, 0, when, _ispytest=True))",
        "the tests were tampered with while running (tests that must fail passed): no points for this exercise",
    ),
    "forged results": (
        "import os, json\n    for d in range(3, 400):\n        try: os.write(d, json.dumps({'event': 'test', 'test': "
        "'tests/lessons/exercises/test_toy.py::TestScale::test_a_list', 'passed': True}).encode() + b'\\n')\n"
        "        except OSError: pass",
        "wrote to where the results are reported: no points for this exercise",
    ),
    "looks around": (
        "import gc; gc.get_objects()",
        "nn/toy.py line 8 looks behind the scenes (gc.get_objects): refused, reported: no points for this exercise",
    ),
    "stops pytest": ("import pytest; pytest.exit('done', 0)", "test_a_list stopped the tests (Exit: done)"),
    "interrupts": ("raise KeyboardInterrupt", "test_a_list stopped the tests (KeyboardInterrupt)"),
    "garbage": (f"print('x' * 3_000_000); {RIGHT}", "printed 6 MB; the first 20 kB are kept"),
    "reads the answers": (
        "return open('LIBRARY').read()",
        "nn/toy.py line 8 reads the library's own LIBRARY: refused, reported: no points for this exercise",
    ),
    "writes elsewhere": (
        "open('/tmp/minigrad-was-here', 'w')",
        "nn/toy.py line 8 writes to /tmp/minigrad-was-here: refused",
    ),
}
QUICK = ("torch", "hard exit", "patched checks")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return Course(toy.write(tmp_path_factory.mktemp("course")))


def hand_in(course, folder, edit=lambda text: text):
    """A submission that solves everything, but for an edit of nn/toy.py."""
    for path in ("nn/toy.py", SOFTMAX, "tests/lessons/exercises/test_toy.py"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(course.root / path, folder / path)
    (folder / "nn" / "toy.py").write_text(edit((folder / "nn" / "toy.py").read_text()))
    return folder


def graded(course, paths, exercises=("1",), **limits):
    chosen = course.selected(exercises)
    return list(grade(course, chosen, paths, 2, Limits(**{"seconds": 60, **limits})))


def hostile(course, folder, names):
    """The grades of the submissions above, by name."""
    paths = []
    for name in names:
        body = IN_THE_BODY[name][0].replace("LIBRARY", f"{course.root}/nn/toy.py")
        paths.append(hand_in(course, folder / name, lambda text, body=body: text.replace(RIGHT, body)))
    return {each.name: each for each in graded(course, paths)}


@pytest.mark.parametrize(
    "names", [QUICK, pytest.param(tuple(IN_THE_BODY), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_hostile_submissions_are_told_and_lose_only_what_they_broke(names, course, tmp_path):
    for name, got in hostile(course, tmp_path, names).items():
        first, second = got.marks
        print(name, *first.verdict.notes, sep="\n    ")
        assert IN_THE_BODY[name][1].replace("LIBRARY", f"{course.root}/nn/toy.py") in first.verdict.notes
        assert first.points == (2 if name == "garbage" else 0)
        assert (second.points, second.verdict.notes) == (3, [])


def replaced(before, after):
    return lambda text: text.replace(before, after)


@pytest.fixture(scope="module")
def grades(course, tmp_path_factory):
    """The grades of honest submissions, by name."""
    folder = tmp_path_factory.mktemp("class")
    edits = {
        "solved": lambda text: text,
        "missing": lambda text: text,
        "broken": replaced("2 * np.asarray(x)", "2 * (np"),
        "renamed": replaced("def scale", "def twice"),
        "unimportable": replaced(AT_TOP, AT_TOP + "import nothing_like_that\n"),
        "edited tests": replaced(RIGHT, "return 0"),
        "helpers": lambda text: text.replace(RIGHT, "return twice(np.asarray(x))").replace(
            AT_TOP, AT_TOP + "from nn.helper import twice\n"
        ),
        "blank": replaced(RIGHT, 'raise NotImplementedError("exercise 1.1: Twice")'),
        "partly": replaced("self.count += 1", "self.count = 1"),
    }
    paths = {name: hand_in(course, folder / name, edit) for name, edit in edits.items()}
    (paths["missing"] / "nn/toy.py").unlink()
    (paths["edited tests"] / "tests/lessons/exercises/test_toy.py").write_text("class TestScale:\n    pass\n")
    (paths["edited tests"] / "tests/lessons/exercises/conftest.py").write_text("import os; os._exit(0)")
    (paths["helpers"] / "nn/helper.py").write_text("def twice(x):\n    return x + x\n")
    (paths["helpers"] / "nn/conftest.py").write_text("")
    (paths["helpers"] / "minigrad/engine").mkdir()
    (paths["helpers"] / "minigrad/engine/__init__.py").write_text("import torch\n")
    return {each.name: each for each in graded(course, list(paths.values()))}


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("solved", [2, 3]),
        ("missing", [0, 0]),
        ("broken", [0, 0]),
        ("renamed", [0, 3]),
        ("unimportable", [0, 0]),
        ("edited tests", [0, 3]),
        ("helpers", [2, 3]),
        ("blank", [0, 3]),
        ("partly", [2, 1]),
    ],
)
def test_points(name, points, grades):
    assert [mark.points for mark in grades[name].marks] == points


def test_files_that_cannot_be_used_are_told(grades):
    for name, line in (
        ("missing", "nn/toy.py is missing"),
        ("broken", "nn/toy.py line 8: syntax error ('(' was never closed)"),
    ):
        for mark in grades[name].marks:
            assert mark.verdict.notes == [f"{line}: no points for this exercise"]
    error = "ModuleNotFoundError: No module named 'nothing_like_that' (nn/toy.py line 5)"
    assert grades["unimportable"].marks[1].verdict.notes == [f"could not be imported: {error}"]
    first = grades["renamed"].marks[0]
    assert first.verdict.notes == ["nn/toy.py: there is no function scale: no points for this exercise"]


def test_the_proof_that_the_students_file_ran(grades):
    for mark, calls in zip(grades["solved"].marks, (2, 6), strict=True):
        assert mark.verdict.calls == {mark.exercise.write[0]: calls}
        assert len(mark.files["nn/toy.py"]) == 64


def test_edited_tests_do_not_count(grades):
    assert grades["edited tests"].notes == ["tests/lessons/exercises/test_toy.py was edited: the course's own was used"]


def test_what_would_hide_the_library_is_not_used(grades):
    assert grades["helpers"].notes == [
        "minigrad/engine/__init__.py is not used: it would take the place of something else",
        "nn/conftest.py is not used: it would take the place of something else",
    ]


def test_blank_exercises_are_not_tried(grades):
    assert [mark.attempted for mark in grades["blank"].marks] == [False, True]


def test_what_is_wrong_is_said_in_words(grades):
    why = grades["partly"].marks[1].verdict.why
    assert (
        why["tests/lessons/exercises/test_toy.py::TestMean::test_two"] == "the mean of 1 and 4\nexpected: 2.5\ngot: 5.0"
    )


@pytest.mark.slow
def test_a_loop_and_a_memory_hog(course, tmp_path):
    loop = hand_in(course, tmp_path / "loop", lambda text: text.replace(
        RIGHT, "while isinstance(x, list): pass\n    return 2 * x"))  # fmt: skip
    hog = hand_in(course, tmp_path / "hog", lambda text: text.replace(
        RIGHT, "y = [np.ones(1 << 24)]\n    while True: y.append(y[-1] + 1)"))  # fmt: skip
    (first,) = graded(course, [loop], seconds=6)
    (second,) = graded(course, [hog], memory=2)
    assert [mark.points for mark in first.marks] == [1, 3]
    assert first.marks[0].verdict.notes == ["test_a_list took longer than 6 s"]
    assert [mark.points for mark in second.marks] == [0, 3]
    assert "ran out of memory; the limit is 2 GB" in second.marks[0].verdict.notes


@pytest.mark.slow
def test_a_loop_while_it_is_imported(course, tmp_path):
    path = hand_in(course, tmp_path / "anna", lambda text: text.replace(AT_TOP, AT_TOP + "while True: pass\n"))
    (got,) = graded(course, [path], ["1", "2"], seconds=6)
    assert [mark.points for mark in got.marks] == [0, 0, 4]
    assert got.marks[0].verdict.notes == ["took longer than 6 s while it was imported"]


# The fields of Gradescope's results.json, with their types.
TOP = {
    "score": (int, float),
    "execution_time": (int, float),
    "output": str,
    "output_format": str,
    "visibility": str,
    "stdout_visibility": str,
    "tests": list,
}
TEST = {
    "name": str,
    "name_format": str,
    "number": str,
    "score": (int, float),
    "max_score": (int, float),
    "status": str,
    "output": str,
    "output_format": str,
    "tags": list,
    "visibility": str,
    "extra_data": dict,
}


def test_gradescope_gets_its_results(course, tmp_path, capsys):
    path = hand_in(course, tmp_path / "anna", lambda text: text.replace(RIGHT, "return 0"))
    assert cli.main(["course", "grade", str(path), "--json", "--lessons", "1", "--root", str(course.root)]) == 0
    results = json.loads(capsys.readouterr().out)
    assert {key: isinstance(value, TOP[key]) for key, value in results.items()} == dict.fromkeys(TOP, True)
    for test in results["tests"]:
        assert {key: isinstance(value, TEST[key]) for key, value in test.items()} == dict.fromkeys(TEST, True)
        assert test["status"] in ("passed", "failed")
    assert results["score"] == sum(test["score"] for test in results["tests"]) == 3
    assert "expected: 6" in results["tests"][0]["output"]


def test_a_class_in_a_csv(course, tmp_path, capsys):
    anna = hand_in(course, tmp_path / "in" / "anna")
    bela = hand_in(course, tmp_path / "in" / "bela", lambda text: text.replace(RIGHT, "return 0"))
    (tmp_path / "in" / "empty").mkdir()
    out = tmp_path / "out"
    command = ["course", "grade", str(anna), str(bela), str(tmp_path / "in" / "empty"), "--exercises", "1.1, 1.2"]
    command += ["--csv", str(tmp_path / "class.csv"), "--out", str(out), "--root", str(course.root)]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert "1/3  anna: 5 of 5" in printed
    assert "3 submissions in" in printed
    with open(tmp_path / "class.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[:4] for row in rows] == [
        ["student", "1.1", "1.2", "total"],
        ["anna", "2", "3", "5"],
        ["bela", "0", "3", "3"],
        ["empty", "0", "0", "0"],
    ]
    assert sorted(file.name for file in out.iterdir()) == ["anna.json", "bela.json", "empty.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is not a directory"),
        ([".", "--workers", "0"], "--workers, --time and --memory must be above 0"),
        ([".", "..", "--json"], "for several give --out DIR"),
        ([".", "--exercises", "9.9"], "no exercise 9.9"),
    ],
)
def test_wrong_arguments_are_explained(arguments, message, course, capsys):
    assert cli.main(["course", "grade", *arguments, "--root", str(course.root)]) == 2
    assert message in capsys.readouterr().err
