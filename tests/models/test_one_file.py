"""A new architecture with a new task is one file and a line that registers each: the commands do all with it.

The file is tests/support/toy_model.py, found as another package's would be: by an entry point.
"""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from models import registry
from models.errors import UserError
from models.tasks import table
from models.tasks.base import Task
from models.training.log import read_log

ROOT = Path(__file__).parents[2]
TEXT = "abcabcabd" * 40
FLAGS = ["--learning-rate", "0.5", "--batch-size", "4", "--save-every", "3", "--eval-every", "0", "--device", "cpu"]


@pytest.fixture
def minigrad(tmp_path):
    """The command line, in a Python where the toy's package is installed."""
    info = tmp_path / "installed" / "toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[minigrad.models]\ntoy = tests.support.toy_model\n")
    (tmp_path / "text.txt").write_text(TEXT)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{info.parent}"}

    def run(*arguments, code=0):
        command = [sys.executable, "-m", "models.commands.cli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return run


def test_it_trains_resumes_evaluates_and_generates(minigrad, tmp_path):
    train = ("train", "toy", "--data", "text.txt", *FLAGS)
    output = minigrad(*train, "--out", "whole", "--steps", 60, "--sample-every", 20)
    assert "toy with 16 parameters, on text.txt, 60 steps" in output
    assert "step 20, a sample:\n" in output
    assert "try: minigrad generate whole" in output

    minigrad(*train, "--out", "broken", "--steps", 25)
    assert "from step 25" in minigrad("train", "toy", "--out", "broken", "--resume", "--steps", 60)
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()
    losses = [[record["loss"] for record in read_log(tmp_path / run / "log.jsonl")] for run in ("whole", "broken")]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 60
    assert losses[0][-1] < 0.5 < losses[0][0]

    pairs = list(pairwise(TEXT))
    right = sum({"a": "b", "b": "c", "c": "a", "d": "a"}[a] == b for a, b in pairs) / len(pairs)
    assert json.loads(minigrad("eval", "broken", "--json")) == {"accuracy": pytest.approx(right)}
    assert minigrad("eval", "broken").split() == ["accuracy", f"{right:.4f}"]
    assert minigrad("generate", "broken", "--prompt", "a", "--temperature", 0, "--max-tokens", 5) == "abcabc\n"
    assert "toy   " in " ".join(minigrad("train", "--help").splitlines())
    assert "a Toy has no task 'spelling': there are pairs" in minigrad("train", "toy", "--task", "spelling", code=2)
    assert "no model 'tou': did you mean 'toy'?" in minigrad("train", "tou", code=2)


def test_every_line_of_the_registry_holds():
    """Each architecture's tasks exist, and its settings can be made as `minigrad train` makes them."""
    for architecture in registry.MODELS.values():
        for name in architecture.tasks:
            task = table.task_of(architecture, name)
            assert task.name == name
            assert set(task.sections(architecture)) == {"run", "model", "training"}
    assert registry.name_of(registry.MODELS["classifier"].model(registry.MODELS["classifier"].config())) == "classifier"


def test_names_are_taken_once():
    with pytest.raises(UserError, match="there is a model 'gpt' already"):
        registry.register("gpt", registry.Architecture(object, registry.MODELS["rnn"].model, ("language",)))

    class Other(Task):
        name = "language"

    with pytest.raises(UserError, match="there is a task 'language' already"):
        table.register(Other())
    np.testing.assert_equal(type(table.TASKS["language"]).__name__, "LanguageModelling")
