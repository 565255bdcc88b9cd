"""`minigrad eval`."""

import json

import pytest

import minigrad as mg
from models.commands.evaluate import main
from models.errors import DataError, UserError
from models.gpt import GPT, GPTConfig
from models.tasks.evaluation import evaluate
from models.text.tokenizers import CharTokenizer
from models.weights.checkpoint import save_checkpoint

TEXT = "to be or not to be, that is the question\n" * 5
TOKENIZER = CharTokenizer.from_text(TEXT)


@pytest.fixture(scope="module")
def model():
    mg.manual_seed(0)
    return GPT(GPTConfig(TOKENIZER.vocab_size, 16, 1, 2, 16)).eval()


@pytest.fixture
def run(model, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    save_checkpoint(tmp_path / "run", model, TOKENIZER, state={"run": {"data": str(tmp_path / "text.txt")}})
    return tmp_path / "run"


@pytest.mark.parametrize("split", ["val", "train", "all"])
def test_json(run, model, capsys, split):
    assert main([str(run), "--split", split, "--json", "--batch-size", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    cut = int(len(TEXT) * 0.9)
    text = {"val": TEXT[cut:], "train": TEXT[:cut], "all": TEXT}[split]
    expected = evaluate(model, TOKENIZER, TOKENIZER.encode(text))
    assert found["tokens"] == len(text) - 1
    assert found["split"] == split
    for name in ("loss", "perplexity", "bits_per_character", "bits_per_byte"):
        assert found[name] == pytest.approx(getattr(expected, name), rel=1e-5)
    assert found["seconds"] > 0


def test_table_of_another_text(run, model, capsys, tmp_path):
    (tmp_path / "other.txt").write_text("not to be " * 20)
    assert main([str(run), "--data", str(tmp_path / "other.txt"), "--split", "all"]) == 0
    table = dict(line.rsplit("  ", 1) for line in capsys.readouterr().out.splitlines())
    table = {name.strip(): value for name, value in table.items()}
    expected = evaluate(model, TOKENIZER, TOKENIZER.encode("not to be " * 20))
    assert table["loss"] == f"{expected.loss:.4f}"
    assert table["perplexity"] == f"{expected.perplexity:.4f}"
    assert table["bits per character"] == f"{expected.bits_per_character:.4f}"
    assert table["tokens"] == "199"
    assert table["data"] == str(tmp_path / "other.txt")


def test_bad_input(run, model, tmp_path):
    with pytest.raises(UserError, match="no such checkpoint"):
        main([str(tmp_path / "none")])
    with pytest.raises(UserError, match="--batch-size 0"):
        main([str(run), "--batch-size", "0"])
    with pytest.raises(DataError, match="neither a corpus nor a file"):
        main([str(run), "--data", "shakespere"])
    (tmp_path / "greek.txt").write_text("μῆνιν ἄειδε θεὰ " * 20)
    with pytest.raises(DataError, match="character 'μ'"):
        main([str(run), "--data", str(tmp_path / "greek.txt")])
    save_checkpoint(tmp_path / "bare", model, TOKENIZER)
    with pytest.raises(UserError, match="does not say what it was trained on: name a text with --data"):
        main([str(tmp_path / "bare")])
    with pytest.raises(SystemExit) as stop:
        main([str(run), "--split", "half"])
    assert stop.value.code == 2
