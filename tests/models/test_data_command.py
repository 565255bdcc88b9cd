"""`minigrad data`."""

import pytest

from models.commands.data import main
from models.text import corpora
from models.text.files import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


def test_list_shows_every_corpus(capsys):
    assert main(["list"]) == 0
    output = capsys.readouterr().out
    for corpus in corpora.CORPORA:
        assert corpus.name in output
        assert corpus.licence in output
        assert str(corpus.source or "made on the spot") in output
    assert "shakespeare (default)" in output
    assert "4,998,173" in output


def test_fetch_then_path(capsys):
    with pytest.raises(DataError, match="pydoc is not in the cache yet: run `minigrad data fetch pydoc` first"):
        main(["path", "pydoc"])
    assert main(["fetch", "pydoc"]) == 0
    text = corpora.get("pydoc").text()
    assert f"{len(text):,} characters, {len(set(text))} different ones" in capsys.readouterr().out
    assert main(["path", "pydoc"]) == 0
    assert capsys.readouterr().out == f"{corpora.get('pydoc').path}\n"


def test_the_command_line_is_the_default(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["minigrad data", "list"])
    assert main() == 0
    assert "shakespeare" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["fetch", "path"])
def test_unknown_corpus(command):
    with pytest.raises(DataError, match="did you mean shakespeare"):
        main([command, "shakespere"])


@pytest.mark.parametrize("argv", [[], ["fetch"], ["steal", "pydoc"], ["list", "extra"]])
def test_bad_usage_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "minigrad data" in capsys.readouterr().err
