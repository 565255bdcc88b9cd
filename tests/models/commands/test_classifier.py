"""`minigrad train classifier`, `classify`, `compare` and `eval`, on a file, as a user calls them."""

import csv
import json

import numpy as np
import pytest
from matplotlib.image import imread

from models import TextClassifier, load_checkpoint
from models.classifiers.comparison import Score, markdown, plot
from models.commands.classify import main as classify
from models.commands.cli import main as cli
from models.commands.compare import main as compare
from models.commands.evaluate import main as evaluate
from models.commands.train import main as train
from models.errors import DataError, UserError
from models.training.log import read_log
from tests.models.classifiers.problems import topics

SMALL = [
    "--embedding-dim", "16", "--filters", "8", "--hidden-size", "16", "--epochs", "8", "--learning-rate", "0.01",
    "--device", "cpu",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A CSV file of 300 texts with columns of our own naming."""
    path = tmp_path_factory.mktemp("data") / "news.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["body", "topic"])
        writer.writerows(zip(*topics(300), strict=True))
    return path


def flags(data):
    return ["--data", str(data), "--text-column", "body", "--label-column", "topic"]


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "topics"
    assert train(["classifier", *flags(data), "--body", "textcnn", "--out", str(out), *SMALL]) == 0
    return out


def test_a_run_leaves_all_there_is_to_have(run):
    files = {path.name for path in run.iterdir()}
    assert files >= {"model.safetensors", "best.safetensors", "log.jsonl", "loss.png", "tokenizer.json"}
    records = list(read_log(run / "log.jsonl"))
    assert records[-1]["loss"] < records[0]["loss"]
    assert sum("val_loss" in record for record in records) <= 8
    assert load_checkpoint(run).state["training"]["epochs"] == 8


def test_resume_through_the_command(data, run, tmp_path, capsys):
    """A finished run is done; of another body, or on other data, it is not the same run."""
    arguments = ["classifier", "--out", str(run), "--resume"]
    step = load_checkpoint(run).state["step"]
    assert train(arguments) == 0
    assert f"done at step {step}" in capsys.readouterr().out
    with pytest.raises(UserError, match="body=mlp, but the model to resume was made with body=textcnn"):
        train([*arguments, "--body", "mlp"])
    with pytest.raises(UserError, match="split_seed=3, but"):
        train([*arguments, "--split-seed", "3"])


def test_classify_a_text(run, capsys):
    assert classify([str(run), "wheat and corn and barley"]) == 0
    label, probabilities = capsys.readouterr().out.rstrip("\n").split("\t")
    assert label == "grain"
    assert probabilities.startswith("grain 0.")
    assert set(probabilities.split()[::2]) == {"grain", "crude", "money"}


def test_classify_a_file(run, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("the wheat harvest of corn\noil barrel opec\nyen dollar bank\n")
    assert classify([str(run), str(tmp_path / "texts.txt")]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["grain", "crude", "money"]
    assert classify([str(run), str(tmp_path / "texts.txt"), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["label"] for row in found] == ["grain", "crude", "money"]
    expected = TextClassifier.load(run).predict_proba(["oil barrel opec"])[0]
    assert sorted(found[1]["probabilities"].values()) == pytest.approx(sorted(expected.tolist()), abs=1e-5)


def test_what_classify_refuses(run, tmp_path):
    (tmp_path / "gap.txt").write_text("oil\n\nyen\n")
    with pytest.raises(UserError, match=r"gap.txt, line 2 is empty"):
        classify([str(run), str(tmp_path / "gap.txt")])
    with pytest.raises(UserError, match="text 1 is empty"):
        classify([str(run), "  "])
    with pytest.raises(UserError, match="no such checkpoint"):
        classify([str(tmp_path / "nothing"), "text"])
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match="is not UTF-8"):
        classify([str(run), str(tmp_path / "latin.txt")])
    assert classify([str(run), "oil\0barrel"]) == 0  # no file can have this name


@pytest.mark.parametrize("split", ["test", "validation"])
def test_eval(run, split, capsys):
    assert evaluate([str(run), "--split", split, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] > 0.9
    assert found["texts"] == 30
    confusion = np.array(found["confusion"])
    assert confusion.sum() == 30
    assert np.trace(confusion) / 30 == pytest.approx(found["accuracy"])
    assert imread(run / f"confusion-{split}.png").ndim == 3
    assert evaluate([str(run), "--split", split]) == 0
    table = capsys.readouterr().out
    assert f"accuracy {found['accuracy']:.4f}" in table
    assert all(label in table for label in ("grain", "crude", "money"))


def test_bags_and_several_labels_through_the_commands(tmp_path, capsys):
    path = tmp_path / "several.jsonl"
    texts, labels = topics(600, multi_label=True)
    rows = zip(texts, map(list, labels), strict=True)
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    out = tmp_path / "run"
    assert train(["classifier", "--data", str(path), "--body", "logistic", "--out", str(out)]) == 0
    assert evaluate([str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["micro_f1"] > 0.8
    assert found["confusion"] is None
    assert classify([str(out), "wheat corn oil barrel harvest opec", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == ["crude", "grain"]
    with pytest.raises(UserError, match="fitted in one go, and there is nothing to resume"):
        train(["classifier", "--out", str(out), "--resume"])


def test_compare(data, tmp_path, capsys):
    out = tmp_path / "comparison"
    arguments = [*flags(data), "--bodies", "naive-bayes, average", "--seeds", "2", "--out", str(out), *SMALL]
    assert compare(arguments) == 0
    numbers = json.loads((out / "table.json").read_text())
    scores = [Score(**score) for score in numbers["scores"]]
    assert [(score.body, score.seed) for score in scores] == [
        ("naive-bayes", 0), ("average", 0), ("naive-bayes", 1), ("average", 1),
    ]  # fmt: skip
    assert all(score.accuracy > 0.85 and 0 < score.macro_f1 <= 1 and score.parameters > 0 for score in scores)
    assert numbers["settings"]["epochs"] == 8
    assert (out / "table.md").read_text() == markdown(scores) + "\n"
    assert markdown(scores) in capsys.readouterr().out
    assert imread(out / "plot.png").ndim == 3


def test_the_table_and_the_picture(tmp_path):
    scores = [Score("a", 0, 0.5, 0.4, 1.0, 10), Score("a", 1, 0.7, 0.6, 3.0, 10), Score("b", 0, 0.8, 0.7, 1.0, 2000)]
    assert markdown(scores).splitlines()[2:] == [
        "| b | 1 | 80.0 | 70.0 | 1.0 | 2,000 |",
        "| a | 2 | 60.0 ± 14.1 | 50.0 ± 14.1 | 2.0 | 10 |",
    ]
    one, two = (imread(plot(panels, tmp_path / "plot.png")) for panels in ({"x": scores}, {"x": scores, "y": scores}))
    assert two.shape[1] > 1.5 * one.shape[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "{data}"], "there is no column 'text', only 'body', 'topic'"),
        (["--data", "{data}", "--text-column", "body"], "there is no column 'label'"),
        (["--data", "missing.csv"], "missing.csv: no such file"),
        (["--data", "reuters-r9"], "reuters-r8"),
        (["--body", "transformer", "--embedding-dim", "30"], "embedding_dim=30 is not divisible by num_heads=4"),
        (["--epochs", "0"], "epochs=0: expected a whole number above 0"),
    ],
)
def test_one_line_and_code_2(arguments, message, data, tmp_path, capsys):
    arguments = [argument.format(data=data) for argument in arguments]
    assert cli(["train", "classifier", "--out", str(tmp_path / "run"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_compare_knows_its_bodies(tmp_path):
    with pytest.raises(UserError, match="no body 'textcn'; there are naive-bayes, "):
        compare(["--bodies", "svm,textcn", "--out", str(tmp_path)])
    with pytest.raises(UserError, match="seeds=0"):
        compare(["--seeds", "0", "--out", str(tmp_path)])
