"""Text files: what is wrong with one is said in one line, and a write is whole or not there."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DataError
from models.text.files import read_text, sha256, write_atomically

TEXT = "Now is the winter of our discontent\nMade glorious summer by this sun of York;\n" * 3

BAD = {
    "empty": (b"", "is empty: give a file with some text"),
    "too short": (b"To be", "is too short: 5 characters, and at least 100 are needed"),
    "latin-1": (TEXT.encode() + b"caf\xe9 " + TEXT.encode(), f"byte 0xe9 at offset {len(TEXT) + 3}"),
    "utf-16": (TEXT.encode("utf-16"), "is not UTF-8 text: byte 0xff at offset 0"),
    "cut inside a character": (TEXT.encode() + "é".encode()[:1], "unexpected end of data"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD.keys())
def test_files_that_will_not_do(tmp_path, content, message):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_text(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt: no such file"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(DataError, match="is a directory: give one text file"):
        read_text(tmp_path)


def test_unreadable_file(tmp_path, monkeypatch):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)  # root may read everything
    with pytest.raises(DataError, match=r"text\.txt: cannot be read: Permission denied"):
        read_text(path)


def test_line_ends_and_byte_order_mark(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode() + b"old\rmac\r")
    assert read_text(str(path)) == TEXT + "old\nmac\n"


@given(data=st.binary(max_size=100))
def test_written_is_what_is_read(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "written" / "file.bin"
    write_atomically(path, data)
    assert path.read_bytes() == data
    assert os.listdir(path.parent) == ["file.bin"]


@pytest.mark.skipif(os.name == "nt", reason="no permission bits")
def test_written_file_has_ordinary_permissions(tmp_path):
    write_atomically(tmp_path / "file", b"data")
    (tmp_path / "other").write_bytes(b"data")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "other")}
    assert len(modes) == 1


@pytest.mark.parametrize("fails", ["os.fsync", "os.replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, fails):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fails, full)
    with pytest.raises(DataError, match="file: cannot be written: No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(DataError, match="cannot be written"):
        write_atomically(tmp_path / "file" / "below", b"data")


def test_sha256_is_the_standard_one():
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
