"""Where the body of a function begins and ends in the text of a CUDA C file."""

import re
from functools import lru_cache

from lessons.course.errors import CutError

# What the compiler does not take for code: comments, texts, characters.
ASIDE = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", re.DOTALL)
ON_DEVICE = re.compile(r"\b__(?:global|device)__\b")


def span(source: str, name: str) -> tuple[int, int]:
    """The offsets between the braces of a __global__ or __device__ function; a struct's is named "Online::join"."""
    code = _code_only(source)
    begin, end = 0, len(code)
    *structs, function = name.split("::")
    for struct in structs:
        found = re.search(rf"\bstruct\s+{struct}\b[^;{{]*{{", code[begin:end])
        if not found:
            raise CutError(f"there is no struct {struct}")
        begin += found.end()
        end = _closing(code, begin - 1)
    found = [place for place, defined in _definitions(code, begin, end) if defined == function]
    if not found:
        raise CutError(f"there is no __global__ or __device__ function {name}")
    if len(found) > 1:
        lines = ", ".join(str(code.count("\n", 0, place) + 1) for place in found)
        raise CutError(f"{name} is defined {len(found)} times, in lines {lines}")
    return found[0] + 1, _closing(code, found[0])


def line(source: str, name: str) -> int:
    return source.count("\n", 0, span(source, name)[0]) + 1


def blank(source: str, name: str, label: str) -> str:
    start, _ = span(source, name)
    before = source[source.rfind("\n", 0, start) + 1 : start]
    indent = before[: len(before) - len(before.lstrip())]
    lines = [
        "#ifdef MINIGRAD_EMULATOR",
        f"{indent}    {_statement(label)}",
        "#else",
        f"{indent}    __trap();",
        "#endif",
    ]
    return "\n".join(["", *lines, indent])


def says(body: str, label: str) -> bool:
    return any(line.strip() == _statement(label) for line in body.splitlines())


def functions(source: str) -> list[str]:
    """The names of the functions in a file that can be cut, without those of structs: none twice."""
    code = _code_only(source)
    names = [
        name
        for place, name in _definitions(code, 0, len(code))
        if code.count("{", 0, place) == code.count("}", 0, place)
    ]
    return [name for name in names if names.count(name) == 1]


def _statement(label: str) -> str:
    quoted = (
        label.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    )  # a format, as printf's
    return f'emulator::fault("{quoted}");'


@lru_cache(maxsize=16)
def _code_only(source: str) -> str:
    """The source with blanks for comments and texts, every other character where it was."""
    return ASIDE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)


def _definitions(code: str, begin: int, end: int):
    """(offset of the opening brace, name) of the functions that run on a device, between two offsets."""
    for marker in ON_DEVICE.finditer(code, begin, end):
        place = marker.end()
        while found := re.compile(r"(\w+)\s*\(|[;{}]").search(code, place, end):
            if found[1] is None:
                break  # a variable, or a declaration of which no parenthesis was a parameter list
            closing = _closing(code, found.end() - 1)
            if found[1] not in ("__launch_bounds__", "__align__", "alignas", "__attribute__"):
                rest = re.compile(r"\s*(?:const|noexcept)?\s*\{").match(code, closing + 1, end)
                if rest:
                    yield rest.end() - 1, found[1]
                break
            place = closing + 1


def _closing(code: str, opening: int) -> int:
    """The offset of the bracket that closes the one at `opening`."""
    pairs = {"(": ")", "{": "}"}
    left, right = code[opening], pairs[code[opening]]
    depth = 0
    for match in re.compile(f"[{left}{right}]").finditer(code, opening):
        depth += 1 if match[0] == left else -1
        if depth == 0:
            return match.start()
    raise CutError(f"line {code.count(chr(10), 0, opening) + 1}: no {right!r} for this {left!r}")
