"""The tokenizer of a classifier: which tokens its texts are made of."""

from collections import Counter
from collections.abc import Sequence

import regex

from models.classifiers.config import ClassifierConfig
from models.errors import UserError
from models.text.tokenizers import PAD, UNK, CharTokenizer, Tokenizer, WordTokenizer

# Scripts without spaces between words: Chinese characters, kana, and those of Thai, Lao, Khmer and Burmese.
UNSPACED = regex.compile(r"[[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]&&\p{L}]", regex.V1)
LETTER = regex.compile(r"\p{L}")
SAMPLE = 1000  # texts that are looked at to see what language they are in


def make_tokenizer(texts: Sequence[str], config: ClassifierConfig) -> Tokenizer:
    """Words or characters of the training texts, the frequent ones, with <unk> and <pad> (the last id).

    Raises UserError when less than two different tokens are left: every text would look the same.
    """
    kind = tokens_of(texts) if config.tokens == "auto" else config.tokens
    special, size = [UNK, PAD], config.max_vocab_size
    if kind == "word":
        tokenizer = WordTokenizer.from_text(
            "\n".join(texts), config.min_count, size + len(special), lowercase=True, whitespace=False,
            special_tokens=special,
        )  # fmt: skip
        known = tokenizer.num_ordinary
    else:
        counts = Counter(character for text in texts for character in text)
        frequent = [character for character, n in counts.most_common(size) if n >= config.min_count]
        known = len(frequent)
    if known < 2:
        raise UserError(
            f"the {len(texts)} texts have {known} different tokens ({kind}s that occur at least min_count="
            f"{config.min_count} times): there is nothing to tell them apart by. Give more texts or a smaller min_count"
        )
    return tokenizer if kind == "word" else CharTokenizer("".join(sorted(frequent)), special)


def tokens_of(texts: Sequence[str]) -> str:
    """ "char" for texts of a language without spaces between words, else "word"; by most of their letters."""
    sample = "".join(texts[:: max(1, len(texts) // SAMPLE)])
    unspaced = len(UNSPACED.findall(sample))
    return "char" if 2 * unspaced > len(LETTER.findall(sample)) else "word"
