"""The house style, where a machine can tell: signatures, docstrings, the length of files, natural English."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TYPED = ("minigrad", "nn", "models")
LONGEST = 450  # lines; most files have fewer than 300

# How many public functions and methods are still without all types, or without a docstring. These only shrink.
UNTYPED = {"minigrad": 36, "nn": 0, "models": 0}
UNDOCUMENTED = {"minigrad": 20, "nn": 0, "models": 10}

# What numba compiles: it finds the types of arguments itself, and an annotation would promise what nobody checks.
COMPILED = re.compile(r"\b(njit|intrinsic|inline|parallel|serial|worker_function|register_model)\b")
# What these do is told, with the formula, in the docstring of the class. A Function's take arrays or Tensors.
RULES = {"forward", "backward", "composite", "flops", "backward_flops"}
# A kernel's versions have the types and the docstring of the reference's function.
VERSIONS = ("minigrad/kernels/blas/", "minigrad/kernels/cpu/", "minigrad/kernels/cuda/")

NATURAL = ("minigrad", "nn", "models", "lessons", "tests", ".github", "README.md")

MOST = 8  # parameters of a function
# Those with more: an intrinsic that numba compiles from numbers alone, and classes whose arguments are PyTorch's.
MANY = {
    "minigrad/kernels/cpu/convolution2d.py": ("product",),
    "nn/attention.py": ("__init__",),
    "nn/optim/lr_scheduler/cycles.py": ("__init__",),
    "nn/optim/lr_scheduler/plateau.py": ("__init__",),
    "nn/optim/muon.py": ("__init__",),
    "nn/rnn.py": ("__init__",),
    "nn/transformer.py": ("__init__", "forward"),
    "nn/utils/data/loader.py": ("__init__",),
}

# What an English reader stumbles over, and what to write instead.
STRANGE = {
    r"derivatives? by": "derivative with respect to",
    r"one an? (output|input|row|head|line|file|token|element|label|class|dimension)\b": "one per ..., or: for each ...",
    r"(a|one) (block|warp|thread) a (block|row|query|token)\b": "one ... per ...",
    r"(bytes|numbers|elements|registers|operations) an? (access|block|head|lane|number|row|thread)\b": "... per ...",
    r"\banew\b": "again, or: from scratch",
    r"(leaves?|leaving|left) (it |them |this |that |those )?away": "leave out",
    r"manieth": "every n-th",
    r"stands? behind": "what follows, or: what is meant",
    r"\bfor ever\b": "forever",
    r"\bbesides[:.,;]": "as well, or: also",
    r"\bin silence\b": "silently, or: without an error",
    r"\b(its|their) like\b(?! \w)": "similar ones",
    r"\bwhat came of\b": "what became of, or: the result",
    r"\b(told|tells?) of\b": "told about, or: reports",
    r"\b(can|cannot|could|not) be had\b": "is available",
    r"\bas to (what|where|how|which|when)\b": "about",
}


def sources(*packages: str) -> Iterator[tuple[str, str]]:
    """(path from the root, text) of the Python files of packages."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def public_functions(body: list[ast.stmt], owner: ast.ClassDef | None = None, prefix: str = ""):
    """(qualified name, node, the class or None) of the functions and methods whose names do not start with _."""
    for node in body:
        if isinstance(node, ast.If):
            yield from public_functions(node.body + node.orelse, owner, prefix)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield f"{prefix}{node.name}", node, owner


@functools.cache
def classes() -> dict[str, ast.ClassDef]:
    """All classes by name."""
    trees = [ast.parse(text) for _, text in sources(*TYPED)]
    return {node.name: node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def is_documented(function: ast.FunctionDef, owner: ast.ClassDef | None) -> bool:
    """Whether it, or what it overrides, has a docstring."""
    if ast.get_docstring(function) or owner is None:
        return bool(ast.get_docstring(function))
    bases = [classes().get(ast.unparse(base).rpartition(".")[2]) for base in owner.bases]
    inherited = [(node, base) for base in bases if base for node in base.body if is_named(node, function.name)]
    further = [(function, base) for base in bases if base]
    return any(is_documented(node, base) for node, base in inherited or further)


def is_named(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == name


def is_rule(function: ast.FunctionDef, owner: ast.ClassDef | None) -> bool:
    """Whether its class may speak for it."""
    return owner is not None and function.name in RULES and bool(ast.get_docstring(owner))


def is_typed(function: ast.FunctionDef, owner: ast.ClassDef | None) -> bool:
    """Whether every argument, self excepted, and the result have a type; a function for numba needs none."""
    decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
    if any(COMPILED.search(decorator) for decorator in decorators):
        return True
    arguments = [*function.args.posonlyargs, *function.args.args]
    if owner and "staticmethod" not in decorators:
        del arguments[0]
    arguments += function.args.kwonlyargs
    arguments += [each for each in (function.args.vararg, function.args.kwarg) if each]
    return function.returns is not None and all(argument.annotation for argument in arguments)


def defined_kernels() -> set[str]:
    """The names in kernels/reference."""
    texts = (text for _, text in sources("minigrad/kernels/reference"))
    return {name for text in texts for name, _, _ in public_functions(ast.parse(text).body)}


@pytest.mark.parametrize("package", TYPED)
def test_public_functions_have_types_and_docstrings(package, record_property):
    total, untyped, undocumented = 0, [], []
    for path, text in sources(package):
        kernels = defined_kernels() if path.startswith(VERSIONS) else set()
        for name, function, owner in public_functions(ast.parse(text).body):
            total += 1
            if name in kernels:
                continue
            rule = is_rule(function, owner)
            if not (rule and package == "minigrad") and not is_typed(function, owner):
                untyped.append(f"{path}: {name}")
            if not rule and not is_documented(function, owner):
                undocumented.append(f"{path}: {name}")
    print(f"{package}: {total} public functions, {len(untyped)} without types, {len(undocumented)} without docstring")
    assert len(untyped) <= UNTYPED[package], "add types:\n" + "\n".join(untyped)
    assert len(undocumented) <= UNDOCUMENTED[package], "add docstrings:\n" + "\n".join(undocumented)


def test_no_file_is_long():
    long = {path: text.count("\n") for path, text in sources(*TYPED, "lessons") if not re.search(r"/\d\d_", path)}
    assert {path: lines for path, lines in long.items() if lines > LONGEST} == {}


@pytest.mark.parametrize("phrase", STRANGE)
def test_the_english_is_natural(phrase):
    found = []
    for folder in NATURAL:
        for path in sorted((ROOT / folder).rglob("*")) or [ROOT / folder]:
            if path != Path(__file__) and path.suffix in {".py", ".md", ".cu", ".cuh", ".toml", ".yml", ".h", ".cpp"}:
                text = path.read_text(encoding="utf-8")
                found += [
                    f"{path.relative_to(ROOT).as_posix()}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}"
                    for match in re.finditer(phrase.replace(" ", r"[\s#/]+"), text, re.IGNORECASE)
                ]
    assert not found, f"write {STRANGE[phrase]!r}:\n" + "\n".join(found)


def test_advice_installs_this_minigrad():
    """From a registry, minigrad[extra] would be another project of the name; in a clone it is .[extra]."""
    assert [path for path, text in sources(*TYPED, "lessons") if "minigrad[" in text] == []


def is_numba(function: ast.FunctionDef) -> bool:
    """Whether its first parameter is not the caller's: numba's own of an intrinsic."""
    return any("intrinsic" in ast.unparse(decorator) for decorator in function.decorator_list)


def test_no_function_takes_many_arguments():
    """More than MOST need a structure; a method's self, keyword-only settings and numba's own do not count."""
    long = {}
    for path, text in sources(*TYPED):
        for function in ast.walk(ast.parse(text)):
            if isinstance(function, ast.FunctionDef):
                arguments = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
                count = len(arguments) - (arguments[:1] in (["self"], ["cls"])) - is_numba(function)
                if count > MOST:
                    long.setdefault(path, []).append(function.name)
    assert {path: names for path, names in long.items() if set(names) - set(MANY.get(path, ()))} == {}
    assert {path: names for path, names in MANY.items() if set(names) - set(long.get(path, ()))} == {}, "mended: delete"
