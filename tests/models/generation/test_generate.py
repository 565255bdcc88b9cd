"""Generation: the loop against a plain one, caches, windows, streaming, stop strings, seeds, bad input."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from models.errors import DataError, UserError
from models.generation.generate import _Text, generate, generate_samples, generate_text
from models.gpt import GPT, GPTConfig
from models.text.tokenizers import ByteTokenizer, CharTokenizer, WordTokenizer

TOKENIZER = CharTokenizer("\n abcdefghij")


def small(vocab_size=TOKENIZER.vocab_size, context_length=8, scale=0.5) -> GPT:
    """A model whose weights are large enough for its choices to depend on what it reads."""
    mg.manual_seed(0)
    model = GPT(GPTConfig(vocab_size, context_length, num_layers=2, num_heads=2, embedding_dim=16))
    rng = np.random.default_rng(0)
    for parameter in model.parameters():
        parameter.data += (scale * rng.standard_normal(parameter.shape)).astype("float32")
    return model.eval()


MODEL = small()


def greedy_by_hand(model, ids, n) -> list[int]:
    """The definition: the likeliest token after everything so far."""
    ids = list(ids)
    for _ in range(n):
        ids.append(int(model(np.array([ids])).data[0, -1].argmax()))
    return ids


def test_greedy_is_the_likeliest_token_each_time():
    model = small(context_length=32)
    ids = greedy_by_hand(model, TOKENIZER.encode("abc"), 20)
    assert "abc" + generate_text(model, TOKENIZER, "abc", max_tokens=20, temperature=0) == TOKENIZER.decode(ids)


def test_when_the_context_is_full_the_last_half_goes_on():
    ids = list(TOKENIZER.encode("abc"))
    window = list(ids)
    for _ in range(30):
        if len(window) > 8:
            window = window[-4:]
        token = int(MODEL(np.array([window])).data[0, -1].argmax())
        ids.append(token)
        window.append(token)
    for use_cache in (True, False):
        text = generate_text(MODEL, TOKENIZER, "abc", max_tokens=30, temperature=0, use_cache=use_cache)
        assert "abc" + text == TOKENIZER.decode(ids)


@pytest.mark.parametrize("context_length", [1, 2, 3, 8])
@pytest.mark.parametrize("options", [{}, {"top_k": 3}, {"top_p": 0.8, "repetition_penalty": 1.3}])
def test_cache_or_not_the_text_is_the_same(context_length, options):
    model = small(context_length=context_length)
    texts = [
        generate_text(model, TOKENIZER, "a", max_tokens=40, seed=4, use_cache=use_cache, **options)
        for use_cache in (True, False)
    ]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 40


def test_the_seed_decides():
    first, again, other = (generate_text(MODEL, TOKENIZER, "a", max_tokens=50, seed=seed) for seed in (7, 7, 8))
    assert first == again != other
    unseeded = {generate_text(MODEL, TOKENIZER, "a", max_tokens=50) for _ in range(3)}
    assert len(unseeded) == 3
    before = mg.get_rng_state()
    generate_text(MODEL, TOKENIZER, "a", max_tokens=5, seed=1)
    assert mg.get_rng_state() == before


def test_samples_are_those_of_any_other_number_of_samples():
    options = {"max_tokens": 30, "seed": 3, "stop": ["j"], "temperature": 3.0}
    three = generate_samples(MODEL, TOKENIZER, "ab", num_samples=3, **options)
    assert three[:2] == generate_samples(MODEL, TOKENIZER, "ab", num_samples=2, **options)
    assert three[0] == generate_text(MODEL, TOKENIZER, "ab", **options)
    assert len(set(three)) == 3
    assert not any("j" in text for text in three)


def test_pieces_come_one_by_one_and_join_to_the_text():
    pieces = generate(MODEL, TOKENIZER, "a", max_tokens=20, seed=0)
    first = next(pieces)
    assert len(first) == 1
    assert first + "".join(pieces) == generate_text(MODEL, TOKENIZER, "a", max_tokens=20, seed=0)


def test_a_repetition_penalty_ends_repetition():
    model = small(context_length=32)
    plain = generate_text(model, TOKENIZER, "a", max_tokens=8, temperature=0)
    penalized = generate_text(model, TOKENIZER, "a", max_tokens=8, temperature=0, repetition_penalty=1e6)
    assert len(set(penalized)) == 8 > len(set(plain))
    assert "a" not in penalized  # the prompt counts


def test_training_mode_and_dropout_are_left_alone():
    model = GPT(GPTConfig(TOKENIZER.vocab_size, 8, 1, 2, 16, dropout=0.5))
    texts = {generate_text(model, TOKENIZER, "a", max_tokens=10, temperature=0) for _ in range(3)}
    assert model.training
    assert len(texts) == 1
    pieces = generate(model, TOKENIZER, "a", max_tokens=3, seed=0)
    next(pieces)
    assert model.training
    assert mg.is_grad_enabled()  # even while the generator waits


# Text out of tokens.


@pytest.mark.parametrize("seed", range(3))
def test_bytes_come_out_as_whole_characters(seed):
    """Random bytes are mostly no UTF-8 at all: pieces must still join to the decoded text."""
    tokenizer = ByteTokenizer()
    model = small(vocab_size=256, scale=0.1)
    pieces = list(generate(model, tokenizer, "é", max_tokens=60, seed=seed))
    recorded = []
    original = _Text.feed
    try:
        _Text.feed = lambda self, id: (recorded.append(id), original(self, id))[1]
        text = generate_text(model, tokenizer, "é", max_tokens=60, seed=seed)
    finally:
        _Text.feed = original
    assert "".join(pieces) == text == tokenizer.decode(recorded)
    assert len(recorded) == 60


@given(st.text("aé€😀", max_size=12))
def test_streamed_bytes_never_break_a_character(text):
    stream = _Text(ByteTokenizer(), (), [])
    pieces = [stream.feed(byte) for byte in text.encode()]
    assert all("\ufffd" not in piece for piece in pieces)
    assert "".join(pieces) + stream.finish() == text


def stopped(text: str, stops) -> str:
    """The definition: character by character, until one stop string is complete; the longest, if several are."""
    for end in range(len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - max(map(len, complete))]
    return text


@given(
    words=st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=8),
    stops=st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=3),
)
def test_stop_strings_however_tokens_cut_the_text(words, stops):
    vocabulary = sorted(set(words)) or ["a"]
    tokenizer = WordTokenizer(vocabulary, special_tokens=())
    stream, pieces = _Text(tokenizer, tuple(stops), []), []
    for word in words:
        pieces.append(stream.feed(vocabulary.index(word)))
        if stream.finished:
            break
    assert "".join(pieces) + stream.finish() == stopped("".join(words), stops)


def test_text_is_held_back_only_while_it_may_become_a_stop_string():
    stream = _Text(CharTokenizer("abc"), ("abb",), [])
    assert [stream.feed(id) for id in (0, 1, 0, 2, 0, 1, 1)] == ["", "", "ab", "ac", "", "", ""]
    assert stream.finished


def test_stop_ends_generation():
    text = generate_text(MODEL, TOKENIZER, "a", max_tokens=100, seed=1)
    stop = text[10:12]
    assert generate_text(MODEL, TOKENIZER, "a", max_tokens=100, seed=1, stop=stop) == text[: text.index(stop)]


def test_end_token_ends_the_text():
    tokenizer = CharTokenizer("ab", special_tokens=["<eos>"])
    model = small(vocab_size=3)
    texts = generate_samples(model, tokenizer, "a", num_samples=20, max_tokens=30, seed=0)
    assert min(map(len, texts)) < 10
    assert {*"".join(texts)} <= {"a", "b"}


def test_words_continue_the_prompt_with_a_space():
    tokenizer = WordTokenizer(["to", "be"], whitespace=False, special_tokens=())
    text = generate_text(small(vocab_size=2), tokenizer, "to", max_tokens=3, seed=0)
    assert re.fullmatch(r"( (to|be)){3}", text)


def test_a_vocabulary_padded_beyond_the_tokenizers_is_not_used():
    text = generate_text(small(vocab_size=64), TOKENIZER, "a", max_tokens=60, seed=0)
    assert len(text) == 60


# Prompts and options.


@pytest.mark.parametrize(
    ("tokenizer", "start"),
    [
        (CharTokenizer("\nab", ["<bos>", "<eos>"]), 3),
        (CharTokenizer("\nab", ["<eos>"]), 3),
        (CharTokenizer("\nab"), 0),
    ],
)
def test_an_empty_prompt_is_a_start_token_or_a_newline(tokenizer, start):
    model = small(vocab_size=tokenizer.vocab_size)
    first = int(model(np.array([[start]])).data[0, -1].argmax())
    text = generate_text(model, tokenizer, "", max_tokens=1, temperature=0)
    assert text == ("" if first >= 3 else tokenizer.decode([first]))


def test_an_empty_prompt_without_either():
    with pytest.raises(UserError, match="neither a start token nor a newline"):
        generate(small(vocab_size=2), CharTokenizer("ab"), "")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prompt": "abcdefghi"}, UserError, "the prompt has 9 tokens and the model looks at 8 at most: shorten it"),
        ({"prompt": "abX"}, DataError, "character 'X'"),
        ({"max_tokens": 0}, UserError, "max_tokens 0: expected at least 1"),
        ({"max_tokens": -5}, UserError, "max_tokens -5"),
        ({"temperature": -1}, UserError, "temperature -1"),
        ({"top_k": 0}, UserError, "top_k 0"),
        ({"top_p": 0.0}, UserError, "top_p 0.0"),
        ({"top_p": 1.5}, UserError, "top_p 1.5"),
        ({"repetition_penalty": -1}, UserError, "repetition_penalty -1"),
        ({"stop": ["a", ""]}, UserError, "an empty stop string"),
        ({"stop": ""}, UserError, "an empty stop string"),
        ({"seed": -1}, UserError, "seed -1"),
        ({"tokenizer": CharTokenizer("abcdefghijklmnop")}, UserError, "the tokenizer has 16 tokens, the model 12"),
    ],
)
def test_bad_input_is_refused_at_the_call(options, error, message):
    arguments = {"tokenizer": TOKENIZER, "prompt": "a"} | options
    with pytest.raises(error, match=message):
        generate(MODEL, **arguments)


def test_bad_number_of_samples():
    with pytest.raises(UserError, match="num_samples 0"):
        generate_samples(MODEL, TOKENIZER, "a", num_samples=0)


def test_a_diverged_model():
    model = small()
    model.final_norm.weight.data[0] = np.nan
    with pytest.raises(UserError, match="logits are not numbers"):
        generate_text(model, TOKENIZER, "a", max_tokens=3)
