"""The architecture, kept by a test: arrows point down only, and the packages stand on their own."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("minigrad", "nn", "models", "lessons")
ORACLES = {"torch", "jax", "tensorflow", "transformers", "tokenizers", "tiktoken", "sklearn", "gensim", "keras"}
# A random forest to compare with, where it is installed.
EXCEPTIONS = {"models/classifiers/bodies/forest.py": {"sklearn"}}


def imported(path: Path) -> set[str]:
    """The top-level names that a file imports anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_imports_one_above_it_or_an_oracle(package):
    above = set(PACKAGES[PACKAGES.index(package) + 1 :])
    for path in (ROOT / package).rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        found = imported(path) & (above | ORACLES) - EXCEPTIONS.get(name, set())
        assert not found, f"{name} imports {', '.join(found)}"


def test_import_linter_agrees():
    pytest.importorskip("importlinter")
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_import_minigrad_needs_numpy_only():
    heavy = ["numba", "llvmlite", "cupy", "matplotlib", "safetensors", "rich", "tyro", "regex", "nn", "models"]
    code = f"import sys, minigrad; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_only_the_fixed_names_stand_at_the_top():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    top = {name.partition("/")[0] for name in tracked if not name.startswith(".")}
    assert top <= {"pyproject.toml", "README.md", "LICENSE", "tests", *PACKAGES}
