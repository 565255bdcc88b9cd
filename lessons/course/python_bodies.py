"""Where the body of a function begins and ends in a Python file's text, by the positions that ast gives."""

import ast
import io
import re
import tokenize
from bisect import bisect_right
from functools import lru_cache

from lessons.course.errors import CutError

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def span(source: str, name: str) -> tuple[int, int]:
    """The offsets between which the body of a function, "Softmax.backward", stands.

    It begins behind the docstring's line or the signature's, so that a comment on these stays, and ends with
    the last line of the last statement or, further down, the last comment that is indented deeper than `def`.
    """
    node = _function(source, name)
    starts = _line_starts(source)
    statements = _statements(node)
    if not statements:
        raise CutError(f"{name} has no body but its docstring")
    if len(statements) < len(node.body):
        start = _offset(source, starts, node.body[0].end_lineno, node.body[0].end_col_offset)
    else:
        start = _after_signature(source, starts, node)
    if _line_of(starts, start) < statements[0].lineno:
        start = _end_of_line(source, start)
    return start, _end(source, starts, node)


def line(source: str, name: str) -> int:
    return _function(source, name).lineno


def blank(source: str, name: str, label: str) -> str:
    node = _function(source, name)
    indent = " " * (node.col_offset + 4)
    return f"\n{indent}{_statement(label)}"


def says(body: str, label: str) -> bool:
    """Whether the blank's statement is among the lines of the body."""
    return any(line.strip() == _statement(label) for line in body.splitlines())


def functions(source: str) -> list[str]:
    """The qualified names of the functions in a file that can be cut: none twice, none without a body."""
    found = _functions(source).items()
    return [name for name, nodes in found if len(nodes) == 1 and _statements(nodes[0])]


def _statement(label: str) -> str:
    quoted = label.replace("\\", "\\\\").replace('"', '\\"')
    return f'raise NotImplementedError("{quoted}")'


def _function(source: str, name: str):
    found = _functions(source).get(name, [])
    if not found:
        raise CutError(f"there is no function {name}")
    if len(found) > 1:
        raise CutError(
            f"{name} is defined {len(found)} times, in lines {', '.join(str(n.lineno) for n in found)}"
        )
    return found[0]


@lru_cache(maxsize=16)  # one file is looked at again and again
def _functions(source: str) -> dict[str, list]:
    """The functions of each qualified name, also those inside functions and under an `if`."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise CutError(f"line {error.lineno}: {error.msg}") from None
    found = {}

    def visit(node, prefix: str):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, FUNCTIONS):
                found.setdefault(f"{prefix}{child.name}", []).append(child)
            named = isinstance(child, (ast.ClassDef, *FUNCTIONS))
            visit(child, f"{prefix}{child.name}." if named else prefix)

    visit(tree, "")
    return found


def _statements(node) -> list:
    """The body without its docstring."""
    return node.body[ast.get_docstring(node, clean=False) is not None :]


def _after_signature(source: str, starts: list[int], node) -> int:
    """The offset behind the colon that ends the signature: the last one outside of brackets before the body."""
    first = node.body[0]
    # A decorated function or class starts with its decorator.
    line, column = min(
        [(first.lineno, first.col_offset)] + [(d.lineno, 0) for d in _decorators(first)]
    )
    begin, end = starts[node.lineno - 1], _offset(source, starts, line, column)
    depth, colon = 0, None
    try:
        for token in tokenize.generate_tokens(io.StringIO(source[begin:end]).readline):
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
                if token.string == ":" and depth == 0:
                    colon = token.end
    except (tokenize.TokenError, IndentationError):
        pass  # the text ends where the body begins
    line, column = colon
    return starts[node.lineno - 1 + line - 1] + column


def _decorators(node) -> list:
    return getattr(node, "decorator_list", [])


def _end(source: str, starts: list[int], node) -> int:
    """The end of the last statement's line, or of the last comment that belongs to the body."""
    end = _end_of_line(source, _offset(source, starts, node.end_lineno, node.end_col_offset))
    place = end
    while place < len(source):
        following = _end_of_line(source, place + 1)
        text = source[place + 1 : following]
        if text.strip() and not (text.lstrip().startswith("#") and _indent(text) > node.col_offset):
            break
        place = following
        if text.strip():
            end = place
    return end


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


@lru_cache(maxsize=16)
def _line_starts(source: str) -> list[int]:
    """The offset of each line; lines as Python counts them, not as str.splitlines does."""
    return [0] + [match.end() for match in re.finditer("\n", source)]


def _offset(source: str, starts: list[int], line: int, column: int) -> int:
    """ast counts columns in bytes of UTF-8."""
    start = starts[line - 1]
    text = source[start : _end_of_line(source, start)]
    return start + len(text.encode()[:column].decode())


def _line_of(starts: list[int], offset: int) -> int:
    return bisect_right(starts, offset)


def _end_of_line(source: str, offset: int) -> int:
    end = source.find("\n", offset)
    return len(source) if end < 0 else end
