"""RNNGenerator: what it computes, how it carries its state, and the commands around it."""

import dataclasses
import math
from functools import partial

import numpy as np
import pytest

import minigrad as mg
from models.commands.train import main
from models.errors import DataError, UserError
from models.generation.generate import generate, generate_samples, generate_text
from models.rnn import CELLS, CarriedState, RNNConfig, RNNGenerator
from models.tasks.evaluation import evaluate, mean_loss
from models.text.batching import StreamBatches, stream_evaluation_batches
from models.text.tokenizers import ByteTokenizer, CharTokenizer
from models.training.plots import plot_hidden_units
from models.training.progress import Silence
from models.training.trainer import TrainConfig, Trainer
from models.weights.checkpoint import load_checkpoint
from tests.models.training.test_resume import assert_same_runs

SMALL = RNNConfig(vocab_size=256, context_length=6, num_layers=2, hidden_size=12, embedding_dim=8)
TINY = ["--hidden-size", "8", "--embedding-dim", "8", "--context-length", "8", "--batch-size", "2", "--steps", "3",
        "--eval-batches", "2", "--sample-every", "2", "--device", "cpu"]  # fmt: skip


def small(seed=0, **changes) -> RNNGenerator:
    mg.manual_seed(seed)
    return RNNGenerator(dataclasses.replace(SMALL, **changes))


@pytest.fixture
def ids():
    return np.random.default_rng(0).integers(0, 256, (3, 7))


# The model.


@pytest.mark.parametrize("cell", CELLS)
def test_a_text_in_pieces_is_the_text_in_one(cell, ids):
    model = small(cell=cell).double()
    whole, end = model(ids)
    first, state = model(ids[:, :3])
    rest, state = model(ids[:, 3:], state)
    assert whole.shape == (3, 7, 256)
    np.testing.assert_allclose(mg.cat([first, rest], 1).detach().numpy(), whole.detach().numpy(), atol=1e-12)
    for a, b in zip(end if cell == "lstm" else [end], state if cell == "lstm" else [state], strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-12)


@pytest.mark.parametrize("vocabulary", [5, 300])  # fewer rows than positions, and more: two ways to the same gates
@pytest.mark.parametrize("cell", CELLS)
def test_looking_up_inside_the_layers_is_embedding_before_them(cell, vocabulary, ids):
    model = small(cell=cell, vocab_size=vocabulary).double()
    ids = ids % vocabulary
    upstream = mg.tensor(np.random.default_rng(1).standard_normal((7, 3, 12)))
    results = []
    for hidden in (model.rnn(ids.T, table=model.embedding.weight)[0], model.rnn(model.embedding(ids.T))[0]):
        model.zero_grad()
        hidden.backward(upstream)
        results.append([hidden.detach(), *(p.grad for p in model.parameters() if p.grad is not None)])
    for ours, plain in zip(*results, strict=True):
        np.testing.assert_allclose(ours.numpy(), plain.numpy(), atol=1e-10)


def test_ids_that_are_none():
    model = small()
    with pytest.raises(ValueError, match=r"ids \(3,\); expected \(batch, time\)"):
        model(np.array([1, 2, 3]))
    with pytest.raises(ValueError, match="with one token at least"):
        model(np.zeros((2, 0), int))
    with pytest.raises(TypeError, match="ids are float64; expected integers"):
        model(np.zeros((2, 2)))
    with pytest.raises(IndexError, match="256"):
        model(np.array([[256]]))


@pytest.mark.parametrize(
    ("field", "value"),
    [("hidden_size", 0), ("num_layers", True), ("context_length", 2.5), ("cell", "lstn"), ("dropout", 1.0)],
)
def test_a_setting_without_sense_is_named(field, value):
    with pytest.raises(UserError, match=rf"^{field}=.*: expected "):
        RNNConfig(**{field: value})
    with pytest.raises(UserError, match="no RNN preset 'nanno': did you mean 'nano'"):
        RNNConfig.preset("nanno")


# The state from window to window.


@pytest.mark.parametrize("cell", CELLS)
def test_windows_in_turn_have_the_loss_of_the_whole_text(cell):
    text = np.random.default_rng(1).integers(0, 256, 100)
    model = small(cell=cell).double().eval()
    logits, _ = model(text[None, :-1])
    log_p = mg.log_softmax(logits[0].detach()).numpy()
    expected = -log_p[np.arange(99), text[1:]].mean()
    assert mean_loss(model, text, batch_size=1) == pytest.approx(expected, rel=1e-9)  # one stream: 17 windows


def test_many_streams_count_every_token_once():
    """Each stream begins without a state, so a few more of them hardly change the loss; no token is lost."""
    text = np.random.default_rng(1).integers(0, 256, 101)
    seen = [y[y != -100] for _, _, y in stream_evaluation_batches(text, 7, 6)]
    assert sorted(np.concatenate(seen)) == sorted(text[1:])
    result = evaluate(small(), ByteTokenizer(), text % 128, batch_size=7)
    assert result.tokens == 100
    assert result.loss == pytest.approx(math.log(result.perplexity))
    assert result.bits_per_character == pytest.approx(result.loss / math.log(2))


def test_gradients_stop_where_a_window_begins_and_the_state_does_not(ids):
    model, loss = small(), CarriedState()
    x, y = ids[:, :-1], ids[:, 1:]
    first = loss(model, (x, mg.tensor(np.array(True)), y)).item()
    assert loss(model, (x, mg.tensor(np.array(True)), y)).item() == first
    carried = loss.state_dict()
    assert {name: tensor.requires_grad for name, tensor in carried.items()} == {"h": False, "c": False}
    again = loss(model, (x, mg.tensor(np.array(False)), y))
    assert again.item() != first
    model.eval()  # evaluation begins a state of its own and leaves training's alone
    reached = {name: tensor.numpy().copy() for name, tensor in loss.state_dict().items()}
    loss(model, (x[:2], mg.tensor(np.array(True)), y[:2]))
    for name, tensor in loss.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), reached[name])


IDS = np.random.default_rng(0).integers(0, 256, 400)


def _trainer(model, directory, config):
    return Trainer(
        model,
        StreamBatches(IDS, config.batch_size, SMALL.context_length),
        config,
        validation=list(stream_evaluation_batches(IDS[:50], 2, SMALL.context_length)),
        loss=CarriedState(),
        tokenizer=ByteTokenizer(),
        directory=directory,
        log=directory / "log.jsonl",
        quiet=True,
    )


class Crash(Silence):
    def __init__(self, step):
        self.step = step

    def update(self, step, loss, tokens_per_second):
        if step == self.step:
            raise ZeroDivisionError


@pytest.mark.parametrize("cell", CELLS)
def test_resumed_equals_unbroken(cell, tmp_path):
    """Bit for bit, the carried state included: stopped in the middle of a stream, and again past its end."""
    config = TrainConfig(steps=40, batch_size=3, warmup_steps=4, eval_every=10, save_every=7, seed=7)
    for directory, stops in (("whole", ()), ("broken", (5, 24))):
        trainer = _trainer(small(cell=cell, dropout=0.2), tmp_path / directory, config)
        for stop in stops:
            trainer._progress = partial(Crash, stop)
            with pytest.raises(ZeroDivisionError):
                trainer.run()
            mg.manual_seed(999)
            checkpoint = load_checkpoint(tmp_path / directory)
            trainer = _trainer(checkpoint.model, tmp_path / directory, config)
            trainer.resume(checkpoint)
        trainer.run()
    assert_same_runs(tmp_path / "whole", tmp_path / "broken")
    carried = "carried.safetensors"
    assert (tmp_path / "whole" / carried).read_bytes() == (tmp_path / "broken" / carried).read_bytes()


# Writing.


def test_generation_has_every_option_and_no_limit_of_length():
    model, tokenizer = small(vocab_size=3), CharTokenizer("abc")
    text = generate_text(model, tokenizer, "ab", max_tokens=60, seed=1)  # ten windows long
    assert len(text) == 60
    assert "".join(generate(model, tokenizer, "ab", max_tokens=60, seed=1)) == text
    assert generate_text(model, tokenizer, "ab", max_tokens=60, seed=1, use_cache=False) == text
    assert generate_samples(model, tokenizer, "ab", num_samples=3, max_tokens=60, seed=1)[0] == text
    greedy = generate_text(model, tokenizer, "ab", max_tokens=20, temperature=0)
    assert generate_text(model, tokenizer, "ab", max_tokens=20, top_k=1, seed=5) == greedy
    assert generate_text(model, tokenizer, "ab", max_tokens=20, top_p=1e-6, seed=5) == greedy
    stop = text[5:7]
    assert generate_text(model, tokenizer, "ab", max_tokens=60, seed=1, stop=stop) == text[: text.index(stop)]


def test_unknown_characters():
    model = small(vocab_size=3)
    with pytest.raises(DataError, match=r"character 'x' \(U\+0078\) at position 1 is not among the 3"):
        generate_text(model, CharTokenizer("abc"), "ax")
    tokenizer = CharTokenizer("ab", special_tokens=["<unk>"])
    assert "\ufffd" not in generate_text(model, tokenizer, "ax", max_tokens=200)


def test_the_picture_of_what_it_remembers(tmp_path):
    from matplotlib.image import imread

    text = "the quick brown fox\njumps over"
    model, tokenizer = small(vocab_size=24, hidden_size=40), CharTokenizer.from_text(text)
    image = imread(plot_hidden_units(model, tokenizer, text, tmp_path / "units.png", units=10))
    assert image.shape[1] > image.shape[0] > 50
    assert (image[..., 0] > image[..., 2] + 0.1).any()  # positive values are red,
    assert (image[..., 2] > image[..., 0] + 0.1).any()  # negative ones blue


# The commands.


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("这家酒店很好。It was the best of times, it was the worst of times.\n" * 20)
    return path


@pytest.mark.parametrize("cell", CELLS)
def test_train_resume_generate_eval(cell, text, tmp_path, capsys):
    from models.commands import evaluate as eval_command
    from models.commands import generate as generate_command

    out = tmp_path / "run"
    assert main(["rnn", "--data", str(text), "--out", str(out), "--cell", cell, *TINY]) == 0
    assert main(["rnn", "--out", str(out), "--resume", "--steps", "5"]) == 0
    output = capsys.readouterr().out
    assert "rnn with " in output
    assert "done at step 5, validation loss" in output
    assert generate_command.main([str(out), "--prompt", "这家", "--max-tokens", "9", "--seed", "1"]) == 0
    assert capsys.readouterr().out.startswith("这家")
    assert eval_command.main([str(out)]) == 0
    assert "bits per character" in capsys.readouterr().out


def test_a_vocabulary_limit(text, tmp_path):
    out = tmp_path / "run"
    assert main(["rnn", "--data", str(text), "--out", str(out), "--max-vocab", "12", *TINY]) == 0
    tokenizer = load_checkpoint(out).tokenizer
    assert tokenizer.vocab_size == 12
    assert tokenizer.unk_id == 11
    assert set(tokenizer.characters) < set(text.read_text())
    with pytest.raises(UserError, match="max_vocab=9, but the model to resume was made with max_vocab=12"):
        main(["rnn", "--out", str(out), "--resume", "--max-vocab", "9"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--context-length", "5000"], r"too short: .*context_length=5000 in each of 2 streams.*or batch size"),
        (["--batch-size", "900"], "in each of 900 streams"),
        (["--max-vocab", "1"], "max_vocab=1: expected 2 tokens or more, or 0 for no limit"),
        (["--max-vocab", "9", "--tokenizer", "byte"], "max_vocab has no meaning for bytes"),
        (["--hidden-size", "0"], "hidden_size=0: expected a whole number above 0"),
    ],
)
def test_a_bad_value(flags, message, text, tmp_path):
    with pytest.raises(ValueError, match=message):
        main(["rnn", "--data", str(text), "--out", str(tmp_path / "run"), *TINY, *flags])
    assert not (tmp_path / "run").exists()


def test_an_empty_text(tmp_path):
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DataError, match="is empty: give a file with some text in it"):
        main(["rnn", "--data", str(tmp_path / "empty.txt"), "--out", str(tmp_path / "run"), *TINY])
