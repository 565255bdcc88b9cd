"""`minigrad train`: settings from three places, and what it refuses."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from models.commands.train import main
from models.configuration import parse_flags, read_toml, replace_fields
from models.errors import UserError
from models.training.log import read_log
from models.weights.checkpoint import load_checkpoint

TINY = [
    "--num-layers", "1", "--num-heads", "2", "--embedding-dim", "8", "--context-length", "8", "--batch-size", "2",
    "--steps", "3", "--eval-batches", "2", "--sample-every", "2", "--device", "cpu",
]  # fmt: skip


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("It was the best of times, it was the worst of times.\n" * 20)
    return path


def train(text, out, *flags):
    return main(["gpt", "--data", str(text), "--out", str(out), *TINY, *flags])


def test_a_whole_run(text, tmp_path, capsys):
    out = tmp_path / "run"
    assert train(text, out) == 0
    output = capsys.readouterr().out
    assert "gpt with " in output
    assert "done at step 3, validation loss" in output
    assert "step 2, a sample:" in output
    assert f"minigrad generate {out}" in output
    checkpoint = load_checkpoint(out)
    assert checkpoint.config.vocab_size == checkpoint.tokenizer.vocab_size == len(set(text.read_text()))
    assert checkpoint.config.num_layers == 1
    assert checkpoint.state["step"] == 3
    assert [record["step"] for record in read_log(out / "log.jsonl")] == [1, 2, 3]
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("tokenizer", ["char", "word", "byte"])
def test_tokenizers_and_log(tokenizer, text, tmp_path):
    log = tmp_path / "elsewhere" / "log.jsonl"
    assert train(text, tmp_path / "run", "--tokenizer", tokenizer, "--log", str(log), "--sample-every", "0") == 0
    assert load_checkpoint(tmp_path / "run").tokenizer.type == tokenizer
    assert len(log.read_text().splitlines()) == 3


def test_an_existing_directory_is_not_overwritten(text, tmp_path):
    (tmp_path / "run").mkdir()
    assert train(text, tmp_path / "run") == 0  # an empty one is as good as none
    with pytest.raises(UserError, match=r"run exists: continue that run with --resume, or choose another --out"):
        train(text, tmp_path / "run")


def test_resume_takes_the_settings_of_the_run(text, tmp_path):
    out = tmp_path / "run"
    train(text, out, "--learning-rate", "0.005", "--tokenizer", "word")
    assert main(["gpt", "--out", str(out), "--resume", "--steps", "5"]) == 0
    state = load_checkpoint(out).state
    assert state["step"] == 5
    assert state["training"]["learning_rate"] == 0.005
    assert [record["step"] for record in read_log(out / "log.jsonl")] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--num-layers", "2"], "num_layers=2, but the model to resume was made with num_layers=1"),
        (["--tokenizer", "byte"], "tokenizer=byte, but the model to resume was made with tokenizer=char"),
    ],
)
def test_resume_refuses_another_model(flags, message, text, tmp_path):
    train(text, tmp_path / "run")
    with pytest.raises(UserError, match=message):
        main(["gpt", "--out", str(tmp_path / "run"), "--resume", *flags])


def test_resume_refuses_a_changed_text(text, tmp_path):
    train(text, tmp_path / "run")
    text.write_text(text.read_text().replace("best", "test"))  # as long as before, and no other characters
    with pytest.raises(UserError, match=r"text\.txt has changed since the run"):
        main(["gpt", "--out", str(tmp_path / "run"), "--resume", "--steps", "5"])


def test_resume_without_a_checkpoint(tmp_path):
    with pytest.raises(UserError, match="no such checkpoint"):
        main(["gpt", "--out", str(tmp_path / "nothing"), "--resume"])


def test_toml_between_defaults_and_flags(text, tmp_path):
    toml = tmp_path / "run.toml"
    toml.write_text('tokenizer = "byte"\nlearning-rate = 0.02\nsteps = 50\nbetas = [0.5, 0.9]\nbias = false\n')
    assert train(text, tmp_path / "run", "--config", str(toml)) == 0
    checkpoint = load_checkpoint(tmp_path / "run")
    training = checkpoint.state["training"]
    assert checkpoint.tokenizer.type == "byte"
    assert checkpoint.config.bias is False
    assert (training["learning_rate"], training["betas"], training["steps"]) == (0.02, [0.5, 0.9], 3)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("num_layer = 3", "unknown field 'num_layer': did you mean 'num_layers'?"),
        ("steps = 2.5", "steps = 2.5: expected a whole number"),
        ("steps = true", "steps = True: expected a whole number"),
        ("bias = 1", "bias = 1: expected true or false"),
        ("betas = [0.9]", r"betas = \[0.9\]: expected a list of 2 values"),
        ("betas = [0.9, 'x']", r"betas = \[0.9, 'x'\]: expected a list of 2 values"),
        ("tokenizer = 'chars'", "tokenizer = 'chars': expected one of 'char', 'word', 'byte'"),
        ("steps = -1", "steps=-1: expected a whole number above 0"),
        ("num_heads = 3", "embedding_dim=128 is not divisible by num_heads=3"),
        ("steps 5", "is not a TOML file"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_bad_toml_file(toml, message, text, tmp_path):
    path = tmp_path / "run.toml"
    if toml is not None:
        path.write_text(toml)
    with pytest.raises(UserError, match=message):
        main(["gpt", "--data", str(text), "--out", str(tmp_path / "run"), "--config", str(path)])


@pytest.mark.parametrize(
    "flags", [["--stesp", "3"], ["--steps", "many"], ["--tokenizer", "bpe"], ["--vocab-size", "9"]]
)
def test_a_bad_flag_exits_with_2(flags, text, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        train(text, tmp_path / "run", *flags)
    assert stop.value.code == 2
    assert flags[0] in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--steps", "0"], "steps=0: expected"),
        (["--threads", "-1"], "threads=-1: expected"),
        (["--num-heads", "3"], "embedding_dim=8 is not divisible by num_heads=3"),
        (["--context-length", "5000"], "too short"),
    ],
)
def test_a_bad_value(flags, message, text, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(text, tmp_path / "run", *flags)


def test_cuda_without_a_gpu(text, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)  # as if it were not installed
    with pytest.raises(UserError, match=r"--device cuda: cupy is not installed: .*pip install"):
        train(text, tmp_path / "run", "--device", "cuda")
    assert train(text, tmp_path / "run", "--device", "auto", "--sample-every", "0") == 0


def test_unknown_model(capsys):
    with pytest.raises(UserError, match="no model 'gtp': did you mean 'gpt'"):
        main(["gtp"])
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert re.search(r"\n  gpt +A language model: ", capsys.readouterr().out)


def test_help_shows_every_field_and_its_meaning(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["gpt", "--help"])
    assert stop.value.code == 0
    output = capsys.readouterr().out
    for flag in ("--data", "--resume", "--num-layers", "--dropout", "--learning-rate", "--gradient-accumulation"):
        assert flag in output
    assert "Updates of the weights" in output
    assert "--vocab-size" not in output


# The machinery behind it.


@dataclass
class Size:
    vocab_size: int = 3
    width: int = 8
    """How wide."""
    name: str | None = None


@dataclass
class Speed:
    rate: float = 0.5
    pair: tuple[int, float] = (1, 2.0)
    mode: Literal["fast", "slow"] = "fast"
    where: Path = Path("here")

    def __post_init__(self):
        if self.rate < 0:
            raise UserError(f"rate={self.rate}: expected 0 or above")


def test_flags_fill_sections_and_keep_what_they_do_not_name():
    sections = {"size": Size(vocab_size=77), "speed": Speed(rate=0.25)}
    argv = ["--width", "9", "--pair", "4", "5.5", "--where", "there", "--name", "x"]
    found = parse_flags(sections, argv, "prog", "A program.", hidden=("vocab_size",))
    assert found == {"size": Size(77, 9, "x"), "speed": Speed(0.25, (4, 5.5), "fast", Path("there"))}
    assert type(found["size"]) is Size
    with pytest.raises(UserError, match="rate=-1"):
        parse_flags(sections, ["--rate", "-1"], "prog", "A program.")


def test_values_are_converted_or_refused(tmp_path):
    sections = {"size": Size(), "speed": Speed()}
    values = {"rate": 1, "pair": [3, 4], "where": "x", "name": "n"}
    found = replace_fields(sections, values, "source")
    assert found == {"size": Size(name="n"), "speed": Speed(1.0, (3, 4.0), "fast", Path("x"))}
    assert isinstance(found["speed"].rate, float)
    assert sections == {"size": Size(), "speed": Speed()}
    for key, value in [("name", 5), ("pair", [1, 2, 3]), ("pair", ["a", 1]), ("mode", "idle"), ("where", 3)]:
        with pytest.raises(UserError, match=f"source: {key} = .*: expected"):
            replace_fields(sections, {key: value}, "source")
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not a TOML file"):
        read_toml(sections, tmp_path / "x.toml")


def test_everything_in_the_log_is_json(text, tmp_path):
    train(text, tmp_path / "run")
    for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
