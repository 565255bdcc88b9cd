"""The text of a function in CUDA C, for a lesson to show: its comment, its signature, its body."""

import re
from pathlib import Path

from lessons.course.cuda_bodies import span

ROOT = Path(__file__).parents[2]
COMMENT = r"(?:(?:^[ \t]*//[^\n]*\n)+\n?)?"
SIGNATURE = r"(?:^[ \t]*(?![\s#/}])[^\n;]+\n?)+"  # lines that are no comment, no directive, no other statement
BEFORE_BODY = re.compile(rf"{COMMENT}{SIGNATURE}\Z", re.MULTILINE)


def read(place: str) -> tuple[str, int]:
    """(a function's text, the number of its first line). `place` is "minigrad/kernels/cuda/matmul.cu:matmul_naive",
    from the folder that minigrad/ is in; a struct's function is "minigrad/kernels/cuda/online.cuh:Online::join"."""
    file, _, name = place.partition(":")
    text = (ROOT / file).read_text(encoding="utf-8")
    body, end = span(text, name)
    start = BEFORE_BODY.search(text, 0, body).start()
    return text[start : end + 1] + "\n", text.count("\n", 0, start) + 1
