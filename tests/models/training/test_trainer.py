"""Trainer: one step at a time, what it logs, how it stops."""

import json
import math
import os
import signal

import numpy as np
import pytest

import minigrad as mg
import nn
from models.errors import UserError
from models.gpt import GPT, GPTConfig
from models.text.batching import TokenBatches
from models.training.log import JsonLog, read_log
from models.training.plots import plot_losses, running_mean
from models.training.trainer import TrainConfig, Trainer
from models.weights.checkpoint import load_checkpoint
from nn.optim import AdamW

IDS = np.random.default_rng(0).integers(0, 11, 400)
SMALL = GPTConfig(vocab_size=11, context_length=8, num_layers=1, num_heads=2, embedding_dim=16)


class FixedBatches:
    """The rows of one big batch over and over, a given number at a time."""

    def __init__(self, batch_size, big=8):
        self.x, self.y = next(TokenBatches(IDS, big, SMALL.context_length, seed=1))
        self.batch_size, self.at = batch_size, 0

    def __next__(self):
        rows = slice(self.at, self.at + self.batch_size)
        self.at = (self.at + self.batch_size) % len(self.x)
        return self.x[rows], self.y[rows]

    def state_dict(self):
        return {"at": self.at}


def trainer(config=None, batches=None, model=None, dropout=0.0, **options):
    config = config or TrainConfig(steps=6, batch_size=4, warmup_steps=2)
    mg.manual_seed(3)
    model = model or GPT(GPTConfig(**{**vars(SMALL), "dropout": dropout}))
    batches = batches or TokenBatches(IDS, config.batch_size, SMALL.context_length, config.seed)
    return Trainer(model, batches, config, quiet=True, **options)


def weights(model):
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def assert_equal_weights(one, other, **tolerance):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], err_msg=name, **(tolerance or {"rtol": 0, "atol": 0}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("steps", -5),
        ("batch_size", 0),
        ("gradient_accumulation", 0),
        ("save_every", 0),
        ("warmup_steps", -1),
        ("eval_every", -1),
        ("eval_batches", -2),
        ("sample_every", -1),
        ("seed", -1),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("min_learning_rate", 1.0),
        ("min_learning_rate", -1e-4),
        ("weight_decay", -0.1),
        ("grad_clip", -1.0),
        ("betas", (0.9, 1.0)),
        ("betas", (0.9,)),
    ],
)
def test_a_setting_without_sense_is_named(field, value):
    with pytest.raises(UserError, match=rf"^{field}=.*: expected "):
        TrainConfig(**{field: value})


def test_every_step_is_the_textbook_step():
    """Against the same loop written out with other tools: weights agree bit for bit."""
    config = TrainConfig(steps=5, batch_size=4, warmup_steps=2, grad_clip=0.5, betas=(0.8, 0.9))
    ours = trainer(config)
    ours.run()

    mg.manual_seed(3)
    model = GPT(SMALL)
    batches = TokenBatches(IDS, 4, SMALL.context_length, config.seed)
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=0.0, betas=(0.8, 0.9))
    for step in range(5):
        if step < 2:
            rate = 1e-3 * (step + 1) / 3
        else:
            rate = 1e-4 + 0.5 * (1e-3 - 1e-4) * (1 + math.cos(math.pi * (step - 2) / 3))
        x, y = next(batches)
        _, loss = model(mg.Tensor(x), mg.Tensor(y))
        model.zero_grad()
        loss.backward()
        norm = math.sqrt(sum(float((p.grad.data.astype(np.float64) ** 2).sum()) for p in model.parameters()))
        for group in optimizer.param_groups:
            group["lr"] = rate
        for p in model.parameters():
            p.grad.data *= np.float32(min(1.0, 0.5 / (norm + 1e-6)))
        optimizer.step()
    assert_equal_weights(ours.model, model, rtol=1e-5, atol=1e-6)


def test_the_loss_falls():
    config = TrainConfig(steps=150, batch_size=8, learning_rate=1e-2, warmup_steps=5)
    text = np.tile(np.arange(11), 40)  # the next id is the last plus one
    run = trainer(config, TokenBatches(text, 8, SMALL.context_length))
    result = run.run()
    assert result.step == run.step == 150
    assert result.loss < 0.1
    assert result.signal is None


@pytest.mark.parametrize("accumulation", [2, 4])
def test_accumulated_small_batches_equal_one_big_batch(accumulation):
    big = trainer(TrainConfig(steps=4, batch_size=8), FixedBatches(8))
    small = trainer(
        TrainConfig(steps=4, batch_size=8 // accumulation, gradient_accumulation=accumulation),
        FixedBatches(8 // accumulation),
    )
    one, other = big.run(), small.run()
    assert one.loss == pytest.approx(other.loss, rel=1e-5)
    assert_equal_weights(big.model, small.model, rtol=1e-4, atol=2e-5)


def test_evaluation_weighs_batches_by_their_size_and_switches_dropout_off():
    (x, y), (x2, y2) = next(TokenBatches(IDS, 3, 8)), next(TokenBatches(IDS, 1, 5, seed=9))
    run = trainer(dropout=0.5, validation=[(x, y), (x2, y2)])
    run.model.eval()
    losses = [run.model(mg.Tensor(a), mg.Tensor(b))[1].item() for a, b in ((x, y), (x2, y2))]
    run.model.train()
    assert run.evaluate() == pytest.approx((losses[0] * 24 + losses[1] * 5) / 29)
    assert run.model.training


def test_looking_changes_nothing(tmp_path):
    """Evaluations, samples, logs and checkpoints leave the run as it would be without them."""

    def sample():
        return str(mg.rand(3).tolist())  # uses up random numbers

    plain = trainer(TrainConfig(steps=6, batch_size=4), dropout=0.3)
    plain.run()
    watched = trainer(
        TrainConfig(steps=6, batch_size=4, eval_every=2, sample_every=1, save_every=3),
        dropout=0.3,
        validation=[next(TokenBatches(IDS, 3, 8))],
        sample=sample,
        directory=tmp_path / "run",
        log=tmp_path / "log.jsonl",
    )
    watched.run()
    assert_equal_weights(plain.model, watched.model)


def test_the_log_has_a_line_a_step(tmp_path):
    config = TrainConfig(steps=5, batch_size=4, eval_every=2, learning_rate=0.01, warmup_steps=0)
    run = trainer(config, validation=[next(TokenBatches(IDS, 3, 8))], log=tmp_path / "log.jsonl")
    result = run.run()
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 2, 3, 4, 5]
    assert [record["step"] for record in records if "val_loss" in record] == [2, 4, 5]
    assert records[-1]["loss"] == result.loss
    assert records[-1]["val_loss"] == result.val_loss
    assert records[0]["learning_rate"] == pytest.approx(0.01)
    for record in records:
        assert set(record) - {"val_loss"} == {"step", "loss", "learning_rate", "grad_norm", "tokens_per_second"}
        assert record["grad_norm"] > 0
        assert record["tokens_per_second"] > 0


def nan_from(step, part):
    """A loss function whose value, or whose gradient only, is NaN from some step on."""
    calls = iter(range(1, 1000))

    def loss(model, batch):
        value = model(*batch)[1]
        if next(calls) < step:
            return value
        if part == "loss":
            return value * math.nan
        zero = model.token_embedding.weight.sum() * 0.0
        return value + mg.sqrt(zero) * 0.0  # 0, with the gradient inf·0

    return loss


@pytest.mark.parametrize("part", ["loss", "gradient"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_stops_before_it_reaches_the_weights(part, tmp_path):
    config = TrainConfig(steps=9, batch_size=4, save_every=2)
    run = trainer(config, loss=nan_from(6, part), directory=tmp_path / "run", log=tmp_path / "log.jsonl")
    with pytest.raises(UserError, match=r"step 6: the (loss|gradient's norm) became nan.*detect_anomaly.*untouched"):
        run.run()
    assert all(np.isfinite(array).all() for array in weights(run.model).values())
    assert load_checkpoint(tmp_path / "run").state["step"] == 4
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl")] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves(number, tmp_path, capfd):
    steps = iter(range(1, 100))

    def loss(model, batch):
        if next(steps) == 3:
            os.kill(os.getpid(), number)
        return model(*batch)[1]

    before = signal.getsignal(number)
    run = trainer(loss=loss, directory=tmp_path / "run")
    result = run.run()
    assert (result.step, result.signal) == (3, number)
    assert load_checkpoint(tmp_path / "run").state["step"] == 3
    assert signal.getsignal(number) is before
    assert "finishing this step and saving" in capfd.readouterr().err


def test_another_kind_of_model():
    """Anything with parameters, given a loss: here a classifier."""

    class Points:
        def __init__(self):
            self.random = np.random.default_rng(0)

        def __next__(self):
            points = self.random.standard_normal((16, 2)).astype(np.float32)
            return points, (points[:, 0] > points[:, 1]).astype(np.int64)

    mg.manual_seed(0)
    model = nn.Linear(2, 2)

    def loss(model, batch):
        points, targets = batch
        return mg.cross_entropy(model(points), targets)

    batches = Points()
    run = Trainer(
        model, batches, TrainConfig(steps=150, learning_rate=0.1), loss=loss, validation=[next(batches)], quiet=True
    )
    assert run.run().val_loss < 0.25


def test_plain_lines_when_there_is_no_terminal(capsys):
    run = trainer(TrainConfig(steps=4, batch_size=4, eval_every=2), validation=[next(TokenBatches(IDS, 3, 8))])
    run.quiet, run.sample = False, lambda: "words"
    run.sample_every = 3
    run.run()
    output = capsys.readouterr().out
    assert "step 1/4  loss" in output
    assert "step 4/4  loss" in output
    assert "tokens/s" in output
    assert "step 2: loss" in output
    assert "validation loss" in output
    assert "step 3, a sample:\nwords" in output
    assert "\x1b" not in output


def test_a_log_of_a_killed_run_is_cut_to_its_checkpoint(tmp_path):
    path = tmp_path / "logs" / "log.jsonl"
    with JsonLog(path) as log:
        for step in range(1, 6):
            log.write({"step": step, "loss": 0.1})
    with open(path, "a") as file:
        file.write('{"step": 6, "lo')  # killed in the middle of a line
    with JsonLog(path, after_step=3) as log:
        log.write({"step": 4, "loss": 0.2})
    assert [(r["step"], r["loss"]) for r in read_log(path)] == [(1, 0.1), (2, 0.1), (3, 0.1), (4, 0.2)]
    JsonLog(path).close()
    assert path.read_text() == ""


def test_a_log_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        JsonLog(tmp_path / "file" / "log.jsonl")


def test_the_plot(tmp_path):
    from matplotlib.image import imread

    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps({"step": s, "loss": 4 / s, "val_loss": 5 / s}) + "\n" for s in range(1, 40)))
    image = imread(plot_losses(log, tmp_path / "loss.png", title="a run"))
    assert image.shape[0] > 400
    assert image.shape[1] > 700
    assert image.min() < 0.1  # the dark validation line


def test_running_mean():
    np.testing.assert_allclose(running_mean([1, 2, 3, 4]), [1.5, 2, 3, 3.5])
    values = np.random.default_rng(0).random(500)
    np.testing.assert_allclose(running_mean(values)[250], values[245:256].mean())
