"""Characters: what goes in comes out, what cannot is refused by name."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.errors import DataError
from models.text.tokenizers import CharTokenizer


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


@given(st.lists(st.integers(0, 12), max_size=4, unique=True), st.text("abcxyz\u0301\u20ac🎭", min_size=1))
def test_special_tokens_take_any_ids(ids, text):
    """The characters have the free ids in order, and what goes in comes out."""
    tokenizer = CharTokenizer.from_text(text)
    moved = CharTokenizer(tokenizer.characters, {f"<{id}>": id for id in ids})
    free = [id for id in range(100) if id not in ids]
    assert moved.encode(text).tolist() == [free[id] for id in tokenizer.encode(text)]
    assert moved.decode(moved.encode(text)) == text
    assert moved.vocab_size == 1 + max([*ids, free[len(tokenizer) - 1]])
    assert moved.get_vocab() == {c: free[i] for i, c in enumerate(tokenizer.characters)} | {f"<{id}>": id for id in ids}


def test_accents_stay_as_they_are_written():
    tokenizer = CharTokenizer.from_text("e\u0301\u00e9")
    assert tokenizer.encode("e\u0301\u00e9").tolist() == [0, 2, 1]


def test_offsets_are_characters():
    tokenizer = CharTokenizer.from_text("a🎭b")
    assert tokenizer("b🎭", return_offsets_mapping=True).offset_mapping == [(0, 1), (1, 2)]
