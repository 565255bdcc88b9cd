"""A small course over the real library: two exercises in one file, nn/toy.py, and one in a kernel's."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[3]

LIBRARY = '''
"""What the students write."""

import numpy as np

def scale(x):
    """2x."""
    return 2 * np.asarray(x)


class Mean:
    """Of all it was given."""

    def __init__(self):
        self.total, self.count = 0.0, 0

    def add(self, x):
        """Take a number in, and return the mean so far."""
        self.total += x
        self.count += 1
        return self.total / self.count

    def value(self):
        return self.total / self.count
'''

TESTS = '''
from nn import toy
from minigrad.kernels.reference import softmax as kernel
from tests.lessons.exercises.expect import close, equal


class TestScale:
    def test_a_number(self):
        """2 · 3 = 6."""
        close(toy.scale(3), 6, "scale(3)")

    def test_a_list(self):
        """Every number of a list is doubled."""
        close(toy.scale([1, -2]), [2, -4], "scale([1, -2])")


class TestMean:
    def test_one(self):
        """The mean of one number is that number."""
        equal(toy.Mean().add(4.0), 4.0, "the mean of 4")

    def test_two(self):
        """The mean of two."""
        mean = toy.Mean()
        mean.add(1.0)
        equal(mean.add(4.0), 2.5, "the mean of 1 and 4")

    def test_many(self):
        """The mean of three."""
        mean = toy.Mean()
        mean.add(1.0), mean.add(4.0)
        equal(mean.add(4.0), 3.0, "the mean of 1, 4 and 4")


class TestSoftmax:
    def test_by_hand(self):
        """Two logits that differ by ln 3 have the probabilities 1/4 and 3/4."""
        close(kernel.softmax(__import__("numpy").log([1.0, 3.0])), [0.25, 0.75], "softmax of [0, ln 3]")

    def test_large(self):
        """Large logits do not overflow."""
        close(kernel.softmax(__import__("numpy").array([1000.0, 1000.0])), [0.5, 0.5], "softmax of [1000, 1000]")
'''

COURSE = """
[[exercise]]
number = "1.1"
title = "Twice"
write = ["nn.toy:scale"]
points = 2
minutes = 1
tests = ["tests/lessons/exercises/test_toy.py::TestScale"]

[[exercise]]
number = "1.2"
title = "A running mean"
write = ["nn.toy:Mean.add"]
remove = ["nn.toy:Mean.value"]
points = 3
minutes = 5
tests = ["tests/lessons/exercises/test_toy.py::TestMean"]

[[exercise]]
number = "2.1"
title = "Softmax"
write = ["minigrad.kernels.reference.softmax:softmax"]
points = 4
minutes = 5
tests = ["tests/lessons/exercises/test_toy.py::TestSoftmax"]
"""

WRONG_ANSWERS = """
[["1.1"]]
mistake = "adds 2"
replace = "2 * np"
by = "2 + np"

[["1.1"]]
mistake = "gives it back"
replace = "2 * np"
by = "1 * np"

[["1.1"]]
mistake = "lists twice as long"
replace = "np.asarray(x)"
by = "x"

[["1.2"]]
mistake = "forgets the count"
replace = "+= 1"
by = "= 1"

[["1.2"]]
mistake = "forgets the total"
replace = "self.total += x"
by = "self.total = x"

[["1.2"]]
mistake = "the total for the mean"
replace = "return self.total / self.count"
by = "return self.total"

[["2.1"]]
mistake = "overflows"
replace = "x - row_maximum(x)"
by = "x"

[["2.1"]]
mistake = "adds up over all"
replace = "e.sum(axis=-1, keepdims=True)"
by = "e.max()"

[["2.1"]]
mistake = "no exponential"
replace = "xp.exp(x - row_maximum(x))"
by = "x - row_maximum(x) + 1"
"""


def write(root: Path) -> Path:
    """Write the course's repository to `root`: links to the library's packages, but a nn of its own."""
    for name in ("minigrad", "models"):
        (root / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "nn", root / "nn")
    (root / "nn" / "toy.py").write_text(LIBRARY)
    (root / "lessons").mkdir()
    for number in (1, 2):
        shutil.copy(next((ROOT / "lessons").glob(f"{number:02}_*.py")), root / "lessons")
    (root / "lessons" / "__init__.py").touch()
    (root / "lessons" / "course.toml").write_text(COURSE)
    (root / "lessons" / "wrong_answers.toml").write_text(WRONG_ANSWERS)
    tests = root / "tests" / "lessons" / "exercises"
    tests.mkdir(parents=True)
    for name in ("__init__.py", "expect.py"):
        shutil.copy(ROOT / "tests" / "lessons" / "exercises" / name, tests)
    (tests / "test_toy.py").write_text(TESTS)
    return root
