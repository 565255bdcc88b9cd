"""`minigrad demo`, with a tiny model on a small text: the same path from start to end."""

import os
import signal

import pytest

from models.commands import demo
from models.commands import train as train_command
from models.errors import UserError
from models.gpt import GPTConfig
from models.text.sources import corpora
from models.training.log import read_log
from models.training.trainer import TrainConfig
from models.weights.checkpoint import load_checkpoint

TEXT = "ROMEO:\nIt was the best of times.\n\nHAMLET:\nIt was the worst of times.\n\n" * 30


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(corpora, "text", lambda name: TEXT)
    monkeypatch.setattr(demo, "MODEL", GPTConfig(64, context_length=8, num_layers=1, num_heads=2, embedding_dim=8))
    monkeypatch.setattr(demo, "TRAINING", TrainConfig(batch_size=2, eval_batches=2))
    monkeypatch.setattr(demo, "MEASURED_SECONDS", 0.05)
    monkeypatch.setattr(demo, "MOST_STEPS", 30)
    monkeypatch.setattr(demo, "SCENE_TOKENS", 30)


def test_from_start_to_end_and_again(tmp_path, capsys):
    out = tmp_path / "demo"
    assert demo.main(["--out", str(out), "--minutes", "0.01"]) == 0
    output = capsys.readouterr().out
    assert "ms: " in output
    assert "a GPT of " in output
    assert "what it writes after 'ROMEO:':\n\nROMEO:\n" in output
    assert "validation loss" in output
    assert f"minigrad generate {out}" in output
    for name in ("model.safetensors", "state.json", "log.jsonl", "loss.png"):
        assert (out / name).is_file()
    checkpoint = load_checkpoint(out)
    steps = checkpoint.state["training"]["steps"]
    assert checkpoint.state["step"] == steps >= demo.FEWEST_STEPS
    assert len(list(read_log(out / "log.jsonl"))) == steps

    assert demo.main(["--out", str(out), "--minutes", "0.01"]) == 0
    assert f"{out} holds a finished demo: this is a new one in its place" in capsys.readouterr().out


def test_an_interrupted_demo_goes_on(tmp_path, capsys, monkeypatch):
    out = tmp_path / "demo"
    plan = demo._plan

    def plan_then_interrupt(run, seconds):
        config = plan(run, seconds)
        loss = demo.Trainer.run

        def interrupted(trainer):
            monkeypatch.setattr(demo.Trainer, "run", loss)
            original = trainer.stepper.loss

            def killing_loss(model, batch):
                if trainer.step == 4 and model.training:
                    trainer.stepper.loss = original
                    os.kill(os.getpid(), signal.SIGINT)
                return original(model, batch)

            trainer.stepper.loss = killing_loss
            return loss(trainer)

        monkeypatch.setattr(demo.Trainer, "run", interrupted)
        return config

    monkeypatch.setattr(demo, "_plan", plan_then_interrupt)
    assert demo.main(["--out", str(out), "--minutes", "0.01"]) == 130
    assert "stopped at step 5; run the same command to go on" in capsys.readouterr().out
    steps = load_checkpoint(out).state["training"]["steps"]
    assert demo.main(["--out", str(out)]) == 0
    assert f"{out} holds a demo that was interrupted: it goes on after step 5" in capsys.readouterr().out
    assert [record["step"] for record in read_log(out / "log.jsonl")] == list(range(1, steps + 1))


def test_it_does_not_touch_another_run(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    flags = ["--num-layers", "1", "--num-heads", "2", "--embedding-dim", "8", "--context-length", "8", "--steps", "2"]
    train_command.main(["gpt", "--data", str(text), "--out", str(tmp_path / "run"), *flags])
    with pytest.raises(UserError, match=r"run holds a run that is not a demo: choose another directory with --out"):
        demo.main(["--out", str(tmp_path / "run")])


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_minutes_without_sense(minutes):
    with pytest.raises(UserError, match="expected a number above 0"):
        demo.main(["--minutes", minutes])
