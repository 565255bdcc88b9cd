"""`minigrad demo`: train a small GPT on Shakespeare in about two minutes and let it write a scene.

How many steps that makes is measured on this machine before the start. The learning rate follows from
them, so a slow machine gets a short run that is complete in itself.
"""

import argparse
import dataclasses
import math
import time
from pathlib import Path
from typing import Any

from models.errors import UserError
from models.generation.generate import generate
from models.gpt import GPTConfig
from models.tasks.base import prepare
from models.tasks.language import LanguageModelling, LanguageRun
from models.tasks.settings import finish, started_with
from models.text.sources import corpora
from models.training.progress import duration
from models.training.trainer import TrainConfig, Trainer
from models.weights.checkpoint import Checkpoint, load_checkpoint

PROMPT = "ROMEO:\n"
SCENE_TOKENS = 500
MEASURED_SECONDS = 2.0
FEWEST_STEPS, MOST_STEPS = 20, 20_000
EXTRA_STEPS = 80  # ten evaluations, three samples and ten checkpoints take about as long

# Measured for equal time: a context of 64 learns more than one of 128, which allows half the steps.
MODEL = GPTConfig.preset("nano")
TRAINING = TrainConfig(batch_size=12, learning_rate=3e-3, min_learning_rate=1e-4, eval_batches=20)


def main(argv: list[str]) -> int:
    """Run `minigrad demo [--out DIR] [--minutes M]`. Returns 0, or 128 + the signal's number if one ended it."""
    parser = argparse.ArgumentParser(prog="minigrad demo", description=__doc__.partition("`: ")[2].partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="where to save it (default: runs/demo)")
    parser.add_argument("--minutes", type=float, default=2.0, help="about how long to train (default: 2)")
    arguments = parser.parse_args(argv)
    if not 0 < arguments.minutes <= 24 * 60:
        raise UserError(f"--minutes {arguments.minutes:g}: expected a number above 0, such as 2")

    run = LanguageRun(data=corpora.DEFAULT, out=arguments.out, log=arguments.out / "log.jsonl", device="cpu")
    checkpoint = _earlier(arguments.out)
    if checkpoint:
        sections = started_with("gpt", checkpoint, {"run": run, "model": MODEL, "training": TRAINING})
        training = sections["training"]
        print(f"{run.out} holds a demo that was interrupted: it goes on after step {checkpoint.state['step']}")
    else:
        training = _plan(run, arguments.minutes * 60)
    trainer = _trainer(run, training, checkpoint)
    trainer.extra["demo"] = True
    _introduce(trainer)
    started = time.monotonic()
    result = trainer.run()
    print(f"trained for {duration(time.monotonic() - started)}")
    if result.signal:
        print(f"stopped at step {result.step}; run the same command to go on")
        return 128 + result.signal
    _write_scene(trainer)
    finish(run, result)
    _what_next(arguments.out)
    return 0


def _earlier(out: Path) -> Checkpoint | None:
    """The unfinished demo in a directory, to go on with; a finished one is started again, anything else is refused."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    checkpoint = load_checkpoint(out)
    if not checkpoint.state.get("demo"):
        raise UserError(f"{out} holds a run that is not a demo: choose another directory with --out")
    if checkpoint.state["step"] < checkpoint.state["training"]["steps"]:
        return checkpoint
    print(f"{out} holds a finished demo: this is a new one in its place")
    return None


def _plan(run: LanguageRun, seconds: float) -> TrainConfig:
    """Settings for as many steps as fit into the time, measured with a few steps that are thrown away."""
    print("compiling the kernels and measuring this machine ...", flush=True)
    trainer = _trainer(dataclasses.replace(run, out=None, log=None), TRAINING)
    trainer.eval_every, trainer.sample, trainer.quiet = 0, None, True

    def seconds_a_step(steps: int) -> float:
        trainer.steps = trainer.step + steps
        before = time.perf_counter()
        if trainer.run().signal:
            raise KeyboardInterrupt
        return (time.perf_counter() - before) / steps

    seconds_a_step(3)  # compiles
    times: list[float] = []
    started = time.monotonic()
    while not times or time.monotonic() - started < MEASURED_SECONDS:
        times.append(seconds_a_step(10))
    each = sum(times) / len(times)
    steps = max(FEWEST_STEPS, min(round(seconds / each) - EXTRA_STEPS, MOST_STEPS))
    print(f"a step takes {each * 1e3:.1f} ms: {steps} steps")
    tenth = math.ceil(steps / 10)
    return dataclasses.replace(
        TRAINING,
        steps=steps,
        warmup_steps=max(steps // 20, 10),
        eval_every=tenth,
        save_every=tenth,
        sample_every=math.ceil(steps / 4),
    )


def _trainer(run: LanguageRun, training: TrainConfig, checkpoint: Checkpoint | None = None) -> Any:  # a Trainer
    sections = {"run": run, "model": MODEL, "training": training}
    return prepare(LanguageModelling(), "gpt", sections, checkpoint)[1]


def _introduce(trainer: Trainer) -> None:
    config = trainer.model.config
    print(
        f"a GPT of {trainer.model.num_parameters():,} parameters ({config.num_layers} layers, "
        f"{config.num_heads} heads, {config.embedding_dim} wide) learns to guess the next character of "
        f"Shakespeare's plays from the {config.context_length} before it; Ctrl-C saves and stops\n",
        flush=True,
    )


def _write_scene(trainer: Trainer) -> None:
    print(f"\nwhat it writes after {PROMPT.strip()!r}:\n\n{PROMPT}", end="", flush=True)
    for piece in generate(trainer.model, trainer.tokenizer, PROMPT, max_tokens=SCENE_TOKENS, temperature=0.7, seed=1):
        print(piece, end="", flush=True)
    print("\n")


def _what_next(out: Path) -> None:
    print(
        f"""
what to try next:
  minigrad generate {out} --prompt "HAMLET:" --max-tokens 400 --temperature 0.8
  minigrad train gpt --data my-text.txt --out runs/mine          on any UTF-8 text of yours
  minigrad train gpt --out runs/big --num-layers 6 --num-heads 6 --embedding-dim 384 \\
      --context-length 256 --steps 5000 --dropout 0.1              hours, and much better verse
  minigrad train gpt --help                                      every setting
the loop that did this is models/training/loop.py, the model models/gpt.py"""
    )
