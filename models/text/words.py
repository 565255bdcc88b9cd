"""What a word is: the one answer for tokenizers, word vectors, classifiers and metrics.

A word is a run of letters, digits, underscores and the marks that belong to them: the vowel signs of हिन्दी, the
harakat of كِتَابٌ, the points of שָׁלוֹם, the tone marks of น้ำ, an accent written as a code point of its own. An
apostrophe, a hyphen, a middle dot, a geresh or a joiner inside is part of it: o'er, to-night, col·lecció, צה״ל,
می‌خواهم.
What is neither a word nor white space is taken as readers see it, one grapheme cluster (Unicode Standard Annex 29) at
a time: a family of emoji is one piece, and so is a flag.

What looks the same has one key: keys are in the normal form NFC, so that é is one letter whether it was one code point
or two. NFC alone: case, harakat and typographic variants (’ and ') stay as they are.
"""

import re
import unicodedata

import regex

_LETTER = r"[\p{L}\p{M}\p{N}\p{Pc}]"
_JOINED = rf"(?!\p{{M}}){_LETTER}+(?:[\u200c\u200d]+{_LETTER}+)*"  # a mark without its letter begins no word
_INSIDE = r"(?:['’\-\u2010\u2011·׳״\u00ad]|[\u200c\u200d]+)"
_WORD = rf"(?!\p{{M}}){_LETTER}+(?:{_INSIDE}{_LETTER}+)*"

PIECES = regex.compile(rf"{_WORD}|\s|\X")  # every character falls in one of the three
WORDS = regex.compile(rf"({_WORD})|\X")
LETTERS = regex.compile(rf"({_JOINED})|\X")
ASCII_PIECES = re.compile(r"\w+(?:['-]\w+)*|\s|[^\w\s]")  # the same for texts of ASCII, twice as fast
ASCII_WORDS = re.compile(r"\w+(?:['-]\w+)*")


def piece_pattern(text: str) -> "re.Pattern[str] | regex.Pattern[str]":
    """What cuts this text into words, white-space characters and other grapheme clusters, without leaving any out."""
    return ASCII_PIECES if text.isascii() else PIECES


def nfc(text: str) -> str:
    """The text in the normal form NFC: letters and their accents composed where Unicode has a code point for both."""
    return unicodedata.normalize("NFC", text)


def words(text: str) -> list[str]:
    """The words alone, as keys: in NFC and without soft hyphens, which only say where a line may break."""
    if text.isascii():
        return ASCII_WORDS.findall(text)
    return list(filter(None, WORDS.findall(nfc(text).replace("\u00ad", ""))))


def runs_of_letters(text: str) -> list[str]:
    """Words cut at apostrophes and hyphens, too, as keys in NFC: don't is don and t."""
    return list(filter(None, LETTERS.findall(nfc(text))))
