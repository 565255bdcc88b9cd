"""Loss, perplexity and bits, each token once, against sums made by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from models.errors import DataError
from models.gpt import GPT, GPTConfig
from models.tasks.evaluation import evaluate, mean_loss
from models.text.tokenizers import ByteTokenizer, CharTokenizer, WordTokenizer


def small(vocab_size, **changes) -> GPT:
    mg.manual_seed(0)
    model = GPT(GPTConfig(vocab_size, context_length=8, num_layers=1, num_heads=2, embedding_dim=16, **changes))
    for parameter in model.parameters():
        parameter.data *= 5
    return model


@given(tokens=st.integers(2, 40), batch_size=st.integers(1, 4))
def test_every_token_but_the_first_is_predicted_once(tokens, batch_size):
    model = small(5)
    ids = np.random.default_rng(tokens).integers(0, 5, tokens)
    losses = []
    for start in range(0, tokens - 1, 8):
        window = ids[start : start + 9]
        logits = model(window[None, :-1]).data[0].astype(np.float64)
        losses += list(np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(logits)), window[1:]])
    assert len(losses) == tokens - 1
    assert mean_loss(model, ids, batch_size) == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_uniform_model_needs_log2_of_the_vocabulary():
    tokenizer = CharTokenizer("abcdefgh")
    model = small(8)
    model.token_embedding.weight.data[...] = 0
    result = evaluate(model, tokenizer, tokenizer.encode("abcdefghabc"))
    assert result.loss == pytest.approx(math.log(8), rel=1e-5)
    assert result.perplexity == pytest.approx(8, rel=1e-5)
    assert result.bits_per_character == pytest.approx(3, rel=1e-5)
    assert result.tokens == 10
    assert result.seconds > 0


@pytest.mark.parametrize(
    ("tokenizer", "text"),
    [
        (ByteTokenizer(), "aé€😀z"),
        (CharTokenizer("aé€😀z"), "aé€😀z"),
        (WordTokenizer(["aa", "bé", " "]), "aa bé bé"),
    ],
)
def test_bits_are_for_characters_and_bytes_not_tokens(tokenizer, text):
    ids = tokenizer.encode(text)
    result = evaluate(small(tokenizer.vocab_size), tokenizer, ids)
    first = len(tokenizer.decode(ids[:1]))
    bits = result.loss * (len(ids) - 1) / math.log(2)
    assert result.tokens == len(ids) - 1
    assert result.bits_per_character == pytest.approx(bits / len(text[first:]))
    assert result.bits_per_byte == pytest.approx(bits / len(text[first:].encode()))


def test_without_dropout_and_back_to_training():
    model = small(5, dropout=0.5).train()
    ids = np.arange(20) % 5
    assert mean_loss(model, ids) == mean_loss(model, ids)
    assert model.training
    model.eval()
    mean_loss(model, ids)
    assert not model.training


@pytest.mark.parametrize("length", [0, 1])
def test_too_short_a_text(length):
    with pytest.raises(DataError, match="too short"):
        evaluate(small(5), CharTokenizer("abcde"), np.zeros(length, int))
