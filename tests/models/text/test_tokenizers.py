"""Tokenizers: what goes in comes out, what cannot is refused by name."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
    with pytest.raises(DataError, match="integer ids, not float64"):
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


# Characters


@given(st.text(min_size=1))
def test_characters_round_trip(text):
    tokenizer = CharTokenizer.from_text(text)
    ids = tokenizer.encode(text)
    assert len(ids) == len(text)
    assert tokenizer.vocab_size == len(set(text))
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode(ids.tolist()) == text


@given(st.text(min_size=1), st.text())
@example("a", "\xc4")  # beyond the table of code points: 97 + its length
def test_unknown_characters(known, text):
    plain, with_unk = CharTokenizer.from_text(known), CharTokenizer.from_text(known, ["<unk>"])
    expected = "".join(c if c in known else "\ufffd" for c in text)
    assert with_unk.decode(with_unk.encode(text)) == with_unk.decode(with_unk.encode(text, errors="unk")) == expected
    position = next((i for i, c in enumerate(text) if c not in known), None)
    for tokenizer, errors in ((plain, None), (plain, "strict"), (with_unk, "strict")):
        if position is None:
            assert tokenizer.decode(tokenizer.encode(text, errors)) == text
        else:
            with pytest.raises(DataError, match=rf"U\+{ord(text[position]):04X}\) at position {position} "):
                tokenizer.encode(text, errors)


def test_unknown_character_message():
    with pytest.raises(DataError) as error:
        CharTokenizer.from_text("abba").encode("abcé")
    assert str(error.value) == (
        "character 'c' (U+0063) at position 2 is not among the 2 this tokenizer knows: 'ab'. "
        "Leave it out, or make the tokenizer with special_tokens=['<unk>']"
    )
    with pytest.raises(DataError, match="errors='unk' needs a tokenizer made with <unk>"):
        CharTokenizer.from_text("abba").encode("a", errors="unk")
    with pytest.raises(ValueError, match="errors='ignore': expected"):
        CharTokenizer.from_text("abba").encode("a", errors="ignore")


def test_character_ids_follow_the_code_points():
    assert CharTokenizer.from_text("cab cab").encode("abc ").tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize("characters", ["", "aba"])
def test_bad_character_vocabulary(characters):
    with pytest.raises(DataError, match="each once"):
        CharTokenizer(characters)


@pytest.mark.parametrize("special", [["<what>"], ["<unk>", "<unk>"]])
def test_bad_special_tokens(special):
    with pytest.raises(DataError, match="expected some of"):
        CharTokenizer("ab", special)


@pytest.mark.parametrize("tokenizer", [CharTokenizer("ab"), ByteTokenizer()])
def test_half_a_surrogate_pair(tokenizer):
    with pytest.raises(DataError, match=r"U\+D83C at position 1 is half of a surrogate pair"):
        tokenizer.encode("a\ud83c")


# Words


@given(st.text())
@example("to-night o'er  \t\r\n\u2028 don’t -- '' --a-b- 3.14 e\u0301 漢字 _x_")
def test_words_round_trip(text):
    tokenizer = WordTokenizer.from_text(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_how_text_splits_into_words():
    text = "Don't go to-night, o'er hill--no!\n"
    tokenizer = WordTokenizer.from_text(text)
    pieces = [tokenizer.decode([id]) for id in tokenizer.encode(text)]
    assert pieces == [*("Don't", " ", "go", " ", "to-night", ",", " ", "o'er", " ", "hill", "-", "-", "no", "!", "\n")]
    dense = WordTokenizer.from_text(text, lowercase=True, whitespace=False)
    assert dense.decode(dense.encode(text)) == "don't go to-night , o'er hill - - no !"


def test_word_vocabulary_is_by_frequency_then_alphabet():
    text = "b a b c c b d"
    assert WordTokenizer.from_text(text, whitespace=False).words == ["b", "c", "a", "d"]
    assert WordTokenizer.from_text(text, whitespace=False, min_count=2).words == ["b", "c"]
    small = WordTokenizer.from_text(text, whitespace=False, max_size=3, special_tokens=["<unk>", "<pad>"])
    assert small.words == ["b"]
    assert small.vocab_size == 3
    assert small.encode("b d").tolist() == [0, small.unk_id]
    with pytest.raises(DataError, match="max_size=1 leaves no room"):
        WordTokenizer.from_text(text, max_size=1)


@pytest.mark.parametrize(("whitespace", "lowercase"), [(True, False), (False, True)])
def test_unknown_word_is_named_with_its_position(whitespace, lowercase):
    tokenizer = WordTokenizer.from_text("to be or not to be", whitespace=whitespace, lowercase=lowercase)
    assert tokenizer.decode(tokenizer.encode("to boldly be")) == "to \ufffd be"
    with pytest.raises(DataError, match=r"word 'boldly' at position 6 is not among the \d this tokenizer knows"):
        tokenizer.encode("to be boldly not", errors="strict")


# Bytes


@given(st.text())
def test_bytes_round_trip(text):
    tokenizer = ByteTokenizer(["<eos>"])
    ids = tokenizer.encode(text)
    assert bytes(ids.tolist()) == text.encode()
    assert tokenizer.decode(ids) == text


def test_a_byte_tokenizer_has_no_use_for_unk():
    with pytest.raises(DataError, match="knows every text"):
        ByteTokenizer(["<unk>"])


@given(st.text())
def test_streaming_never_emits_a_broken_character(text):
    tokenizer = ByteTokenizer()
    stream = StreamDecoder(tokenizer)
    so_far = ""
    for id in tokenizer.encode(text):
        so_far += stream.feed(id)
        assert text.startswith(so_far)
    assert so_far == text
    assert stream.finish() == ""


@given(st.lists(st.integers(0, 257)))
@example([0xF0, 0x9F, 0x8E])  # ends inside a character
@example([0xE2, 256, 0x82, 0xAC])  # a silent token inside a character
@example([0xED, 0xA0, 0x80, 0xFF, 0xC0, 0x80])
def test_streaming_any_bytes_equals_decoding_at_once(ids):
    tokenizer = ByteTokenizer(["<bos>", "<eos>"])
    stream = StreamDecoder(tokenizer)
    expected = bytes(id for id in ids if id < 256).decode("utf-8", "replace")
    for _ in range(2):  # finish() makes it ready for another text
        assert "".join(map(stream.feed, ids)) + stream.finish() == tokenizer.decode(ids) == expected


# Files

DAMAGE = {
    "no such tokenizer file": None,
    "damaged, not JSON": b'{"type": "char", "vers',
    "not a tokenizer: type None": b"[1, 2]",
    "not a tokenizer: type ['char']": b'{"type": ["char"]}',
    "'int' object is not iterable": b'{"type": "word", "version": 1, "words": 5}',
    "not a tokenizer: type 'piece', expected one of char, word, byte": b'{"type": "piece", "version": 1}',
    "format version 99: this minigrad reads version 1": b'{"type": "byte", "version": 99}',
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
