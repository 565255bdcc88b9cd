"""The call: pairs, truncation, padding, offsets; what transformers makes of the same texts, and errors in its place."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DataError
from models.text.tokenizers import ByteTokenizer, CharTokenizer, WordTokenizer

SPECIAL = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
SINGLE, PAIR = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
WORDS = list("abcdefgh")


def made(template=SINGLE, pair_template=PAIR, **options):
    return WordTokenizer(
        WORDS, whitespace=False, special_tokens=SPECIAL, template=template, pair_template=pair_template, **options
    )


def test_one_text_and_many():
    tokenizer = made()
    assert tokenizer("a z") == {"input_ids": [2, 5, 1, 3], "token_type_ids": [0] * 4, "attention_mask": [1] * 4}
    assert tokenizer(["a z", ""]).input_ids == [[2, 5, 1, 3], [2, 3]]
    assert tokenizer(each for each in ("a z", "")).input_ids == [[2, 5, 1, 3], [2, 3]]
    assert tokenizer(np.array(["a", "b"])).input_ids == [[2, 5, 3], [2, 6, 3]]
    assert tokenizer(("a", "b"), add_special_tokens=False).input_ids == [[5], [6]]
    assert tokenizer([]) == {"input_ids": [], "token_type_ids": [], "attention_mask": []}
    with pytest.raises(AttributeError, match="no 'ids', only input_ids"):
        _ = tokenizer("a").ids


def test_padding_makes_arrays():
    tokenizer = made()
    encoding = tokenizer(["a b", ""], padding=True, return_offsets_mapping=True, return_special_tokens_mask=True)
    assert {value.dtype for value in encoding.values()} == {np.dtype(np.int64)}
    assert encoding.input_ids.tolist() == [[2, 5, 6, 3], [2, 3, 0, 0]]
    assert encoding.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert encoding.special_tokens_mask.tolist() == [[1, 0, 0, 1], [1, 1, 1, 1]]
    assert encoding.offset_mapping.tolist() == [[[0, 0], [0, 1], [2, 3], [0, 0]], [[0, 0]] * 4]
    left = tokenizer(["a b", ""], padding=True, padding_side="left")
    assert left.input_ids.tolist() == [[2, 5, 6, 3], [0, 0, 2, 3]]
    assert left.attention_mask.tolist() == [[1, 1, 1, 1], [0, 0, 1, 1]]
    same(made(padding_side="left")(["a b", ""], padding=True), left)
    assert tokenizer("a", padding=True).input_ids.shape == (1, 3)
    assert tokenizer("a", return_tensors="np").input_ids.shape == (1, 3)
    assert tokenizer("a", padding="max_length", max_length=5).input_ids.tolist() == [[2, 5, 3, 0, 0]]
    assert tokenizer([], padding=True).input_ids.shape == (0, 0)
    assert tokenizer([], padding="max_length", max_length=5).input_ids.shape == (0, 5)


def test_a_tokenizer_without_templates_joins_plainly():
    tokenizer = CharTokenizer("abc")
    assert tokenizer("ab", "c") == {"input_ids": [0, 1, 2], "token_type_ids": [0, 0, 1], "attention_mask": [1, 1, 1]}
    assert ByteTokenizer()("").input_ids == []


def test_windows_share_the_stride():
    tokenizer = made()
    windows = tokenizer(
        ["a b c d e", "f"], truncation=True, max_length=5, stride=1, return_overflowing_tokens=True, padding=True,
        return_offsets_mapping=True,
    )  # fmt: skip
    assert windows.input_ids.tolist() == [[2, 5, 6, 7, 3], [2, 7, 8, 9, 3], [2, 10, 3, 0, 0]]
    assert windows.overflow_to_sample_mapping.tolist() == [0, 0, 1]
    assert windows.offset_mapping[1].tolist() == [[0, 0], [4, 5], [6, 7], [8, 9], [0, 0]]


def test_special_tokens_enter_where_they_are_allowed():
    tokenizer = made()
    assert 3 not in tokenizer.encode("a [SEP] b")
    assert tokenizer.encode("a [SEP]b", allowed_special=["[SEP]"]).tolist() == [5, 3, 6]
    assert tokenizer.encode("[CLS][SEP]", allowed_special="all").tolist() == [2, 3]
    encoding = tokenizer("a [MASK] b", allowed_special=["[MASK]"], return_offsets_mapping=True)
    assert encoding.input_ids == [2, 5, 4, 6, 3]
    assert encoding.offset_mapping == [(0, 0), (0, 1), (2, 8), (9, 10), (0, 0)]
    nested = CharTokenizer("<>ab", ["<a", "<a>"])
    assert nested.encode("<a><ab", allowed_special="all").tolist() == [5, 4, 3]  # the longer first
    assert nested.encode("<a>").tolist() == [0, 2, 1]
    with pytest.raises(DataError, match=r"character 'c' \(U\+0063\) at position 4 "):
        nested.encode("a<a>c", allowed_special="all")
    with pytest.raises(DataError, match=r"'<b>' is not among the special tokens \['<a', '<a>'\]"):
        nested.encode("a", allowed_special=["<b>"])
    with pytest.raises(DataError, match="expected 'all' or a list"):
        nested.encode("a", allowed_special="<a>")


@given(st.text(), st.data())
def test_only_allowed_tokens_come_out_of_a_text(text, data):
    tokenizer = ByteTokenizer(["<pad>", "<s>"])
    names = data.draw(st.lists(st.sampled_from(["<pad>", "<s>", text[:3]]), max_size=4))
    text = text.join(names)
    assert max(tokenizer.encode(text), default=0) < 256
    ids = tokenizer.encode(text, allowed_special=["<s>"])
    assert 256 not in ids
    assert list(ids).count(257) == text.count("<s>")
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_decoding_with_and_without_special_tokens():
    tokenizer = made()
    assert tokenizer.decode([2, 5, 1, 6, 3]) == "a \ufffd b"
    assert tokenizer.decode([2, 5, 1, 6, 3], skip_special_tokens=False) == "[CLS] a [UNK] b [SEP]"
    assert tokenizer.batch_decode([[5], [2, 6, 7]]) == ["a", "b c"]
    assert tokenizer.encode("a b", add_special_tokens=True).tolist() == [2, 5, 6, 3]


WRONG = {
    "expected a string or a list of strings, not NoneType": lambda t: t(None),
    "expected a string or a list of strings, not int": lambda t: t(5),
    "expected a string or a list of strings, not bytes": lambda t: t(b"a"),
    "expected a string or a list of strings, not dict": lambda t: t({"a": 1}),
    r"text\[1\]: expected a string, not None of type NoneType": lambda t: t(["a", None]),
    r"text\[0\]: expected a string, not b'a' of type bytes": lambda t: t([b"a"]),
    r"text_pair\[0\]: expected a string, not 1.5 of type float": lambda t: t(["a"], [1.5]),
    "the second texts of pairs go into text_pair": lambda t: t([("a", "b")]),
    "one for one: one string and a list of 1": lambda t: t("a", ["b"]),
    "one for one: a list of 2 and a list of 1": lambda t: t(["a", "b"], ["b"]),
    r"U\+DC00 at position 2 is half of a surrogate pair": lambda t: t("a \udc00"),
    "a text is a string, not None": lambda t: t.encode(None),
    "a text is a string, not b'a'": lambda t: t.encode(b"a"),
    "max_length=4 does nothing without": lambda t: t("a", max_length=4),
    "truncation=True and padding=False need a max_length": lambda t: t("a", truncation=True),
    "padding='max_length' need a max_length": lambda t: t("a", padding="max_length"),
    "max_length=0 must be at least 1": lambda t: t("a", truncation=True, max_length=0),
    r"input 0 has 3 tokens \(2 of them special\), and max_length=1 leaves no room": lambda t: t(
        ["a", "a b"], truncation=True, max_length=1
    ),
    "give a larger max_length, or truncation=True": lambda t: t("a b c", padding="max_length", max_length=4),
    "would leave nothing of a text of 1 tokens": lambda t: t("a b c", "d", truncation="only_second", max_length=6),
    "truncation='only_second' needs a text_pair": lambda t: t("a", truncation="only_second", max_length=9),
    "truncation='longest': expected": lambda t: t("a", truncation="longest", max_length=9),
    "padding='left': expected": lambda t: t("a", padding="left"),
    "padding_side='top': expected": lambda t: t("a", padding=True, padding_side="top"),
    "return_tensors='pt': expected 'np'": lambda t: t("a", return_tensors="pt"),
    r"lengths \[3, 4\] make no array: give padding=True": lambda t: t(["a", "b c"], return_tensors="np"),
    "padding needs a pad token": lambda t: CharTokenizer("ab")(["a", "ab"], padding=True),
    "stride=1: expected 0 or more, with return_overflowing": lambda t: t("a", truncation=True, max_length=5, stride=1),
    "stride=3 must be smaller than the 3 tokens": lambda t: t(
        "a b c d", truncation=True, max_length=5, stride=3, return_overflowing_tokens=True
    ),
    "return_overflowing_tokens=True needs truncation": lambda t: t("a", return_overflowing_tokens=True),
    "errors='ignore': expected": lambda t: t("a", errors="ignore"),
    "the token 'z' is not among": lambda t: CharTokenizer("ab").convert_tokens_to_ids("z"),
    "1-D sequence of integers, not float64": lambda t: t.convert_ids_to_tokens([0.5]),
    "token id 99 at position 0 is out of range": lambda t: t.convert_ids_to_tokens(99),
}  # fmt: skip


@pytest.mark.parametrize(("message", "call"), WRONG.items(), ids=list(WRONG))
def test_one_clear_error_each(message, call):
    with pytest.raises(DataError, match=message) as error:
        call(made())
    assert "\n" not in str(error.value)


BAD_SPECIAL = {
    "each once and none of them empty": {"special_tokens": ["<a>", "<a>"]},
    "none of them empty": {"special_tokens": [""]},
    "not the string '<pad>'": {"special_tokens": "<pad>"},
    "expected ids from 0 to 16,777,216, each once": {"special_tokens": {"<a>": 1, "<b>": 1}},
    "'<a>': -1}: expected ids from 0": {"special_tokens": {"<a>": -1}},
    "'<a>': 1000000000000}: expected ids from 0": {"special_tokens": {"<a>": 10**12}},
    "'<a>': True}: expected ids from 0": {"special_tokens": {"<a>": True}},
    "'a' is a special token and an ordinary one": {"special_tokens": ["a"]},
    "role 'end': expected one of unk, bos": {"special_tokens": ["<a>"], "roles": {"end": "<a>"}},
    "the eos token '<b>' is not among the special tokens": {"special_tokens": ["<a>"], "roles": {"eos": "<b>"}},
    r"'\[CLS\]' is neither \$A, \$B nor one of": {"template": "[CLS] $A"},
    r"expected \$A once and no \$B": {"template": "$A $B"},
    r"expected \$A and then \$B": {"pair_template": "$B $A"},
    "side 'top': expected 'right' or 'left'": {"padding_side": "top"},
}


@pytest.mark.parametrize(("message", "options"), BAD_SPECIAL.items(), ids=list(BAD_SPECIAL))
def test_special_tokens_and_templates_that_do_not_fit(message, options):
    with pytest.raises(DataError, match=message):
        CharTokenizer("ab", **options)


def test_roles_of_any_name():
    tokenizer = CharTokenizer("ab", ["<|end|>", "<s>"], roles={"eos": "<|end|>", "pad": "<|end|>", "cls": "<s>"})
    assert (tokenizer.eos_id, tokenizer.pad_id, tokenizer.cls_id, tokenizer.unk_id) == (2, 2, 3, None)


# Beside transformers: WordLevel with a template, built here

TEXTS = ["", "a", "a b", "c d e", "f g h a b", "a b c d e f g h", "  b   zz  c  "]
PAIRS = list(itertools.product(TEXTS, TEXTS))


def theirs(template, **options):
    pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocabulary = SPECIAL | {word: 5 + i for i, word in enumerate(WORDS)}
    built = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    built.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if template:
        built.post_processor = processors.TemplateProcessing(*template, [("[CLS]", 2), ("[SEP]", 3)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=built, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", **options
    )


@pytest.fixture(params=[(SINGLE, PAIR), ("[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B [SEP]"), None])
def both(request, tmp_path):
    """Our tokenizer and theirs, saved to a folder and read back."""
    theirs(request.param).save_pretrained(tmp_path)
    from transformers import PreTrainedTokenizerFast

    return made(*(request.param or (None, None))), PreTrainedTokenizerFast.from_pretrained(tmp_path)


MORE = {
    "return_offsets_mapping": True, "return_special_tokens_mask": True, "return_token_type_ids": True,
}  # fmt: skip
SETTINGS = [
    {},
    {"add_special_tokens": False},
    {"padding": True},
    {"padding": True, "padding_side": "left"},
    {"padding": "max_length", "max_length": 24},
    {"padding": "max_length", "max_length": 24, "padding_side": "left", "add_special_tokens": False},
    *({"truncation": True, "max_length": length} for length in range(4, 13)),
    {"truncation": "longest_first", "max_length": 7, "padding": "max_length"},
    {"truncation": True, "max_length": 6, "padding": True, "add_special_tokens": False},
]


def same(ours, expected):
    assert set(ours) == set(expected)
    for name, value in expected.items():
        got = ours[name]
        if isinstance(value, np.ndarray) and value.size:
            np.testing.assert_array_equal(got, value)
        elif isinstance(value, np.ndarray):  # theirs have one axis less if there are no offsets
            assert got.size == 0
            assert got.shape[:2] == value.shape[:2]
        else:
            assert got == value, name


def compare(both, settings, *texts, without=()):
    """The same values as theirs but those of some names, in arrays where something is padded."""
    ours, other = both
    arrays = {"return_tensors": "np"} if settings.get("padding") else {}
    own = {key: value for key, value in MORE.items() if key != "return_token_type_ids"}
    got, expected = ours(*texts, **settings, **own), other(*texts, **settings, **MORE, **arrays)
    same(*({name: value for name, value in each.items() if name not in without} for each in (got, expected)))


@pytest.mark.parity
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("side", ["right", "left"])
def test_the_same_inputs_as_theirs(both, settings, side):
    ours, other = both
    ours.truncation_side = other.truncation_side = side
    compare(both, settings, TEXTS)
    compare(both, settings, [a for a, _ in PAIRS], [b for _, b in PAIRS])
    for text in TEXTS:
        compare(both, settings, text)
    compare(both, settings, "a b c", "d e f g")


@pytest.mark.parity
@pytest.mark.parametrize("strategy", ["only_first", "only_second"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_cutting_one_of_a_pair_as_they_do(both, strategy, side):
    ours, other = both
    ours.truncation_side = other.truncation_side = side
    refused = 0
    for (a, b), length in itertools.product(PAIRS, range(5, 14)):
        settings = {"truncation": strategy, "max_length": length}
        try:
            expected = other([a], [b], **settings, **MORE)  # in lists: alone, theirs takes an empty pair for none
        except Exception:  # theirs is of no narrower class
            refused += 1
            with pytest.raises(DataError, match="would leave nothing"):
                ours([a], [b], **settings)
            continue
        got = ours([a], [b], **settings, return_offsets_mapping=True, return_special_tokens_mask=True)
        same(got, expected)
    assert 0 < refused < len(PAIRS) * 9


@pytest.mark.parity
@pytest.mark.parametrize(("strategy", "stride"), list(itertools.product(["only_first", "only_second"], [0, 1, 2])))
@pytest.mark.parametrize("side", ["right", "left"])
def test_the_same_windows_as_theirs(both, strategy, stride, side):
    ours, other = both
    # After the first window, theirs has other token types than a template says that gives all the type 0.
    without = {"token_type_ids"} if ours.pair_template.added == 4 else ()
    ours.truncation_side = other.truncation_side = side
    settings = {"truncation": strategy, "max_length": 9, "stride": stride, "return_overflowing_tokens": True}
    firsts, seconds = ["a b", "c", "a b"], ["a b c d e f g h", "a b", "h g f e d c b a"]
    if strategy == "only_first":
        firsts, seconds = seconds, firsts
    compare(both, settings | {"padding": True}, firsts, seconds, without=without)
    compare(both, settings, firsts, seconds, without=without)
    if strategy == "only_first":
        compare(both, settings | {"max_length": 6, "truncation": True}, firsts)
