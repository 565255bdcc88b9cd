"""Words: what is one word to a reader is one token."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.errors import DataError
from models.text.tokenizers import WordTokenizer, from_json


@given(st.text())
@example("to-night o'er  \t\r\n\u2028 don’t -- '' --a-b- 3.14 e\u0301 漢字 _x_")
def test_words_round_trip(text):
    tokenizer = WordTokenizer.from_text(text)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == unicodedata.normalize("NFC", text)
    offsets = tokenizer(text, return_offsets_mapping=True).offset_mapping
    pieces = [text[begin:end] for begin, end in offsets]
    assert "".join(pieces) == text
    assert [unicodedata.normalize("NFC", piece) for piece in pieces] == tokenizer.convert_ids_to_tokens(ids)


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


def test_what_looks_the_same_is_one_token():
    tokenizer = WordTokenizer.from_text("café हिन्दी", whitespace=False)
    assert tokenizer.words == ["café", "हिन्दी"]
    assert tokenizer.encode("cafe\u0301", errors="strict").tolist() == tokenizer.encode("caf\u00e9").tolist() == [0]
    assert tokenizer("cafe\u0301 हिन्दी", return_offsets_mapping=True).offset_mapping == [(0, 5), (6, 12)]


def test_lower_case_keeps_the_offsets_of_the_text():
    tokenizer = WordTokenizer.from_text("İstanbul ist groß", lowercase=True, whitespace=False)
    encoding = tokenizer("İSTANBUL ist", return_offsets_mapping=True)
    assert encoding.offset_mapping == [(0, 8), (9, 12)]  # though the lower case of İ is two code points
    assert tokenizer.unk_id not in encoding.input_ids


def test_a_vocabulary_of_version_1_is_read_as_it_was_made():
    """Then marks ended a word, and so they still do with that vocabulary: not everything becomes unknown."""
    data = {
        "type": "word", "version": 1, "words": ["न", "ह", "\u093f", "café", "cafe"],
        "lowercase": False, "whitespace": False, "special_tokens": ["<unk>", "<pad>"],
    }  # fmt: skip
    old = from_json(data)
    assert old.encode("हिन café cafe\u0301").tolist() == [1, 2, 0, 3, 4, 5]
    again = from_json(old.to_json())
    assert again.to_json() == old.to_json()
    assert again.to_json()["version"] == 2
    assert again.encode("हिन café cafe\u0301").tolist() == [1, 2, 0, 3, 4, 5]
    assert (old.unk_id, old.pad_id, old.vocab_size) == (5, 6, 7)
