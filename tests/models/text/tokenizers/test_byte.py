"""Bytes: every text in, the same text out, whole characters only."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.errors import DataError
from models.text.tokenizers import ByteTokenizer, StreamDecoder


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


@given(st.text())
def test_a_byte_stands_where_its_character_does(text):
    tokenizer = ByteTokenizer({"<s>": 0})
    encoding = tokenizer(text, return_offsets_mapping=True)
    expected = [(i, i + 1) for i, character in enumerate(text) for _ in character.encode()]
    assert encoding.offset_mapping == expected
    assert [id - 1 for id in encoding.input_ids] == list(text.encode())  # 0 is taken
    assert tokenizer.decode(encoding.input_ids) == text


def test_half_a_surrogate_pair():
    with pytest.raises(DataError, match=r"U\+D83C at position 1 is half of a surrogate pair"):
        ByteTokenizer().encode("a\ud83c")


def test_bytes_have_names():
    tokenizer = ByteTokenizer(["<eos>"])
    assert tokenizer.convert_ids_to_tokens([0xC3, 256]) == ["<0xC3>", "<eos>"]
    assert tokenizer.convert_tokens_to_ids(["<0xC3>", "<eos>"]) == [0xC3, 256]
