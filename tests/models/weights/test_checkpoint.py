"""Checkpoints: what goes in comes out; whatever happens while saving, one whole checkpoint is there."""

import errno
import hashlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.io import load, save
from models.errors import UserError
from models.gpt import GPT, GPTConfig
from models.text.tokenizers import ByteTokenizer, CharTokenizer
from models.weights import swap
from models.weights.checkpoint import (
    BEST,
    CARRIED,
    CONFIG,
    FILES,
    MODEL,
    OPTIMIZER,
    STATE,
    TOKENIZER,
    load_checkpoint,
    save_checkpoint,
)
from nn import Linear
from nn.optim import SGD, AdamW
from nn.utils import decay_groups

TOKENS = CharTokenizer("abcdefgh")


def small(seed=0, **changes) -> GPT:
    mg.manual_seed(seed)
    return GPT(
        GPTConfig(
            **{"vocab_size": 8, "context_length": 8, "num_layers": 1, "num_heads": 2, "embedding_dim": 8} | changes
        )
    )


def step(model, optimizer, seed) -> float:
    ids = np.random.default_rng(seed).integers(0, 8, (2, 9))
    optimizer.zero_grad()
    _, loss = model(ids[:, :-1], ids[:, 1:])
    loss.backward()
    optimizer.step()
    return loss.item()


def value(directory) -> float:
    """Which of several checkpoints it is: they differ in a weight and in the state, which must agree."""
    found = load_checkpoint(directory)
    weight = float(found.model.final_norm.weight.data[0])
    assert found.state == {"step": weight}
    return weight


def save_value(directory, number, **kwargs) -> None:
    model = small()
    model.final_norm.weight.data[...] = number
    save_checkpoint(directory, model, TOKENS, state={"step": number}, **kwargs)


def hidden(parent: Path) -> list[str]:
    return [entry.name for entry in parent.iterdir() if entry.name.startswith(".")]


# What goes in comes out.


def test_all_of_it_comes_back(tmp_path):
    model = small(dropout=0.1)
    state = {"step": 3, "random": mg.get_rng_state(), "nested": {"text": "é", "list": [1, 2.5, None, True]}}
    save_checkpoint(tmp_path / "run", model, TOKENS, state=state)
    found = load_checkpoint(tmp_path / "run", model="gpt")
    assert found.config == model.config
    assert found.state == state
    assert found.tokenizer.to_json() == TOKENS.to_json()
    assert found.optimizer_tensors == found.optimizer_settings == {}
    assert not found.model.training
    own = model.state_dict()
    for name, tensor in found.model.state_dict().items():
        assert (tensor.data == own[name].data).all(), name
    unused = {OPTIMIZER, BEST, CARRIED}
    assert sorted(entry.name for entry in (tmp_path / "run").iterdir()) == sorted({*FILES} - unused)
    assert json.loads((tmp_path / "run" / CONFIG).read_text())["format"] == 1
    assert hidden(tmp_path) == []


def test_training_goes_on_bit_for_bit(tmp_path):
    model = small()
    optimizer = AdamW(decay_groups(model.parameters(), 0.1), lr=1e-2)
    for i in range(3):
        step(model, optimizer, i)
    save_checkpoint(tmp_path / "run", model, TOKENS, optimizer)
    expected = [step(model, optimizer, i) for i in range(3, 6)]

    found = load_checkpoint(tmp_path / "run")
    resumed = AdamW(decay_groups(found.model.parameters(), 0.0), lr=1.0)
    found.restore_optimizer(resumed)
    assert [step(found.model, resumed, i) for i in range(3, 6)] == expected
    assert [(g["lr"], g["weight_decay"], g["betas"]) for g in resumed.param_groups] == [
        (1e-2, 0.1, (0.9, 0.999)),
        (1e-2, 0.0, (0.9, 0.999)),
    ]
    assert "blocks.0.mlp.expand.weight/exp_avg" in found.optimizer_tensors
    assert load_checkpoint(tmp_path / "run", with_optimizer=False).optimizer_tensors == {}


def test_optimisers_that_do_not_fit(tmp_path):
    model = small()
    optimizer = AdamW(model.parameters())
    step(model, optimizer, 0)
    save_checkpoint(tmp_path / "run", model, TOKENS, optimizer)
    found = load_checkpoint(tmp_path / "run")
    with pytest.raises(UserError, match="optimiser is AdamW, this one SGD"):
        found.restore_optimizer(SGD(found.model.parameters(), lr=0.1))
    with pytest.raises(UserError, match="other parameters, or other groups"):
        found.restore_optimizer(AdamW(decay_groups(found.model.parameters(), 0.1)))
    save_checkpoint(tmp_path / "run", model, TOKENS)
    with pytest.raises(UserError, match="holds no optimiser"):
        load_checkpoint(tmp_path / "run").restore_optimizer(optimizer)


def test_other_files_in_the_directory_stay_even_while_they_are_open(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "plots").mkdir()
    (run / "plots" / "loss.svg").write_text("plot")
    with open(run / "log.jsonl", "a") as log:
        for i in range(3):
            log.write(f"{i}\n")
            log.flush()
            save_value(run, i)
    assert (run / "log.jsonl").read_text() == "0\n1\n2\n"
    assert (run / "plots" / "loss.svg").read_text() == "plot"
    assert value(run) == 2
    assert hidden(tmp_path) == []


# Bad checkpoints.


def edit_config(**changes):
    def edit(run):
        header = json.loads((run / CONFIG).read_text())
        (run / CONFIG).write_text(json.dumps(header | changes))

    return edit


def edit_model_config(**changes):
    def edit(run):
        header = json.loads((run / CONFIG).read_text())
        header["config"] |= changes
        (run / CONFIG).write_text(json.dumps(header))

    return edit


def remove(name):
    return lambda run: (run / name).unlink()


def change_bytes(name, change):
    return lambda run: (run / name).write_bytes(change((run / name).read_bytes()))


def flip_a_bit(data: bytes) -> bytes:
    return data[:-7] + bytes([data[-7] ^ 4]) + data[-6:]


def resigned(name, write):
    """Replace a file, and its sha256 with it, to get past that check to the next one."""

    def change(run):
        write(run / name)
        header = json.loads((run / CONFIG).read_text())
        header["files"][name] = hashlib.sha256((run / name).read_bytes()).hexdigest()
        (run / CONFIG).write_text(json.dumps(header))

    return change


DAMAGE = {
    **{f"no {name}": (remove(name), f"is incomplete: {name} is missing") for name in FILES if name != CONFIG},
    "no config": (
        remove(CONFIG),
        "is not a checkpoint: it has no config.json, only best.safetensors, carried.safetensors, model.safetensors, ",
    ),
    **{f"truncated {name}": (change_bytes(name, lambda data: data[: len(data) // 2]), "is damaged") for name in FILES},
    **{f"empty {name}": (change_bytes(name, lambda data: b""), "is damaged") for name in FILES},
    "a flipped bit": (change_bytes(MODEL, flip_a_bit), "model.safetensors is damaged: its .*sha256 differs"),
    "a flipped bit in the optimiser": (change_bytes(OPTIMIZER, flip_a_bit), "optimizer.safetensors is damaged"),
    "not safetensors": (resigned(MODEL, lambda path: path.write_bytes(b"x" * 100)), "model.safetensors is damaged"),
    "other weights": (
        resigned(MODEL, lambda path: save({"a": np.ones(3)}, path)),
        r"model.safetensors and config.json do not belong together: .*missing: blocks.0.*unexpected: a \(3,\)",
    ),
    "another width": (edit_model_config(embedding_dim=16), "do not belong together: .*is .*16.* here, .*8"),
    "a newer format": (edit_config(format=2), "has checkpoint format 2, this minigrad reads 1: upgrade minigrad"),
    "no format": (edit_config(format=None), "has no format number"),
    "a list": (lambda run: (run / CONFIG).write_text("[]"), "has no format number"),
    "an unknown model": (edit_config(model="gtp"), "no model 'gtp': did you mean 'gpt'"),
    "an unknown field": (edit_model_config(colour="red"), "GPTConfig has no colour; it has .*num_heads"),
    "a bad field": (edit_model_config(num_heads=3), "config.json: embedding_dim=8 is not divisible by num_heads=3"),
    "a large tokenizer": (
        resigned(TOKENIZER, lambda path: CharTokenizer("abcdefghijkl").save(path)),
        "the tokenizer has 12 tokens, the model 8: they do not belong together",
    ),
    "an unknown tokenizer": (
        resigned(TOKENIZER, lambda path: path.write_text('{"type": "x"}')),
        "tokenizer.json: .*'x'",
    ),
    "a state that is not JSON": (resigned(STATE, lambda path: path.write_text("{")), "state.json is damaged, not JSON"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    model = small()
    optimizer = AdamW(model.parameters())
    step(model, optimizer, 0)
    save_checkpoint(run, model, TOKENS, optimizer, {"step": 1}, model.state_dict(), {"h": mg.zeros(1, 2, 3)})
    return {name: (run / name).read_bytes() for name in FILES}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(tmp_path, whole, damage):
    run = tmp_path / "run"
    run.mkdir()
    for name, data in whole.items():
        (run / name).write_bytes(data)
    load_checkpoint(run)
    change, message = DAMAGE[damage]
    change(run)
    with pytest.raises(UserError, match=f"(?s){message}"):
        load_checkpoint(run)


def test_no_checkpoint_there(tmp_path):
    with pytest.raises(UserError, match=r"no such checkpoint; `minigrad train gpt --out DIR` makes one"):
        load_checkpoint(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="file: is a file"):
        load_checkpoint(tmp_path / "file")
    with pytest.raises(UserError, match="is a file: a checkpoint is a directory"):
        save_value(tmp_path / "file", 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"it has no config.json, only nothing"):
        load_checkpoint(tmp_path / "empty")


def test_another_architecture_is_named_together_with_the_expected(tmp_path):
    save_value(tmp_path / "run", 1)
    with pytest.raises(UserError, match="holds a model of type 'gpt'; a 'rnn' is expected here"):
        load_checkpoint(tmp_path / "run", model="rnn")


def test_what_cannot_be_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for directory in (".", "..", tmp_path):
        with pytest.raises(UserError, match="cannot be the current directory"):
            save_value(directory, 1)
    with pytest.raises(TypeError, match="JSON"):
        save_checkpoint(tmp_path / "run", small(), TOKENS, state={"step": np.ones(3)})
    with pytest.raises(UserError, match="Linear is not among the models"):
        save_checkpoint(tmp_path / "run", Linear(2, 2), TOKENS)
    assert list(tmp_path.iterdir()) == []


# Whatever happens while saving.


def failing_write(after: int, code: int):
    """A _write that fails in the middle of the file number `after`, as a full disk does."""
    count = 0

    def write(path, data):
        nonlocal count
        count += 1
        if count > after:
            path.write_bytes(data[: len(data) // 2])
            raise OSError(code, os.strerror(code))
        path.write_bytes(data)

    return write


@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("earlier", [True, False])
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, after, earlier):
    run = tmp_path / "run"
    if earlier:
        save_value(run, 1)
    with monkeypatch.context() as patch:
        patch.setattr(swap, "_write", failing_write(after, errno.ENOSPC))
        with pytest.raises(
            UserError, match=r"no space .* it takes 0\.\d MB beside the one before, and [\d,.]+ MB are free"
        ):
            save_value(run, 2)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"] * earlier
    if earlier:
        assert value(run) == 1
    save_value(run, 3)
    assert value(run) == 3


def test_other_failures_to_write(tmp_path, monkeypatch):
    save_value(tmp_path / "run", 1)
    monkeypatch.setattr(swap, "_write", failing_write(1, errno.EIO))
    with pytest.raises(UserError, match="cannot be written: Input/output error"):
        save_value(tmp_path / "run", 2)
    monkeypatch.setattr(swap, "_write", lambda path, data: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save_value(tmp_path / "run", 2)
    assert hidden(tmp_path) == []
    assert value(tmp_path / "run") == 1


def test_a_limit_on_the_size_of_files(tmp_path):
    """The operating system itself refuses, in a process that may write 2 kB to a file."""
    save_value(tmp_path / "run", 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(UserError, match="no space for the checkpoint"):
            save_value(tmp_path / "run", 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert hidden(tmp_path) == []
    assert value(tmp_path / "run") == 1


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it may run, so cleaning up is switched off too."""


def kill_at(monkeypatch, moment: int) -> None:
    """Every operation on the disk counts; before number `moment`, and at any later one, the process is dead."""
    count = 0

    def deadly(function):
        def operation(*args, **kwargs):
            nonlocal count
            count += 1
            if count > moment:
                raise Killed
            return function(*args, **kwargs)

        return operation

    monkeypatch.setattr(os, "rename", deadly(os.rename))
    monkeypatch.setattr(swap, "_write", deadly(swap._write))
    monkeypatch.setattr(swap, "_sync", deadly(swap._sync))
    monkeypatch.setattr(swap.shutil, "rmtree", deadly(swap.shutil.rmtree))


@pytest.mark.parametrize("again", [True, False], ids=["then saved again", "then loaded"])
def test_killed_at_every_step_of_the_swap(tmp_path, monkeypatch, again):
    """Old until the new one is complete, then new; other files are never lost."""
    seen = []
    for moment in range(30):
        run = tmp_path / str(moment) / "run"
        save_value(run, 1)
        (run / "log.jsonl").write_text("log")
        with monkeypatch.context() as patch:
            kill_at(patch, moment)
            try:
                save_value(run, 2)
                finished = True
            except Killed:
                finished = False
        if again:
            save_value(run, 3)
            assert value(run) == 3
            assert hidden(run.parent) == []
        else:
            seen.append(value(run))
        assert (run / "log.jsonl").read_text() == "log"
        if finished:
            break
    assert finished
    assert moment > 8
    assert again or seen == sorted(seen)
    assert again or {*seen} == {1, 2}


SAVE_AND_BE_KILLED = """
import os, random, signal, sys, time
from models.weights.checkpoint import load_checkpoint, save_checkpoint
from models.gpt import GPT, GPTConfig

directory, kills = sys.argv[1], int(sys.argv[2])
model = GPT(GPTConfig(8, 8, 1, 2, 8))
rng = random.Random(0)
reached = 0
for _ in range(kills):
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        while True:
            reached += 1
            model.final_norm.weight.data[...] = reached
            save_checkpoint(directory, model, None, state={"step": reached})
            os.write(send, b"saved")
    os.close(send)
    finished = reached + len(os.read(receive, 5)) // 5
    time.sleep(rng.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(receive, "rb") as pipe:
        finished += len(pipe.read()) // 5
    found = load_checkpoint(directory)
    reached = found.state["step"]
    assert (found.model.final_norm.weight.data == reached).all(), "weights and state of two checkpoints"
    assert reached in (finished, finished + 1), f"{reached} after {finished}"  # it may have died before it said so
    print(reached)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_sigkill_at_random_moments(tmp_path):
    """A process that saves all the time, killed again and again: never less than its last finished save."""
    script = [sys.executable, "-c", SAVE_AND_BE_KILLED, str(tmp_path / "run"), "20"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(script, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    reached = [int(line) for line in done.stdout.split()]
    assert len(reached) == 20
    assert reached == sorted(set(reached))  # every round came further


def test_the_weights_can_be_read_by_any_safetensors_reader(tmp_path):
    model = small()
    save_checkpoint(tmp_path / "run", model, TOKENS)
    assert set(load(tmp_path / "run" / MODEL)) == set(model.state_dict())


def test_load_gives_the_model_and_its_tokenizer(tmp_path):
    import models

    mg.manual_seed(0)
    model = GPT(GPTConfig(256, 8, 1, 2, 8))
    save_checkpoint(tmp_path / "run", model, ByteTokenizer())
    loaded, tokenizer = models.load(tmp_path / "run")
    assert not loaded.training
    assert type(tokenizer) is ByteTokenizer
    assert models.generate_text(loaded, tokenizer, "a", max_tokens=5, seed=1) == models.generate_text(
        model, tokenizer, "a", max_tokens=5, seed=1
    )
    assert all(hasattr(models, name) for name in models.__all__)
