"""BLEU, ROUGE, exact match, perplexity: by hand, against sacrebleu and rouge-score, bad input."""

import math
import re
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import metrics
from models.errors import UserError
from models.metrics.bleu import SMOOTHING, tokenize_13a
from models.metrics.generation import normalised
from models.metrics.rouge import longest_common_subsequence

CAT, MAT = "the cat sat on the mat", "the cat is on the mat"


def test_bleu_by_hand():
    found = metrics.bleu([CAT], [MAT], smoothing="none")
    assert found.precisions == pytest.approx([100 * 5 / 6, 100 * 3 / 5, 100 * 1 / 4, 0])
    assert found.score == 0
    found = metrics.bleu([CAT], [MAT])
    expected = (5 / 6 * 3 / 5 * 1 / 4 * 1 / (2 * 3)) ** (1 / 4)
    assert found.score == pytest.approx(100 * expected)
    short = metrics.bleu(["the cat is on the"], [MAT])
    assert short.score == pytest.approx(100 * math.exp(1 - 6 / 5))
    assert (short.hypothesis_length, short.reference_length) == (5, 6)
    assert metrics.bleu([MAT, CAT], [MAT, [MAT, CAT]]).score == pytest.approx(100)


def test_bleu_of_nothing_is_0():
    assert metrics.bleu([""], ["word"]).score == 0
    assert metrics.bleu(["other"], ["word"]).score == 0
    assert metrics.sentence_bleu("", "").score == 0


def test_sentence_bleu_of_short_sentences():
    assert metrics.sentence_bleu("two words", "two words").score == pytest.approx(100)
    assert metrics.bleu(["two words"], ["two words"]).score == 0


def test_tokenizers():
    assert tokenize_13a('He said: &quot;3.5-4, or 1,000.&quot;') == [
        "He", "said", ":", '"', "3.5", "-", "4", ",", "or", "1,000", ".", '"'
    ]  # fmt: skip
    assert metrics.bleu(["今天天气好"], ["今天天气好"], tokenize="char").score == pytest.approx(100)
    assert metrics.bleu(["A b C d"], ["a B c D"], tokenize="none", lowercase=True).score == pytest.approx(100)
    assert metrics.bleu(["a/b/c/d"], ["a/b/c/d"], tokenize=lambda text: text.split("/")).score == pytest.approx(100)


words = st.lists(st.sampled_from(["the", "cat", "Sat", "on", "mat.", "1,5", "x-y", "&amp;", "$9"]), max_size=9).map(
    " ".join
)
corpora = st.lists(st.tuples(words, st.lists(words, min_size=2, max_size=2)), min_size=1, max_size=4)


@pytest.mark.parity
@given(corpora, st.sampled_from(list(SMOOTHING)), st.sampled_from([None, 0.5, 2.0]), st.booleans(), st.booleans())
def test_bleu_equals_sacrebleu(corpus, smoothing, value, lowercase, split_only):
    sacrebleu = pytest.importorskip("sacrebleu")
    tokenize = "none" if split_only else "13a"
    hypotheses, references = [h for h, _ in corpus], [r for _, r in corpus]
    options = {"smooth_method": smoothing, "smooth_value": value, "lowercase": lowercase, "tokenize": tokenize}
    options["force"] = True
    theirs = sacrebleu.BLEU(**options).corpus_score(hypotheses, list(zip(*references, strict=True)))
    ours = metrics.bleu(hypotheses, references, smoothing, value, tokenize, lowercase)
    assert ours.score == pytest.approx(theirs.score, rel=1e-9, abs=1e-9)
    assert ours.precisions == pytest.approx(theirs.precisions, rel=1e-9)
    assert ours.brevity_penalty == pytest.approx(theirs.bp)
    assert (ours.hypothesis_length, ours.reference_length) == (theirs.sys_len, theirs.ref_len)
    alone = sacrebleu.BLEU(**options, effective_order=True).sentence_score(hypotheses[0], references[0])
    found = metrics.sentence_bleu(hypotheses[0], references[0], smoothing, value, tokenize, lowercase)
    assert found.score == pytest.approx(alone.score, rel=1e-9, abs=1e-9)


@pytest.mark.parity
@given(st.text(st.characters(max_codepoint=0x17F)) | st.text("ab1.,-&;<>'\n ") | words)
def test_13a_equals_sacrebleu(text):
    tokenizer = pytest.importorskip("sacrebleu.tokenizers.tokenizer_13a").Tokenizer13a()
    assert tokenize_13a(text) == tokenizer(text).split()


def test_rouge_by_hand():
    found = metrics.rouge(CAT, MAT)
    assert found["rouge1"] == pytest.approx((5 / 6, 5 / 6, 5 / 6))
    assert found["rouge2"] == pytest.approx((3 / 5, 3 / 5, 3 / 5))
    assert found["rougeL"] == pytest.approx((5 / 6, 5 / 6, 5 / 6))
    half = metrics.rouge("the cat", MAT)["rougeL"]
    assert half == pytest.approx((1, 1 / 3, 1 / 2))
    assert metrics.rouge("...", MAT)["rouge1"] == metrics.rouge(MAT, "")["rougeL"] == (0, 0, 0)
    mean = metrics.rouge_of_corpus(["the cat", "no"], [MAT, "yes"])["rougeL"]
    assert mean == pytest.approx((1 / 2, 1 / 6, 1 / 4))
    assert metrics.rouge("今天", "今天", tokenize=list)["rouge2"] == (1, 1, 1)


@pytest.mark.parity
@given(words | st.text(), st.lists(words | st.text(), min_size=1, max_size=3))
def test_rouge_equals_rouge_score(hypothesis, references):
    theirs = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rouge1", "rouge2", "rougeL"])
    expected = theirs.score_multi(references, hypothesis)
    for name, score in metrics.rouge(hypothesis, references).items():
        assert score == pytest.approx(tuple(expected[name])), name


@given(st.text("abc"), st.text("abc"))
def test_longest_common_subsequence_equals_the_table(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1, j + 1] = table[i, j] + 1 if x == y else max(table[i, j + 1], table[i + 1, j])
    assert longest_common_subsequence(a, b) == table[-1, -1]


def test_exact_match():
    assert normalised("The  answer, is: A cat's!") == "answer is cats"
    assert metrics.exact_match(["The Cat.", "dog"], ["cat", ["cat", "a dog!"]]) == 1
    assert metrics.exact_match(["cats", "dog"], ["cat", "dog"]) == 0.5


@given(words | st.text() | st.text("aAnthe. -'"))
def test_answers_are_normalised_step_by_step(text):
    """As the evaluation script of SQuAD does it."""
    lower = "".join(character for character in text.lower() if character not in set(string.punctuation))
    without = re.sub(r"\b(a|an|the)\b", " ", lower)
    assert normalised(text) == " ".join(without.split())


def test_perplexity():
    assert metrics.perplexity([math.log(8)] * 3) == pytest.approx(8)
    assert metrics.perplexity([math.log(2), math.log(8)], counts=[3, 1]) == pytest.approx(2 * 2 ** (1 / 2))
    assert metrics.perplexity(1e4) == math.inf
    assert math.isnan(metrics.perplexity([math.nan]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.bleu([], []), "bleu: there are no hypotheses"),
        (lambda: metrics.bleu("text", ["text"]), "bleu: expected a list of hypotheses"),
        (lambda: metrics.bleu(["a"], ["a", "b"]), "got 1 and 2"),
        (lambda: metrics.bleu(["a"], [[]]), "the hypothesis 'a' has no reference"),
        (lambda: metrics.bleu(["a"], ["a"], smoothing="magic"), "smoothing='magic'; use none, floor"),
        (lambda: metrics.bleu(["a"], ["a"], tokenize="zh"), "tokenize='zh'; use 13a, char, none"),
        (lambda: metrics.rouge("a", []), "rouge: the hypothesis 'a' has no reference"),
        (lambda: metrics.rouge_of_corpus([], []), "rouge: there are no hypotheses"),
        (lambda: metrics.exact_match(["a"], []), "exact_match: expected a list"),
        (lambda: metrics.perplexity([]), "perplexity: 0 losses of 0 tokens"),
        (lambda: metrics.perplexity([1.0], counts=[0]), "1 losses of 0 tokens"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(UserError, match=message):
        call()
