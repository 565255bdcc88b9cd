"""Bodies of functions: taken out of a file's text, blanked for the student, put back. All else stays byte for byte.

What a student gets, and how their file is judged:

    text = cut(text, exercise.write, exercise.label)
    judged = with_answers(text, library, others)  # others: all bodies that the exercise does not have written

and by single bodies:

    answer = body(library, target)
    text = put(text, {target: answer})
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from lessons.course import cuda_bodies, python_bodies
from lessons.course.errors import CutError


@dataclass(frozen=True)
class Target:
    """A function of the library.

    path  its file, from the root of the repository, with slashes
    name  its qualified name, "CrossEntropy.backward"; in CUDA C "softmax_warp" or "Online::join"
    """

    path: str
    name: str

    def __str__(self) -> str:
        if self.is_cuda:
            return f"{self.path}:{self.name}"
        return f"{self.path.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}:{self.name}"

    @property
    def is_cuda(self) -> bool:
        return not self.path.endswith(".py")


def body(source: str, target: Target) -> str:
    """Everything between the target's docstring, or signature, and its end, comments and line ends included."""
    start, end = _span(source, target)
    return source[start:end]


def line(source: str, target: Target) -> int:
    """The line, counted from 1, where the target's definition starts."""
    return _of_file(target, "line", source)


def put(source: str, bodies: dict[Target, str]) -> str:
    """The source with other bodies for these targets, all of them of this file. CutError if it does not parse then."""
    spans = sorted((*_span(source, target), text) for target, text in bodies.items())
    for (_, end, _), (start, _, _) in pairwise(spans):
        if start < end:
            raise CutError(f"of {', '.join(map(str, bodies))} one lies inside another")
    for start, end, text in reversed(spans):
        source = source[:start] + text + source[end:]
    for target in bodies:
        try:
            _span(source, target)
        except CutError as error:
            raise CutError(f"{target}: the body does not fit in: {error}") from None
    return source


def cut(source: str, targets: Iterable[Target], label: str) -> str:
    """The source with the targets' bodies blank: to call one raises NotImplementedError(label).

    In CUDA C to launch one stops the emulator with a report that says the label, and traps on a GPU.
    """
    return put(source, {target: _of_file(target, "blank", source, label) for target in targets})


def is_blank(source: str, target: Target, label: str) -> bool:
    """Whether the blank's own statement, with this label, is still in the body."""
    return _language(target).says(body(source, target), label)


def with_answers(student: str, reference: str, targets: Iterable[Target]) -> str:
    """A student's file with the reference's bodies for these targets, of this file: all that the exercise to be judged
    does not have written, its own `remove` included."""
    return put(student, {target: body(reference, target) for target in targets})


def _span(source: str, target: Target) -> tuple[int, int]:
    return _of_file(target, "span", source)


def _of_file(target: Target, function: str, source: str, *arguments):
    try:
        return getattr(_language(target), function)(source, target.name, *arguments)
    except CutError as error:
        raise CutError(f"{target.path}: {error}") from None


def _language(target: Target):
    return cuda_bodies if target.is_cuda else python_bodies
