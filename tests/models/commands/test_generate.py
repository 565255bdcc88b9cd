"""`minigrad generate`."""

import numpy as np
import pytest

import minigrad as mg
from models.commands.generate import main
from models.errors import DataError, UserError
from models.generation.generate import generate_samples, generate_text
from models.gpt import GPT, GPTConfig
from models.text.tokenizers import CharTokenizer
from models.weights.checkpoint import save_checkpoint

TOKENIZER = CharTokenizer("\n abcdefghij")


@pytest.fixture(scope="module")
def model():
    mg.manual_seed(0)
    model = GPT(GPTConfig(TOKENIZER.vocab_size, 8, 1, 2, 16)).eval()
    rng = np.random.default_rng(0)
    for parameter in model.parameters():
        parameter.data += (0.3 * rng.standard_normal(parameter.shape)).astype("float32")
    return model


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    directory = tmp_path_factory.mktemp("generate") / "run"
    save_checkpoint(directory, model, TOKENIZER)
    return str(directory)


def test_writes_the_prompt_and_what_follows(run, model, capsys):
    assert main([run, "--prompt", "abc", "--max-tokens", "30", "--seed", "1"]) == 0
    expected = generate_text(model, TOKENIZER, "abc", max_tokens=30, seed=1)
    assert capsys.readouterr().out == f"abc{expected}\n"


def test_every_option_arrives(run, model, capsys):
    flags = "--prompt a --max-tokens 20 --temperature 0.7 --top-k 5 --top-p 0.9 --repetition-penalty 1.2 --seed 3"
    assert main([run, *flags.split(), "--stop", "ij", "ab", "--no-cache"]) == 0
    sampling = {"temperature": 0.7, "top_k": 5, "top_p": 0.9, "repetition_penalty": 1.2}
    expected = generate_text(model, TOKENIZER, "a", max_tokens=20, seed=3, stop=["ij", "ab"], **sampling)
    assert capsys.readouterr().out == f"a{expected}\n"
    for name, value in {"temperature": 0.1, "top_k": 1, "top_p": 0.1, "repetition_penalty": 9.0}.items():
        assert expected != generate_text(model, TOKENIZER, "a", max_tokens=20, seed=3, **sampling | {name: value})


def test_several_samples(run, model, capsys):
    assert main([run, "--prompt", "a", "--max-tokens", "9", "--seed", "1", "--num-samples", "2"]) == 0
    one, two = generate_samples(model, TOKENIZER, "a", num_samples=2, max_tokens=9, seed=1)
    assert capsys.readouterr().out == f"--- 1 of 2\na{one}\n--- 2 of 2\na{two}\n"


@pytest.mark.parametrize(
    ("flags", "error", "message"),
    [
        (["--prompt", "aZ"], DataError, "character 'Z'"),
        (["--prompt", "abcdefghi"], UserError, "the prompt has 9 tokens and the model looks at 8"),
        (["--max-tokens", "0"], UserError, "max_tokens 0"),
        (["--temperature", "-1"], UserError, "temperature -1"),
        (["--top-p", "2"], UserError, "top_p 2"),
        (["--num-samples", "0"], UserError, "num_samples 0"),
    ],
)
def test_bad_options_write_nothing(run, capsys, flags, error, message):
    with pytest.raises(error, match=message):
        main([run, *flags])
    assert capsys.readouterr().out == ""


def test_bad_checkpoints(tmp_path, model):
    with pytest.raises(UserError, match="no such checkpoint"):
        main([str(tmp_path / "none")])
    save_checkpoint(tmp_path / "run", model, None)
    with pytest.raises(UserError, match="without a tokenizer"):
        main([str(tmp_path / "run")])


@pytest.mark.parametrize("flags", [["--max-tokens", "many"], ["--colour", "red"], []])
def test_bad_usage_exits_with_2(run, flags, capsys):
    with pytest.raises(SystemExit) as stop:
        main([run, *flags] if flags else [])
    assert stop.value.code == 2


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for flag in (
        "prompt",
        "max-tokens",
        "temperature",
        "top-k",
        "top-p",
        "repetition-penalty",
        "stop",
        "seed",
        "no-cache",
    ):
        assert f"--{flag}" in text
