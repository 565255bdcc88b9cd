"""The README's section on PyTorch is what the code gives, and each difference it claims is so."""

import importlib.util
import json

import pytest

from tests.support import compatibility
from tests.support.differences import DIFFERENCES


def test_the_readme_is_up_to_date():
    readme = (compatibility.ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.count(compatibility.START) == readme.count(compatibility.END) == 1
    assert readme == compatibility.with_section(readme), "run: python -m tests.support.compatibility"


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.what)
def test_differences_are_so(difference):
    difference.check()


@pytest.mark.parametrize("name", compatibility.NAMESPACES)
def test_most_names_are_sorted_into_groups(name):
    here, gone = compatibility.compared()[name]
    assert here
    assert not set(here) & set(gone)


@pytest.mark.parity
def test_the_stored_names_are_pytorchs():
    assert importlib.util.find_spec("torch")
    stored = json.loads(compatibility.NAMES.read_text(encoding="utf-8"))
    installed = compatibility.torch_names()
    for name, names in installed.items():
        assert len(set(names) ^ set(stored[name])) < 0.1 * len(names), f"{name}: run with --names"
