"""What a word is to a reader is one key, in every script and wherever a text is cut into words."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.classifiers.bodies.bag_of_words import words as bag_words
from models.classifiers.vocabulary import tokens_of
from models.metrics import exact_match
from models.text.tokenizers import WordTokenizer
from models.text.words import ASCII_PIECES, ASCII_WORDS, PIECES, WORDS, piece_pattern, words
from models.vectors.vocabulary import split_sentences

ONE_WORD = {
    "Devanagari": "हिन्दी",
    "Devanagari with a joiner": "क्\u200dष",
    "Bengali": "বাংলা",
    "Tamil": "தமிழ்",
    "Arabic with harakat": "كِتَابٌ",
    "Persian with a non-joiner": "می\u200cخواهم",
    "Hebrew with points": "שָׁלוֹם",
    "Hebrew with gershayim": "צה״ל",
    "Thai": "ที่นี่",
    "Lao": "ນ້ຳ",
    "é as one": "caf\u00e9",
    "é as two": "cafe\u0301",
    "Vietnamese, decomposed": unicodedata.normalize("NFD", "tiếng"),
    "Korean, decomposed": unicodedata.normalize("NFD", "한국어"),
    "Japanese, decomposed": unicodedata.normalize("NFD", "ガラス"),
    "apostrophe": "o'er",
    "typographic apostrophe": "don’t",
    "hyphen": "to-night",
    "non-breaking hyphen": "to\u2011night",
    "Catalan": "col·lecció",
    "digits": "x²½",
}
ONE_SIGN = {"family": "👨‍👩‍👧", "skin": "👍🏽", "flag": "🇩🇪", "heart": "❤️", "pirates": "🏴‍☠️", "dash": "—"}


@pytest.mark.parametrize("word", ONE_WORD.values(), ids=ONE_WORD)
def test_one_word_is_one_key_everywhere(word):
    text, key = f"one {word}, two {unicodedata.normalize('NFD', word)}!", unicodedata.normalize("NFC", word)
    assert words(text) == ["one", key, "two", key]
    assert split_sentences(text)[0] == ["one", key.lower(), "two", key.lower()]
    tokenizer = WordTokenizer.from_text(text, whitespace=False)
    assert tokenizer.words == [key, "!", ",", "one", "two"]
    if not re.search(r"['’·״\u2011-]", word):  # at which scikit-learn's words, and so the bag's, end
        assert bag_words(text) == ["one", key.lower(), "two", key.lower()]


@pytest.mark.parametrize("sign", ONE_SIGN.values(), ids=ONE_SIGN)
def test_a_sign_is_one_token(sign):
    tokenizer = WordTokenizer.from_text(f"a{sign}b {sign}{sign}")
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode(f"{sign}{sign}b a")) == [sign, sign, "b", " ", "a"]
    assert words(f"a{sign}b") == ["a", "b"]


def test_a_soft_hyphen_is_no_part_of_a_key():
    assert words("to\u00adday") == ["today"]


@given(st.text(st.characters(max_codepoint=127)))
@example("it's a--b to-night 'x' _y_ 3.14 \x1c\r\n")
def test_ascii_is_cut_as_all_text_is(text):
    assert ASCII_PIECES.findall(text) == PIECES.findall(text)
    assert ASCII_WORDS.findall(text) == list(filter(None, WORDS.findall(text)))


@given(st.text())
def test_nothing_is_left_out(text):
    assert "".join(piece_pattern(text).findall(text)) == text


@given(st.text())
def test_normal_forms_have_the_same_words(text):
    """Where only marks are composed; characters with no mark that NFC replaces by others are left aside."""
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert words(composed) == words(decomposed)


def test_articles_end_at_ends_of_words():
    assert exact_match(["la\u0300 a\u0300 la carte"], ["là à la carte"]) == 1
    assert exact_match(["a\u0323\u0302 b"], ["b"]) == 0  # ậ is no article, though it begins with an a


def test_scripts_without_spaces():
    assert tokens_of(["ที่นี่อาหารอร่อยมาก"]) == tokens_of(["ນ້ຳດື່ມ"]) == tokens_of(["ខ្មែរ"]) == "char"
    assert tokens_of(["हिन्दी में लिखा"]) == tokens_of(["한국어 문장"]) == "word"


def test_sentences_end_at_a_danda_and_at_an_arabic_question_mark():
    assert split_sentences("राम आया। सीता गई") == [["राम", "आया"], ["सीता", "गई"]]
    assert split_sentences("كيف حالك؟ بخير") == [["كيف", "حالك"], ["بخير"]]
