"""Bodies cut from the library and put back."""

import ast
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lessons.course import cuda_bodies, python_bodies
from lessons.course.cutting import Target, body, cut, is_blank, line, put, with_answers
from lessons.course.errors import CutError

ROOT = Path(__file__).parents[3]
LABEL = 'exercise 4.2: 100% of "it" \\ done'
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for package in ("minigrad", "nn", "models", "lessons")
    for suffix in ("py", "cu", "cuh")
    for path in (ROOT / package).rglob(f"*.{suffix}")
)


def text_of(path: str) -> str:
    return (ROOT / path).read_bytes().decode()


def targets_of(path: str) -> list[Target]:
    language = python_bodies if path.endswith(".py") else cuda_bodies
    return [Target(path, name) for name in language.functions(text_of(path))]


def outermost(targets: list[Target]) -> list[Target]:
    return [t for t in targets if not any(t.name.startswith(f"{other.name}.") for other in targets)]


def apart(one: Target, other: Target) -> bool:
    """Whether neither lies inside the other."""
    first, second = f"{one.name}.", f"{other.name}."
    return not first.startswith(second) and not second.startswith(first)


@given(st.sampled_from(FILES).filter(lambda path: targets_of(path)), st.data())
def test_cut_then_put_back_is_the_identity(path, data):
    source = text_of(path)
    targets = targets_of(path)
    chosen = outermost(data.draw(st.lists(st.sampled_from(targets), min_size=1, max_size=5, unique=True)))
    blank = cut(source, chosen, LABEL)
    for target in targets:
        if all(apart(target, other) for other in chosen):
            assert body(blank, target) == body(source, target)
    assert all(is_blank(blank, target, LABEL) for target in chosen)
    assert not any(is_blank(source, target, LABEL) for target in chosen)
    assert with_answers(blank, source, chosen) == source


@pytest.mark.parametrize("package", ["minigrad", "nn", "models", "lessons"])
def test_over_all_functions_of_the_library(package):
    """All of a file at once, and each Python file parses with the blanks in it."""
    count = 0
    for path in FILES:
        if path.startswith(f"{package}/") and (targets := outermost(targets_of(path))):
            source = text_of(path)
            blank = cut(source, targets, LABEL)
            count += len(targets)
            assert put(blank, {target: body(source, target) for target in targets}) == source
            if path.endswith(".py"):
                assert sum(is_blanks(node) for node in ast.walk(ast.parse(blank))) == len(targets)
    assert count > 30


def is_blanks(node) -> bool:
    return isinstance(node, ast.Raise) and ast.unparse(node.exc) == f"NotImplementedError({LABEL!r})"


SOURCE = '''\
import functools


def plain(x):  # (n,)
    # the answer begins here
    y = x + 1
    return y  # done

    # and it ends here
# of the file


class Box:
    """A box."""

    @functools.cache
    def inside(
        self, key: dict = {"a": lambda q: 1}, other: int = 3
    ) -> dict[str:int]:
        """What is inside: a colon."""
        # hidden
        def helper():
            return 1

        return helper()

    def short(self): return {1: 2}  # one line

    def documented(self): "only a docstring"

    @property
    def twice(self):
        return 1

    @twice.setter
    def twice(self, x):
        pass


if True:

    def deep():
        """Ünïcödé."""
        return "é" + \\
            "b"
'''


def test_what_stays_and_what_goes():
    names = ["plain", "Box.inside", "Box.short", "deep"]
    targets = [Target("box.py", name) for name in names]
    blank = cut(SOURCE, targets, "exercise 1.1: A box")
    raises = 'raise NotImplementedError("exercise 1.1: A box")'
    assert f"def plain(x):  # (n,)\n    {raises}\n# of the file\n" in blank
    assert f'"""What is inside: a colon."""\n        {raises}\n\n    def short(self):\n        {raises}\n\n' in blank
    assert "@functools.cache\n    def inside(\n        self, key: dict" in blank
    assert f'"""Ünïcödé."""\n        {raises}\n' in blank
    assert "hidden" not in blank
    assert "answer begins" not in blank
    assert "it ends" not in blank
    assert python_bodies.functions(SOURCE) == ["plain", "Box.inside", "Box.inside.helper", "Box.short", "deep"]
    assert [line(SOURCE, target) for target in targets] == [4, 17, 27, 42]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "box.py: there is no function missing"),
        ("Box", "there is no function Box"),
        ("Box.twice", "Box.twice is defined 2 times, in lines 32, 36"),
        ("Box.documented", "Box.documented has no body but its docstring"),
    ],
)
def test_what_cannot_be_cut_is_said(name, message):
    with pytest.raises(CutError, match=message):
        cut(SOURCE, [Target("box.py", name)], "exercise 1.1: A box")


def test_bodies_that_do_not_fit_are_refused():
    plain, inside, helper = (Target("box.py", name) for name in ("plain", "Box.inside", "Box.inside.helper"))
    with pytest.raises(CutError, match=r"plain: the body does not fit in: box.py: line 5: .*indent"):
        put(SOURCE, {plain: "\nreturn 1"})
    with pytest.raises(CutError, match="one lies inside another"):
        cut(SOURCE, [inside, helper], "exercise 1.1: A box")
    with pytest.raises(CutError, match=r"box.py: line 1: "):
        body("def broken(:", plain)


def test_a_students_file_is_judged_with_their_helpers():
    """Whatever else the student wrote stays; the other exercises' bodies are the reference's."""
    first, second = Target("a.py", "first"), Target("a.py", "second")
    reference = "def first(x):\n    return x + 1\n\n\ndef second(x):\n    return 2 * x\n"
    student = cut(reference, [first, second], "exercise 1.1: Both") + "\n\ndef mine(x):\n    return x + 1\n"
    student = put(student, {first: "\n    return mine(x)"})
    names = {}
    exec(with_answers(student, reference, [second]), names)
    assert names["first"](1) == 2
    assert names["second"](3) == 6


def test_numba_compiles_a_blank_and_raises_it():
    from numba import njit

    source = textwrap.dedent("""
        def total(x):
            s = 0.0
            for i in range(len(x)):
                s += x[i]
            return s
        """)
    names = {}
    exec(cut(source, [Target("a.py", "total")], "exercise 6.1: A sum"), names)
    for options in ({}, {"fastmath": True, "error_model": "numpy"}):
        with pytest.raises(NotImplementedError, match=r"exercise 6\.1: A sum"):
            njit(**options)(names["total"])(np.ones(3))


KERNELS = """
#include "common.cuh"
// __global__ void in_a_comment(int x) { }
struct Pair {
    float a, b;
    __device__ void swap() { float c = a; a = b; b = c; }  // "}" and '{'
};
__device__ __forceinline__ float half_of(float x);
__device__ __forceinline__ float half_of(float x) { return x / 2; }
extern "C" __global__ void __launch_bounds__(256) halve(float *x, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;  // {
    if (i < n) { x[i] = half_of(x[i]); }
}
extern "C" __global__ void turn(float *x, int n) {
    Pair p{x[0], x[1]};
    p.swap();
    x[0] = p.a;
    x[1] = p.b;
}
extern "C" __global__ void one(float *x, int n) { x[0] = 1; }
"""


def test_functions_of_a_cuda_file():
    assert cuda_bodies.functions(KERNELS) == ["half_of", "halve", "turn", "one"]
    swap = Target("pair.cu", "Pair::swap")
    assert body(KERNELS, swap) == " float c = a; a = b; b = c; "
    assert put(cut(KERNELS, [swap], LABEL), {swap: body(KERNELS, swap)}) == KERNELS
    with pytest.raises(CutError, match="there is no __global__ or __device__ function in_a_comment"):
        body(KERNELS, Target("pair.cu", "in_a_comment"))


@pytest.mark.emulator
def test_a_blank_kernel_fails_by_name_and_leaves_the_others_alone():
    from minigrad.kernels.cuda import emulator

    blanks = [Target("pair.cu", name) for name in ("half_of", "one", "Pair::swap")]
    text = cut(KERNELS, blanks, 'exercise 17.1: 100% of "it"')
    library = emulator.build(text, ROOT / "minigrad/kernels/cuda/pair.cu", {})
    x = np.ones(32, np.float32)
    for kernel in ("one", "halve", "turn"):  # itself, a function that it calls, a struct's
        with pytest.raises(emulator.EmulatorError, match=r'exercise 17\.1: 100% of "it"'):
            emulator.launch(library, kernel, (1, 1, 1), (32, 1, 1), [x, np.int32(32)])
    text = put(text, {blanks[0]: body(KERNELS, blanks[0])})
    library = emulator.build(text, ROOT / "minigrad/kernels/cuda/pair.cu", {})
    emulator.launch(library, "halve", (1, 1, 1), (32, 1, 1), [x, np.int32(32)])
    assert (x == 0.5).all()
