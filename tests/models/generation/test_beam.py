"""Beam search against all texts there are, against greedy choice and against transformers."""

from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from models.errors import UserError
from models.generation.beam import Hypothesis, beam_search, extend_beams
from models.generation.generate import generate_text
from models.gpt import GPT, GPTConfig
from models.rnn import CELLS, RNNConfig, RNNGenerator
from models.text.tokenizers import CharTokenizer

TOKENIZER = CharTokenizer("\nab")
WITH_END = CharTokenizer("\nab", special_tokens=["<unk>", "<eos>"])


def small(tokenizer=TOKENIZER, context_length=12, seed=0, scale=0.6) -> GPT:
    mg.manual_seed(seed)
    model = GPT(GPTConfig(tokenizer.vocab_size, context_length, num_layers=1, num_heads=2, embedding_dim=8))
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data += (scale * rng.standard_normal(parameter.shape)).astype("float32")
    return model.eval()


def log_probability(model, tokenizer, prompt, ids) -> float:
    """Of ids behind the prompt, token by token; `<unk>` cannot come."""
    start, total = list(tokenizer.encode(prompt)), 0.0
    for id in ids:
        logits = model(mg.tensor([start])).numpy()[0, -1].astype(np.float64)
        if tokenizer.unk_id is not None:
            logits[tokenizer.unk_id] = -np.inf
        total += logits[id] - np.log(np.exp(logits).sum())
        start.append(int(id))
    return total


@pytest.mark.parametrize("seed", range(4))
def test_with_all_beams_it_finds_the_likeliest_of_all_texts(seed):
    model = small(seed=seed)
    with mg.no_grad():
        every = {ids: log_probability(model, TOKENIZER, "a", ids) for ids in product(range(3), repeat=4)}
        found = beam_search(model, TOKENIZER, "a", num_beams=27, max_tokens=4)
    best = sorted(every, key=every.get, reverse=True)
    assert [h.text for h in found[:3]] == [TOKENIZER.decode(np.array(ids)) for ids in best[:3]]
    np.testing.assert_allclose([h.log_probability for h in found[:3]], [every[ids] for ids in best[:3]], rtol=1e-5)


@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 1.0, 2.0])
def test_with_all_beams_and_an_end_token_too(length_penalty):
    model = small(WITH_END, seed=1)
    end = WITH_END.eos_id
    letters = [id for id in range(WITH_END.vocab_size) if id not in (end, WITH_END.unk_id)]
    texts = [(*ids, end) for n in range(4) for ids in product(letters, repeat=n)] + list(product(letters, repeat=4))
    with mg.no_grad():
        every = {ids: log_probability(model, WITH_END, "a", ids) / len(ids) ** length_penalty for ids in texts}
        found = beam_search(model, WITH_END, "a", num_beams=40, max_tokens=4, length_penalty=length_penalty)
    best = max(every, key=every.get)
    assert found[0].text == WITH_END.decode(np.array(best))
    np.testing.assert_allclose(found[0].score, every[best], rtol=1e-5)
    assert found[0].score == max(h.score for h in found)


@pytest.mark.parametrize("prompt", ["a", "", "ab\nab"])
def test_one_beam_is_greedy(prompt):
    model = small(context_length=64)
    (found,) = beam_search(model, TOKENIZER, prompt, num_beams=1, max_tokens=30)
    assert found.text == generate_text(model, TOKENIZER, prompt, max_tokens=30, temperature=0)


def test_past_the_context_the_model_sees_the_last_tokens():
    model = small(context_length=4)
    (found,) = beam_search(model, TOKENIZER, "a", num_beams=1, max_tokens=10)
    ids = list(TOKENIZER.encode("a"))
    with mg.no_grad():
        for _ in range(10):
            ids.append(int(model(mg.tensor([ids[-4:]])).numpy()[0, -1].argmax()))
    assert found.text == TOKENIZER.decode(np.array(ids[1:]))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 6), st.integers(0, 1000), st.booleans())
def test_a_step_keeps_the_best_of_all_there_are(num_beams, beams, vocabulary, seed, with_end):
    rng = np.random.default_rng(seed)
    ids, totals = rng.integers(0, vocabulary, (beams, 3)), -rng.random(beams)
    table = np.log(rng.dirichlet(np.ones(vocabulary), beams))
    table[rng.random(table.shape) < 0.2] = -np.inf
    eos = 0 if with_end else None
    new, sums, ended = extend_beams(ids, totals, table, num_beams, eos)
    every = sorted(
        (
            (totals[i] + table[i, t], (*ids[i].tolist(), t))
            for i in range(beams)
            for t in range(vocabulary)
            if table[i, t] > -np.inf
        ),
        reverse=True,
    )
    going = [pair for pair in every if pair[1][-1] != eos][:num_beams]
    assert [tuple(row) for row in new.tolist()] == [row for _, row in going]
    np.testing.assert_allclose(sums, [total for total, _ in going])
    least = going[-1][0] if len(going) == num_beams else -np.inf
    expected = [(row, total) for total, row in every if row[-1] == eos and total > least]
    assert [tuple(row.tolist()) for row, _ in ended] == [row for row, _ in expected]


def test_more_beams_than_texts_and_no_beam_left():
    found = beam_search(small(), TOKENIZER, "a", num_beams=50, max_tokens=2)
    assert len({h.text for h in found}) == 9
    ends = small(WITH_END)
    assert all(isinstance(h, Hypothesis) for h in beam_search(ends, WITH_END, "a", num_beams=3, max_tokens=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_beams": 0}, "num_beams 0"),
        ({"max_tokens": 0}, "max_tokens 0"),
        ({"length_penalty": -1.0}, "length_penalty -1.0"),
        ({"prompt": "a" * 13}, "the prompt has 13 tokens"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(UserError, match=message):
        beam_search(small(), TOKENIZER, **options)


@pytest.mark.parity
def test_as_transformers_with_the_same_weights(tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=3, n_positions=16, n_embd=8, n_layer=2, n_head=2, initializer_range=0.8, eos_token_id=None
    )
    theirs = transformers.GPT2LMHeadModel(config).eval()
    theirs.save_pretrained(tmp_path)
    ours = GPT.from_huggingface(tmp_path).eval()
    ids = TOKENIZER.encode("ab")
    for beams in (2, 3, 5):
        output = theirs.generate(
            torch.tensor(ids[None]),
            attention_mask=torch.ones(1, 2, dtype=torch.long),
            num_beams=beams,
            num_return_sequences=beams,
            max_new_tokens=8,
            do_sample=False,
            length_penalty=0.0,
            pad_token_id=0,
            output_scores=True,
            return_dict_in_generate=True,
        )
        found = beam_search(ours, TOKENIZER, "ab", num_beams=beams, max_tokens=8)
        assert [h.text for h in found] == [TOKENIZER.decode(row[2:].numpy()) for row in output.sequences]
        np.testing.assert_allclose([h.score for h in found], output.sequences_scores.numpy(), rtol=1e-4)


def recurrent(cell):
    mg.manual_seed(0)
    model = RNNGenerator(RNNConfig(TOKENIZER.vocab_size, num_layers=2, hidden_size=8, embedding_dim=8, cell=cell))
    for parameter in model.parameters():
        parameter.data *= 3
    return model.eval()


@pytest.mark.parametrize(
    "make", [small, lambda: small(context_length=5), *(partial(recurrent, cell) for cell in CELLS)],
    ids=["gpt", "gpt past its context", *CELLS],
)  # fmt: skip
def test_caches_follow_the_beams(make):
    """The same texts as without any cache, though each token of a beam is read once, as long as the context lasts."""
    model = make()
    read, next_logits = [], model.next_logits

    def counted(ids, caches=None):
        read.append(ids.shape)
        return next_logits(ids, caches)

    model.next_logits = counted
    found = beam_search(model, TOKENIZER, "ab", num_beams=3, max_tokens=8)
    limit = model.context_limit or 99
    lengths = range(2, 2 + len(read))
    assert [time for _, time in read] == [min(n, limit) if n > limit else 2 if n == 2 else 1 for n in lengths]
    model.new_caches = lambda batch_size: None
    without = beam_search(model, TOKENIZER, "ab", num_beams=3, max_tokens=8)
    assert [h.text for h in found] == [h.text for h in without]
    np.testing.assert_allclose(
        [h.log_probability for h in found], [h.log_probability for h in without], rtol=1e-4, atol=1e-5
    )
