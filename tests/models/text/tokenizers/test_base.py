"""What every tokenizer does: ids in range, special tokens where the caller allows them, files of both versions."""

import json

import numpy as np
import pytest

from models.errors import DataError
from models.text.tokenizers import (
    ByteTokenizer,
    CharTokenizer,
    StreamDecoder,
    WordTokenizer,
    from_json,
    load,
)

PLAY = "KING HENRY V:\nOnce more unto the breach, dear friends -- once more!\n\n[Exeunt o'er the to-morrow]\n"
ALL_SPECIAL = ["<unk>", "<bos>", "<eos>", "<pad>"]
MADE = {
    "char": CharTokenizer.from_text(PLAY),
    "char, special": CharTokenizer.from_text(PLAY, ALL_SPECIAL),
    "char, astral": CharTokenizer.from_text("a\0é漢🎭" + PLAY, ["<pad>"]),
    "word": WordTokenizer.from_text(PLAY),
    "word, no special": WordTokenizer.from_text(PLAY, special_tokens=[]),
    "word, spaces dropped": WordTokenizer.from_text(PLAY, whitespace=False, special_tokens=ALL_SPECIAL),
    "word, lower case": WordTokenizer.from_text(PLAY, lowercase=True, min_count=2, max_size=9),
    "byte": ByteTokenizer(),
    "byte, special": ByteTokenizer(["<bos>", "<eos>", "<pad>"]),
}
every_tokenizer = pytest.mark.parametrize("tokenizer", MADE.values(), ids=MADE.keys())


@every_tokenizer
def test_ids_are_int64_and_in_range(tokenizer):
    ids = tokenizer.encode(PLAY)
    assert ids.dtype == np.int64
    assert ids.ndim == 1
    assert 0 <= ids.min() <= ids.max() < tokenizer.vocab_size == len(tokenizer)
    assert tokenizer.encode("").shape == (0,)
    assert tokenizer.decode(tokenizer.encode("")) == tokenizer.decode([]) == ""


@every_tokenizer
def test_json_round_trip(tokenizer, tmp_path):
    path = tmp_path / "new" / "tokenizer.json"
    tokenizer.save(path)
    for again in (load(path), from_json(json.loads(json.dumps(tokenizer.to_json())))):
        assert type(again) is type(tokenizer)
        assert again.to_json() == tokenizer.to_json()
        np.testing.assert_array_equal(again.encode(PLAY), tokenizer.encode(PLAY))
    assert [file.name for file in path.parent.iterdir()] == ["tokenizer.json"]


@every_tokenizer
def test_streaming_equals_decoding_at_once(tokenizer):
    ids = list(range(tokenizer.vocab_size)) + tokenizer.encode(PLAY).tolist()
    stream = StreamDecoder(tokenizer)
    assert "".join(map(stream.feed, ids)) + stream.finish() == tokenizer.decode(ids)


@every_tokenizer
def test_ids_out_of_range_are_named(tokenizer):
    for wrong in (-1, tokenizer.vocab_size):
        with pytest.raises(DataError, match=f"token id {wrong} at position 1 .* 0 to {tokenizer.vocab_size - 1}"):
            tokenizer.decode([0, wrong])
        with pytest.raises(DataError, match=f"token id {wrong} "):
            tokenizer.token_bytes(wrong)
    with pytest.raises(DataError, match="integers, not float64"):
        tokenizer.decode([0.5])
    with pytest.raises(DataError, match=r"1-D .* shape \(1, 1\)"):
        tokenizer.decode([[0]])


@every_tokenizer
def test_special_tokens_follow_the_vocabulary_and_are_silent(tokenizer):
    names = {"<unk>": "unk_id", "<bos>": "bos_id", "<eos>": "eos_id", "<pad>": "pad_id"}
    for token, name in names.items():
        id = getattr(tokenizer, name)
        if token in tokenizer.special_tokens:
            assert id == tokenizer.num_ordinary + tokenizer.special_tokens.index(token)
            assert tokenizer.decode([id]) == ("\ufffd" if token == "<unk>" else "")
        else:
            assert id is None


DAMAGE = {
    "no such tokenizer file": None,
    "damaged, not JSON": b'{"type": "char", "vers',
    "not a tokenizer: type None": b"[1, 2]",
    "not a tokenizer: type ['char']": b'{"type": ["char"]}',
    "'int' object is not iterable": b'{"type": "word", "version": 1, "words": 5}',
    "not a tokenizer: type 'piece', expected one of char, word, byte": b'{"type": "piece", "version": 1}',
    "format version 99: this minigrad reads versions 1 to 2": b'{"type": "byte", "version": 99}',
    "do not make a CharTokenizer": b'{"type": "char", "version": 1, "special_tokens": []}',
    "do not make a ByteTokenizer": b'{"type": "byte", "version": 1, "special_tokens": [], "extra": 1}',
    "a word vocabulary is a list of words": b'{"type": "word", "version": 1, "words": ["a", 5]}',
    "each once": b'{"type": "char", "version": 1, "characters": "aa"}',
    "not JSON": b"\xff\xfe\x00",
}


@pytest.mark.parametrize(("message", "content"), DAMAGE.items(), ids=list(DAMAGE))
def test_damaged_files(tmp_path, message, content):
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as error:
        load(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_from_json_of_another_class():
    with pytest.raises(DataError, match="type 'byte' is not CharTokenizer's"):
        CharTokenizer.from_json(ByteTokenizer().to_json())


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    MADE["char"].save(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="cannot be written: No space left on device"):
        MADE["word"].save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
