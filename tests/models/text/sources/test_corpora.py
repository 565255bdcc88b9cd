"""Corpora: names and files, the cache of converted text, and (marked network) the real ones."""

import subprocess
import sys

import pytest

from models.errors import DataError
from models.text.files import sha256
from models.text.sources import corpora
from models.text.sources.corpora import Corpus
from models.text.sources.fetching import Artifact, Url

TEXT = "To be, or not to be, that is the question:\n" * 5


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def soliloquy(tmp_path, monkeypatch):
    """A corpus whose source is a file: URL and whose converter changes the text."""
    source = tmp_path / "source"
    source.write_bytes(TEXT.upper().encode())
    corpus = Corpus(
        name="soliloquy",
        description="a speech",
        licence="public domain",
        source=Url(source.as_uri(), "source.txt", sha256(source.read_bytes())),
        convert=lambda data: data.decode().capitalize().replace("\nto", "\nTo"),
        characters=len(TEXT),
        sha256=sha256(TEXT.encode()),
    )
    monkeypatch.setattr(corpora, "CORPORA", [*corpora.CORPORA, corpus])
    return corpus


def test_the_table():
    names = corpora.names()
    assert names[0] == corpora.DEFAULT == "shakespeare"
    assert len(set(names)) == len(names)
    for name in names:
        corpus = corpora.get(name)
        assert corpus.name == name
        assert corpus.description
        assert corpus.licence
        if corpus.source is not None:
            assert len(corpus.sha256) == len(corpus.source.sha256) == 64
            assert corpus.characters > 100_000
    sources = {corpora.get(name).source for name in names} - {None}
    assert len({source.filename for source in sources}) == len(sources)  # they share a cache


def test_unknown_names_get_the_closest():
    with pytest.raises(DataError, match="'shakespear' is neither a corpus nor a file: did you mean shakespeare"):
        corpora.get("shakespear")
    with pytest.raises(DataError, match=r"there are shakespeare, .*pydoc"):
        corpora.text("xyzzy")


def test_text_is_fetched_converted_and_cached(soliloquy, tmp_path):
    assert corpora.text("soliloquy") == TEXT
    (tmp_path / "source").unlink()
    (tmp_path / "cache" / "downloads" / "source.txt").unlink()
    assert corpora.text("soliloquy") == TEXT  # from the converted text alone
    assert soliloquy.fetch() == soliloquy.path
    assert soliloquy.path.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("damaged", [b"", TEXT[:-1].encode(), b"\xff" + TEXT.encode()])
def test_damaged_text_is_converted_again(soliloquy, damaged):
    soliloquy.fetch()
    soliloquy.path.write_bytes(damaged)
    assert corpora.text("soliloquy") == TEXT
    assert soliloquy.path.read_bytes() == TEXT.encode()


def test_both_caches_damaged(soliloquy, cache):
    soliloquy.fetch()
    soliloquy.path.write_bytes(b"?")
    (cache / "downloads" / "source.txt").write_bytes(b"?")
    assert soliloquy.text() == TEXT


def test_a_converter_that_drifted_is_our_own_bug(soliloquy):
    changed = Corpus(**{**vars(soliloquy), "convert": lambda data: data.decode()})
    with pytest.raises(AssertionError, match="converter and its sha256 in the table disagree"):
        changed.text()
    assert not changed.path.exists()


def test_local_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "diary.txt", tmp_path / "diary", tmp_path / "shakespeare"):
        path.write_text(TEXT, encoding="utf-8")
        assert corpora.text(path) == TEXT
    assert corpora.text("diary.txt") == corpora.text("diary") == TEXT
    assert corpora.text("./shakespeare") == TEXT
    monkeypatch.setenv("HOME", str(tmp_path))
    assert corpora.text("~/diary.txt") == TEXT
    with pytest.raises(DataError, match=r"dairy\.txt: no such file"):
        corpora.text("dairy.txt")
    with pytest.raises(DataError, match="no such file"):
        corpora.text("none/diary")
    with pytest.raises(DataError, match="is a directory"):
        corpora.text(".")
    with pytest.raises(DataError, match=f"too short: {len(TEXT)} characters, and at least 1000"):
        corpora.text("diary", minimum_characters=1000)


def test_the_last_resort_needs_no_network_and_says_what_it_is(capsys, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", "/dev/null/nowhere")  # nor a cache
    text = corpora.text("pydoc")
    assert len(text) > 300_000
    assert "the last resort without a network" in capsys.readouterr().err


def test_the_last_resort_can_be_written_for_other_programs():
    path = corpora.get("pydoc").fetch()
    assert path.read_text(encoding="utf-8") == corpora.text("pydoc")


def test_python_without_its_documentation(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match="built without pydoc_data; use --data FILE"):
        corpora.text("pydoc")


def test_importing_is_light():
    program = (
        "import sys, models.text.sources.corpora; print([m for m in ('rich', 'pip', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.network
@pytest.mark.parametrize("name", [c.name for c in corpora.CORPORA if isinstance(c.source, Artifact)])
def test_the_real_artifacts(name):
    corpus = corpora.get(name)
    text = corpora.text(name)  # checks both hashes on the way
    assert len(text) == corpus.characters
    assert corpora.text(name) == text  # from the cache


@pytest.mark.network
def test_the_default_corpus_is_plays():
    text = corpora.text(corpora.DEFAULT)
    assert len(set(text)) == 77
    assert set(text) < {chr(i) for i in range(128)}
    assert "\n\nHAMLET:\nTo be, or not to be: that is the question:\n" in text
    assert "\n\nROMEO AND JULIET\n\nACT I\n" in text
    assert not set("_*#\\\t\r") & set(text)
    assert text.count("\n[Exeunt]\n") > 500
