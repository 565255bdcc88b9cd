"""A resumed run equals an unbroken one bit for bit, however it was stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import minigrad as mg
from models.commands.train import main
from models.errors import DataError, UserError
from models.gpt import GPT, GPTConfig
from models.text.batching import TokenBatches
from models.text.tokenizers import ByteTokenizer
from models.training.log import read_log
from models.training.progress import Silence
from models.training.trainer import TrainConfig, Trainer
from models.weights.checkpoint import load_checkpoint
from nn.optim import SGD
from nn.optim.lr_scheduler import StepLR

IDS = np.random.default_rng(0).integers(0, 256, 3000)
MODEL = GPTConfig(vocab_size=256, context_length=8, num_layers=2, num_heads=2, embedding_dim=16, dropout=0.2)


def start(directory, config, ids=IDS):
    mg.manual_seed(config.seed)
    return _trainer(GPT(MODEL), directory, config, ids)


def resume(directory, config, ids=IDS):
    mg.manual_seed(999)  # whatever happened before must not matter
    checkpoint = load_checkpoint(directory)
    trainer = _trainer(checkpoint.model, directory, config, ids)
    trainer.resume(checkpoint)
    return trainer


def _trainer(model, directory, config, ids):
    return Trainer(
        model,
        TokenBatches(ids, config.batch_size, MODEL.context_length, config.seed),
        config,
        validation=[next(TokenBatches(IDS, 4, 8, seed=5))],
        tokenizer=ByteTokenizer(),
        directory=directory,
        log=directory / "log.jsonl",
        quiet=True,
    )


def losses(directory):
    """The log without what depends on the clock."""
    return [{k: v for k, v in r.items() if k != "tokens_per_second"} for r in read_log(directory / "log.jsonl")]


def assert_same_runs(one, other):
    for name in ("model.safetensors", "state.json", "tokenizer.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    ours, theirs = load_checkpoint(one), load_checkpoint(other)
    assert ours.optimizer_settings == theirs.optimizer_settings
    assert ours.optimizer_tensors.keys() == theirs.optimizer_tensors.keys()
    for name, tensor in ours.optimizer_tensors.items():
        assert tensor.numpy().tobytes() == theirs.optimizer_tensors[name].numpy().tobytes(), name
    assert losses(one) == losses(other)


@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("stops", [[4], [1, 2, 9], [11]])
def test_resumed_equals_unbroken(stops, accumulation, tmp_path):
    config = TrainConfig(
        steps=12, batch_size=3, gradient_accumulation=accumulation, warmup_steps=4, eval_every=5, seed=7
    )
    start(tmp_path / "whole", config).run()
    broken = tmp_path / "broken"
    for i, step in enumerate(stops):
        trainer = start(broken, config) if i == 0 else resume(broken, config)
        _run_until(trainer, step, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert trainer.step == step
    assert resume(broken, config).run().step == 12
    assert_same_runs(tmp_path / "whole", broken)


@pytest.mark.parametrize(("crash_in", "resumes_from"), [(1, 0), (10, 5)])
def test_a_run_continues_from_an_older_checkpoint(crash_in, resumes_from, tmp_path):
    """What was logged and trained since the last checkpoint is done again, and logged once."""

    def crash():
        raise ZeroDivisionError

    config = TrainConfig(steps=12, batch_size=3, eval_every=4, save_every=5, seed=7)
    start(tmp_path / "whole", config).run()
    with pytest.raises(ZeroDivisionError):
        _run_until(start(tmp_path / "broken", config), crash_in, crash)
    assert [r["step"] for r in losses(tmp_path / "broken")] == list(range(1, crash_in))
    trainer = resume(tmp_path / "broken", config)
    assert trainer.step == resumes_from
    trainer.run()
    assert_same_runs(tmp_path / "whole", tmp_path / "broken")


def _run_until(trainer, step, then):
    """Train, and in the middle of a step do something, once."""
    loss, pending = trainer.stepper.loss, [then]

    def interrupted_loss(model, batch):
        if trainer.step == step - 1 and model.training and pending:
            pending.pop()()
        return loss(model, batch)

    trainer.stepper.loss = interrupted_loss
    trainer.run()


def test_a_run_goes_on_with_other_settings(tmp_path):
    start(tmp_path / "run", TrainConfig(steps=3, batch_size=3)).run()
    longer = TrainConfig(steps=6, batch_size=3, learning_rate=0.01, weight_decay=0.5, betas=(0.5, 0.6))
    trainer = resume(tmp_path / "run", longer)
    assert trainer.step == 3
    assert [group["weight_decay"] for group in trainer.stepper.optimizer.param_groups] == [0.5, 0.0]
    assert trainer.stepper.optimizer.param_groups[0]["betas"] == (0.5, 0.6)
    assert trainer.stepper.optimizer.param_groups[0]["lr"] == trainer.stepper.schedule.lr_at(0.01, 3)
    assert trainer.run().step == 6


class Overfitting:
    """A loss whose validation half falls until a step and then rises, with gradients of the model's own."""

    def __init__(self, best_step):
        self.best_step = best_step

    def __call__(self, model, batch):
        loss = model(*batch)[1]
        if model.training:
            self.step = getattr(self, "step", 0) + 1
            return loss
        return loss * 0 + abs(self.step - self.best_step)


@pytest.mark.parametrize("stop", [2, 5, 8])
def test_early_stopping_keeps_the_best_and_resumes(stop, tmp_path):
    """Best at step 4; patience ends the run at step 8, and a broken run is the same."""
    config = TrainConfig(steps=20, batch_size=3, eval_every=2, save_every=2, patience=2, seed=7)
    whole = start(tmp_path / "whole", config)
    whole.stepper.loss = Overfitting(4)
    assert whole.run().step == 8
    first = start(tmp_path / "broken", config)
    first.stepper.loss = Overfitting(4)
    _run_until(first, stop, lambda: os.kill(os.getpid(), signal.SIGINT))
    second = resume(tmp_path / "broken", config)
    second.stepper.loss = Overfitting(4)
    second.stepper.loss.step = second.step
    assert second.run().step == 8
    assert_same_runs(tmp_path / "whole", tmp_path / "broken")
    assert (tmp_path / "whole" / "best.safetensors").read_bytes() == (
        tmp_path / "broken" / "best.safetensors"
    ).read_bytes()
    step_4 = start(tmp_path / "step-4", TrainConfig(steps=20, batch_size=3, seed=7))
    _run_until(step_4, 4, lambda: os.kill(os.getpid(), signal.SIGINT))
    to_use = load_checkpoint(tmp_path / "broken", with_optimizer=False).model
    for model in (whole.model, second.model, to_use):
        for name, tensor in step_4.model.state_dict().items():
            np.testing.assert_array_equal(model.state_dict()[name].numpy(), tensor.numpy(), err_msg=name)
    latest = load_checkpoint(tmp_path / "broken").model.state_dict()
    assert any((latest[name].numpy() != t.numpy()).any() for name, t in step_4.model.state_dict().items())


def test_resume_refuses_other_data_and_foreign_states(tmp_path):
    config = TrainConfig(steps=2, batch_size=3)
    start(tmp_path / "run", config).run()
    with pytest.raises(DataError, match=r"3,?000 tokens, and this one has 2,?999"):
        resume(tmp_path / "run", config, ids=IDS[:-1])
    state = json.loads((tmp_path / "run" / "state.json").read_text())
    checkpoint = load_checkpoint(tmp_path / "run")
    checkpoint.state = {name: value for name, value in state.items() if name != "random"}
    with pytest.raises(UserError, match="no random"):
        _trainer(checkpoint.model, tmp_path / "run", config, IDS).resume(checkpoint)


# Kills.

FLAGS = [
    "--num-layers", "1", "--num-heads", "2", "--embedding-dim", "16", "--context-length", "16", "--dropout", "0.1",
    "--batch-size", "4", "--gradient-accumulation", "2", "--steps", "150", "--save-every", "7", "--eval-every", "50",
    "--eval-batches", "2", "--sample-every", "0", "--device", "cpu",
]  # fmt: skip


def _train(directory, text, *flags):
    arguments = ["train", "gpt", "--data", str(text), "--out", str(directory), *flags]
    command = [sys.executable, "-c", "import sys; from models.commands.train import main; sys.exit(main(sys.argv[2:]))"]
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def _modified(path):
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # not there yet, or its directory is being replaced
        return 0


def _wait_for(condition, process):
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the run does not get going"
        time.sleep(0.01)


def _killed_run(tmp_path, kills, seed):
    text = tmp_path / "text.txt"
    text.write_text("It was the best of times, it was the worst of times.\n" * 60)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(["gpt", "--data", str(text), "--out", str(whole), *FLAGS]) == 0
    choice = random.Random(seed)
    for kill in range(kills):
        process = _train(killed, text, *(["--resume"] if kill else FLAGS))
        # Training is under way again once the log, cut at the start, has changed.
        modified = _modified(killed / "log.jsonl")
        _wait_for(lambda before=modified: _modified(killed / "log.jsonl") > before, process)
        time.sleep(choice.uniform(0, 0.4))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert main(["gpt", "--out", str(killed), "--resume"]) == 0
    assert_same_runs(whole, killed)
    assert [record["step"] for record in losses(killed)] == list(range(1, 151))


def test_killed_twice(tmp_path):
    _killed_run(tmp_path, kills=2, seed=0)


@pytest.mark.slow
def test_killed_ten_times(tmp_path):
    _killed_run(tmp_path, kills=10, seed=1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_the_command_and_it_resumes(number, code, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("It was the best of times, it was the worst of times.\n" * 60)
    run = tmp_path / "run"
    process = _train(run, text, *FLAGS, "--steps", "100000")
    _wait_for(lambda: sum(1 for _ in read_log(run / "log.jsonl")) > 3, process)
    os.kill(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    assert "continue with the same command and --resume" in output
    assert "Traceback" not in output
    state = load_checkpoint(run).state
    assert state["step"] == losses(run)[-1]["step"] > 3


def test_a_signal_between_two_steps_is_saved_too(tmp_path):
    class Show(Silence):
        def update(self, step, loss, tokens_per_second):  # the last thing in a step
            if step == 4:
                os.kill(os.getpid(), signal.SIGINT)

    trainer = start(tmp_path / "run", TrainConfig(steps=9, batch_size=3))
    trainer._progress = Show
    assert trainer.run().signal == signal.SIGINT
    assert load_checkpoint(tmp_path / "run").state["step"] == 4


@pytest.mark.parametrize("all_of_it", [True, False])
def test_any_optimizer_and_schedule_resume(all_of_it, tmp_path):
    """Given to the Trainer, in groups of one's own, of all parameters or some: bit for bit too."""
    config = TrainConfig(steps=9, batch_size=3, save_every=2, eval_every=4, seed=7)

    def given(model, directory):
        heads = [p for name, p in model.named_parameters() if "embedding" in name]
        others = [p for name, p in model.named_parameters() if "embedding" not in name and (all_of_it or p.ndim > 1)]
        optimizer = SGD([{"params": heads, "lr": 0.01}, {"params": others}], lr=0.1, momentum=0.9)
        batches = TokenBatches(IDS, config.batch_size, MODEL.context_length, config.seed)
        return Trainer(
            model, batches, config, optimizer=optimizer, schedule=StepLR(optimizer, 3, gamma=0.5),
            tokenizer=ByteTokenizer(), directory=directory, log=directory / "log.jsonl", quiet=True,
        )  # fmt: skip

    for name, stops in (("whole", ()), ("broken", (4, 7))):
        mg.manual_seed(config.seed)
        trainer = given(GPT(MODEL), tmp_path / name)
        for stop in stops:
            _run_until(trainer, stop, lambda: os.kill(os.getpid(), signal.SIGINT))
            mg.manual_seed(999)
            checkpoint = load_checkpoint(tmp_path / name)
            trainer = given(checkpoint.model, tmp_path / name)
            trainer.resume(checkpoint)
        assert trainer.run().step == 9
        assert [group["lr"] for group in trainer.stepper.optimizer.param_groups] == [0.01 / 8, 0.1 / 8]
    assert_same_runs(tmp_path / "whole", tmp_path / "broken")
    with pytest.raises(UserError, match="the checkpoint's optimiser is SGD, this one AdamW"):
        resume(tmp_path / "broken", config)


def test_a_checkpoint_from_before_schedules_were_saved_resumes(tmp_path):
    config = TrainConfig(steps=6, batch_size=3, save_every=3, seed=7)
    start(tmp_path / "whole", config).run()
    _run_until(start(tmp_path / "broken", config), 3, lambda: os.kill(os.getpid(), signal.SIGINT))
    checkpoint = load_checkpoint(tmp_path / "broken")
    del checkpoint.state["schedule"]
    trainer = _trainer(checkpoint.model, tmp_path / "broken", config, IDS)
    trainer.resume(checkpoint)
    trainer.run()
    assert_same_runs(tmp_path / "whole", tmp_path / "broken")
