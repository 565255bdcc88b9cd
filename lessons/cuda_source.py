"""Where a kernel or a function stands in a CUDA C file: its comment, its signature, its body."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Definition:
    """Offsets in the text of a file.

    start  of the definition, the comment above it included
    body   of what stands between the braces
    end    of the closing brace
    """

    start: int
    body: int
    end: int


def read(place: str) -> tuple[str, int]:
    """(a definition's text, the number of its first line); `place` is "minigrad/kernels/cuda/matmul.cu:matmul_naive",
    from the folder that minigrad/ is in."""
    file, _, name = place.rpartition(":")
    text = (ROOT / file).read_text(encoding="utf-8")
    found = locate(text, name)
    return text[found.start : found.end + 1] + "\n", text.count("\n", 0, found.start) + 1


def locate(text: str, name: str) -> Definition:
    """Where a file defines the kernel or function `name`; a member function is "Online.join". ValueError unless it is
    there exactly once."""
    code = _code_only(text)
    first, last = 0, len(code)
    *structs, function = name.split(".")
    for struct in structs:
        opening = re.compile(rf"\bstruct\s+{struct}\s*{{").search(code, first, last)
        if opening is None:
            raise ValueError(f"there is no struct {struct!r} to look for {name!r} in")
        first, last = opening.end(), _closing(code, opening.end() - 1)
    found = []
    for match in re.compile(rf"\b{function}\s*(\()").finditer(code, first, last):
        brace = re.compile(r"\s*(?:const\s*)?({)").match(code, _closing(code, match.start(1)) + 1)
        if brace:
            found.append((match.start(), brace.start(1)))
    if len(found) != 1:
        raise ValueError(f"{name!r} is defined {len(found)} times, not once")
    at, brace = found[0]
    before = max(code.rfind(sign, first, at) for sign in ";{}")
    start = re.compile(r"\S").search(code, max(before + 1, first)).start()
    start = text.rfind("\n", 0, start) + 1
    comment = re.compile(r"(?:^[ \t]*//[^\n]*\n)+\n?\Z", re.M).search(text, 0, start)
    start = comment.start() if comment else start
    return Definition(start, brace + 1, _closing(code, brace))


def _code_only(text: str) -> str:
    """The text, as long as it was, with spaces for comments, strings and preprocessor lines."""
    others = re.compile(
        r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.DOTALL | re.M
    )
    return others.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def _closing(code: str, opening: int) -> int:
    """Where the bracket closes that opens there."""
    pair = {"(": ")", "{": "}"}[code[opening]]
    depth = 0
    for match in re.compile(f"[{re.escape(code[opening] + pair)}]").finditer(code, opening):
        depth += 1 if match[0] == code[opening] else -1
        if depth == 0:
            return match.start()
    raise ValueError(f"what opens in line {code.count(chr(10), 0, opening) + 1} does not close")
