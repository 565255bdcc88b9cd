"""What every tokenizer does: ids in range, special tokens where the caller allows them, files of both versions."""

import json
import re

import numpy as np
import pytest

from models.errors import DataError
from models.text.tokenizers import (
    ByteTokenizer,
    CharTokenizer,
    StreamDecoder,
    Tokenizer,
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


# What the sub-words to come need of the base: three kinds of tokenizers, each its pieces and its bytes


class Greedy(Tokenizer):
    """The longest match first, as in WordPiece: what goes on within a word is written ##."""

    type, unit, separator = "greedy", "word", b" "

    def _pieces(self, text, with_offsets):
        ids, offsets = [], []
        for match in re.finditer(r"\S+", text):
            start, found = match.start(), []
            while start < match.end():
                for end in range(match.end(), start, -1):
                    piece = "##" * (start > match.start()) + text[start:end]
                    if piece in self._ids:
                        found.append((self._ids[piece], (start, end)))
                        start = end
                        break
                else:
                    found, start = [(-1, match.span())], match.end()
            ids += [id for id, _ in found]
            offsets += [span for _, span in found]
        return np.array(ids, np.int64), np.array(offsets, np.int64).reshape(-1, 2)

    def _ordinary_bytes(self, id, first):
        token = self._token(id)
        if token.startswith("##") and not first:
            return token[2:].encode()
        return super()._ordinary_bytes(id, first)

    def _fields(self):
        return {"tokens": list(self._tokens)}


class Underlined(Tokenizer):
    """A character each, spaces as ▁ and one before the text, as SentencePiece has it."""

    type, unit = "underlined", "character"

    def _pieces(self, text, with_offsets):
        shown = "▁" + text.replace(" ", "▁")
        ids = np.array([self._ids.get(character, -1) for character in shown], np.int64)
        ends = np.arange(len(shown))
        return ids, np.stack([np.maximum(ends - 1, 0), ends], 1)

    def _ordinary_bytes(self, id, first):
        text = self._token(id).replace("▁", " ")
        return (text.removeprefix(" ") if first else text).encode()

    def _fields(self):
        return {"tokens": list(self._tokens)}


class Pairs(Tokenizer):
    """Two bytes each, wherever they end in a character, as in byte-level BPE."""

    type, unit = "pairs", "bytes"

    def _pieces(self, text, with_offsets):
        data = text.encode()
        character = np.repeat(np.arange(len(text)), [len(each.encode()) for each in text])
        pieces = [data[i : i + 2] for i in range(0, len(data), 2)]
        offsets = [(character[i], character[min(i + 1, len(data) - 1)] + 1) for i in range(0, len(data), 2)]
        ids = [self._ids.get(piece.hex(), -1) for piece in pieces]
        return np.array(ids, np.int64), np.array(offsets, np.int64).reshape(-1, 2)

    def _ordinary_bytes(self, id, first):
        return bytes.fromhex(self._token(id))

    def _fields(self):
        return {"tokens": list(self._tokens)}


BERTS = {"[PAD]": 0, "[UNK]": 2, "[CLS]": 3, "[SEP]": 5, "[MASK]": 9}
PIECES = ["to", "day", "##day", "##s", "is", "good", "##ly", "néw", "##🎭"]
AROUND = {"template": "[CLS] $A [SEP]", "pair_template": "[CLS] $A [SEP] $B:1 [SEP]:1"}
MADE_HERE = {
    "greedy": (Greedy(PIECES, BERTS, **AROUND), "today is goodly days🎭 néw ", "today is goodly days🎭 néw"),
    "underlined": (Underlined("▁abé🎭", ["<s>", "<unk>"], template="<s> $A"), " a é🎭b  b", " a é🎭b  b"),
    "pairs": (
        Pairs([data.hex() for data in (b"a\xc3", b"\xa9 ", b"\xf0\x9f", b"\x8e\xad", b"b")], {"<eos>": 1}),
        "aé 🎭🎭b",
        "aé 🎭🎭b",
    ),
}


@pytest.mark.parametrize(("tokenizer", "text", "expected"), MADE_HERE.values(), ids=MADE_HERE)
def test_a_new_kind_is_its_pieces_and_its_bytes(tokenizer, text, expected, tmp_path):
    ids = tokenizer.encode(text, errors="strict")
    assert tokenizer.decode(ids) == expected
    stream = StreamDecoder(tokenizer)
    everything = [*range(tokenizer.vocab_size), *ids.tolist()]
    assert "".join(map(stream.feed, everything)) + stream.finish() == tokenizer.decode(everything)
    again = type(tokenizer).from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert again.to_json() == tokenizer.to_json()
    assert again(text) == tokenizer(text)
    encoding = tokenizer(text, return_offsets_mapping=True)
    assert all(0 <= begin <= end <= len(text) for begin, end in encoding.offset_mapping)
    assert tokenizer.convert_tokens_to_ids(tokenizer.convert_ids_to_tokens(encoding.input_ids)) == encoding.input_ids


@pytest.mark.parity
def test_longest_match_first_beside_theirs():
    """WordPiece of the library `tokenizers`, with BERT's special tokens among the others: ids, offsets, text."""
    theirs = pytest.importorskip("tokenizers")
    ours = MADE_HERE["greedy"][0]
    built = theirs.Tokenizer(theirs.models.WordPiece(ours.get_vocab(), unk_token="[UNK]"))
    built.pre_tokenizer = theirs.pre_tokenizers.WhitespaceSplit()
    built.decoder = theirs.decoders.WordPiece(cleanup=False)
    built.post_processor = theirs.processors.TemplateProcessing(
        ours._written[0], ours._written[1], [("[CLS]", 3), ("[SEP]", 5)]
    )
    rng = np.random.default_rng(0)
    letters = ["to", "day", "s", " ", "is", "good", "ly", "néw", "🎭", "  ", "x"]
    for _ in range(500):
        one, other = ("".join(rng.choice(letters, 8)) for _ in range(2))
        expected, got = built.encode(one, other), ours(one, other, return_offsets_mapping=True)
        assert got.input_ids == expected.ids
        assert got.token_type_ids == expected.type_ids
        assert got.offset_mapping == expected.offsets
        assert ours.convert_ids_to_tokens(got.input_ids) == expected.tokens
        known = [id for id in got.input_ids if id not in BERTS.values()]
        assert ours.decode(known) == built.decode(known)


# Files of version 1

VERSION_1 = [
    ({"type": "char", "characters": " abé漢", "special_tokens": ["<unk>", "<pad>"]}, "béx 漢", [2, 3, 5, 0, 4]),
    ({"type": "char", "characters": "ba", "special_tokens": []}, "aab", [1, 1, 0]),
    ({"type": "byte", "special_tokens": ["<bos>"]}, "aé", [97, 195, 169]),
    (
        {"type": "word", "words": ["b", " ", "it's"], "lowercase": True, "whitespace": True,
         "special_tokens": ["<unk>"]},
        "It's  B!", [2, 1, 1, 0, 3],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("data", "text", "ids"), VERSION_1, ids=lambda value: str(value)[:30])
def test_files_of_version_1_give_the_same_ids(data, text, ids):
    tokenizer = from_json(data | {"version": 1})
    assert tokenizer.encode(text).tolist() == ids
    assert tokenizer.special_tokens == data["special_tokens"]
    again = from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert again.encode(text).tolist() == ids
    assert tokenizer.to_json()["version"] == 2


def test_everything_is_saved(tmp_path):
    options = {"roles": {"sep": "<eos>"}, "padding_side": "left", "truncation_side": "left"}
    tokenizer = CharTokenizer(
        "ab", {"<eos>": 0, "<pad>": 7}, template="$A <eos>", pair_template="$A <eos> $B", **options
    )
    tokenizer.save(tmp_path / "tokenizer.json")
    again = load(tmp_path / "tokenizer.json")
    assert again.to_json() == tokenizer.to_json()
    assert (again.sep_id, again.eos_id, again.pad_id, again.vocab_size) == (0, 0, 7, 8)
    assert again(["ab", "b"], padding=True).input_ids.tolist() == [[1, 2, 0], [7, 2, 0]]
    assert again("ab", "b").input_ids == [1, 2, 0, 2]
    assert again.convert_ids_to_tokens([0, 1, 5]) == ["<eos>", "a", "<no token>"]
    assert again.decode([1, 5, 7, 2]) == "ab"
