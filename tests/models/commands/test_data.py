"""`minigrad data`."""

import pytest

from models.commands.data import TABLES, main
from models.errors import DataError
from models.text.sources import corpora, datasets


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "300")


def test_list_shows_every_resource(capsys):
    assert main(["list"]) == 0
    output = capsys.readouterr().out
    words = output.split()
    for resource in [*corpora.CORPORA, *datasets.DATASETS, *datasets.WORD_SETS]:
        assert resource.name in words
        for fact in (resource.description, resource.licence, resource.size, str(resource.source or "made on the spot")):
            assert fact in " ".join(words)
    assert "shakespeare (default)" in output
    assert "4,998,173 characters" in output
    assert "7,674 texts, 8 labels" in output
    assert "19,544 questions" in output


def test_fetch_then_path(capsys):
    with pytest.raises(DataError, match="pydoc is not in the cache yet: run `minigrad data fetch pydoc` first"):
        main(["path", "pydoc"])
    assert main(["fetch", "pydoc"]) == 0
    text = corpora.get("pydoc").text()
    assert f"{len(text):,} characters, {len(set(text))} different characters" in capsys.readouterr().out
    assert main(["path", "pydoc"]) == 0
    assert capsys.readouterr().out == f"{corpora.get('pydoc').path}\n"


def test_names_are_unique_over_all_tables():
    names = [resource.name for table in TABLES.values() for resource in table]
    assert len(set(names)) == len(names)


def test_the_command_line_is_the_default(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["minigrad data", "list"])
    assert main() == 0
    assert "shakespeare" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["fetch", "path"])
@pytest.mark.parametrize(("wrong", "right"), [("shakespere", "shakespeare"), ("reuters-8", "reuters-r8")])
def test_unknown_names(command, wrong, right):
    with pytest.raises(DataError, match=f"no corpus or data set: did you mean .*{right}"):
        main([command, wrong])


@pytest.mark.parametrize("argv", [[], ["fetch"], ["steal", "pydoc"], ["list", "extra"]])
def test_bad_usage_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "minigrad data" in capsys.readouterr().err
