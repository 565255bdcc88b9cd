"""`minigrad train word2vec|glove`, `minigrad neighbors` and `minigrad eval` for word vectors."""

import json

import numpy as np
import pytest

from models.commands import evaluate, generate, neighbors, train
from models.errors import DataError, UserError
from models.text.sources import datasets
from models.training.log import read_log
from models.vectors.word_vectors import WordVectors
from models.weights.checkpoint import load_checkpoint


@pytest.fixture
def text(tmp_path):
    """Kings and queens reign, cats and dogs run."""
    r = np.random.default_rng(0)
    sentences = []
    for _ in range(400):
        royal = r.random() < 0.5
        subject = r.choice(["king", "queen", "prince"] if royal else ["cat", "dog", "fox"])
        verb = r.choice(["reigns", "rules", "commands"] if royal else ["runs", "barks", "sleeps"])
        sentences.append(f"The {subject} {verb} in the new york {'palace' if royal else 'garden'}.")
    path = tmp_path / "text.txt"
    path.write_text("\n".join(sentences))
    return path


SMALL = {
    "word2vec": [
        "--embedding-dim",
        "16",
        "--epochs",
        "6",
        "--learning-rate",
        "0.2",
        "--window",
        "3",
        "--subsample",
        "0",
    ],
    "glove": ["--embedding-dim", "16", "--epochs", "30", "--window", "3", "--x-max", "10"],
}


def run(name, text, out, *flags):
    return train.main([name, "--data", str(text), "--out", str(out), "--min-count", "2", *SMALL[name], *flags])


@pytest.mark.parametrize("name", SMALL)
def test_a_whole_run(name, text, tmp_path, capsys):
    out = tmp_path / "run"
    assert run(name, text, out) == 0
    output = capsys.readouterr().out
    assert f"{name} of 18 words, 16 numbers each" in output
    assert "near " in output
    assert f"minigrad neighbors {out}" in output
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")
    records = list(read_log(out / "log.jsonl"))
    assert [record["step"] for record in records] == list(range(1, len(records) + 1))
    assert records[-1]["loss"] < records[0]["loss"]
    assert any(key.endswith("_per_second") for key in records[0])
    vectors = WordVectors.load(out)
    assert {word for word, _ in vectors.most_similar("king", count=2)} <= {
        "queen", "prince", "reigns", "rules", "commands", "palace"
    }  # fmt: skip
    with pytest.raises(UserError, match=r"holds a [a-z0-9]+, which writes no text: try minigrad neighbors"):
        generate.main([str(out)])
    assert neighbors.main([str(out), "king", "cat", "--count", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "king"


@pytest.mark.parametrize("name", SMALL)
def test_resume_goes_on(name, text, tmp_path, capsys):
    """Bit for bit at one thread: stopped after two epochs, with the learning rates of the longer run."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run(name, text, whole, "--threads", "1", "--epochs", "4")
    from models.training import loop

    real = loop.save_checkpoint
    state = {}

    def save(directory, model, tokenizer, optimizer, given, *rest):
        if given["step"] <= 2:
            state["step"] = given["step"]
            real(directory, model, tokenizer, optimizer, given, *rest)

    with pytest.MonkeyPatch.context() as patch:  # a run that is killed after its second epoch
        patch.setattr(loop, "save_checkpoint", save)
        run(name, text, broken, "--threads", "1", "--epochs", "4")
    assert state["step"] == 2
    assert train.main([name, "--out", str(broken), "--resume", "--threads", "1"]) == 0
    ours, theirs = load_checkpoint(broken), load_checkpoint(whole)
    assert ours.state["step"] == theirs.state["step"] == 4
    for key, value in theirs.model.state_dict().items():
        np.testing.assert_array_equal(ours.model.state_dict()[key].numpy(), value.numpy(), err_msg=key)
    assert [record["step"] for record in read_log(broken / "log.jsonl")] == [1, 2, 3, 4]


@pytest.mark.parametrize("name", SMALL)
def test_the_engines_path(name, text, tmp_path):
    assert run(name, text, tmp_path / "run", "--engine", "--epochs", "2", "--learning-rate", "0.01") == 0
    losses = [record["loss"] for record in read_log(tmp_path / "run" / "log.jsonl")]
    assert losses[1] < losses[0]


def test_several_texts_and_phrases(text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("a zebra grazes. " * 20)
    out = tmp_path / "run"
    flags = ["--phrases", "5", "--architecture", "cbow", "--output", "hierarchical-softmax"]
    assert run("word2vec", f"{text},{other}", out, *flags) == 0
    vectors = WordVectors.load(out)
    assert "new_york" in vectors
    assert "grazes" in vectors or "zebra_grazes" in vectors or "a_zebra" in vectors


def test_bad_runs(text, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "one.txt").write_text("so " * 200)
    (tmp_path / "short.txt").write_text("so it goes\n" * 2)
    for path, flags, message in (
        ("empty.txt", [], "is empty: give a file"),
        ("one.txt", [], "1 different ones occur 2 times or more: word vectors need two"),
        ("text.txt", ["--window", "9999999"], "window=9999999, and the text has"),
        ("text.txt", ["--min-count", "0"], "min_count=0: expected"),
        ("text.txt", ["--phrases", "-1"], "phrases=-1"),
        ("none.txt", [], "no such file"),
    ):
        for name in SMALL:
            with pytest.raises((UserError, DataError), match=message):
                run(name, tmp_path / path, tmp_path / "out", *flags)
            assert not (tmp_path / "out").exists()


def test_a_loss_that_is_no_number_stops_the_run(text, tmp_path):
    with pytest.raises(UserError, match=r"step \d+: the loss became (nan|inf). Try a learning rate below 1e\+30"):
        run("glove", text, tmp_path / "run", "--learning-rate", "1e30")
    assert load_checkpoint(tmp_path / "run").state["step"] == 0


# neighbors


@pytest.fixture
def file(tmp_path):
    points = {"man": (1, 0), "king": (1, 1), "woman": (2, 0.2), "queen": (2, 1.2), "frog": (-1, -1), "apple": (0, -1)}
    WordVectors(list(points), list(points.values())).save(tmp_path / "v.bin")
    return str(tmp_path / "v.bin")


@pytest.mark.parametrize(
    "words",
    [["king - man + woman"], ["king", "-", "man", "+", "woman"], ["woman - man + king"], ["+ king + woman - man"]],
)
@pytest.mark.parametrize("method", ["3cosadd", "3cosmul"])
def test_a_sum_of_words(words, method, file, capsys):
    assert neighbors.main([file, *words, "--method", method, "--count", "1"]) == 0
    title, best = capsys.readouterr().out.splitlines()
    assert title == " ".join(words)
    assert best.split()[0] == "queen"


def test_several_queries_and_a_picture(file, tmp_path, capsys):
    for projection in ("tsne", "pca"):
        picture = tmp_path / f"{projection}.png"
        flags = ["--count", "2", "--plot", str(picture), "--projection", projection]
        assert neighbors.main([file, "frog", "king - man + woman", *flags]) == 0
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert [line for line in capsys.readouterr().out.splitlines() if line[0] != " "][:2] == [
            "frog", "king - man + woman"
        ]  # fmt: skip


def test_bad_queries(file, tmp_path, text):
    for arguments, message in (
        ([file], "no word is given"),
        ([file, "kign"], "'kign' is not among the 6 words: did you mean 'king'"),
        ([file, "king", "--count", "0"], "--count 0"),
        ([file, "king - - man"], "is not a sum of words"),
        ([file, "king -"], "is not a sum of words"),
        ([file, "king man + woman"], "is not a sum of words"),
        ([str(tmp_path / "none"), "king"], "no such file"),
        ([str(text), "king"], "is not a word and"),
    ):
        with pytest.raises((UserError, DataError), match=message):
            neighbors.main(arguments)


# eval


@pytest.fixture
def small_sets(monkeypatch):
    monkeypatch.setattr(datasets, "similarity", lambda name: [("king", "queen", 9.0), ("king", "frog", 1.0)])
    questions = [("Man", "King", "Woman", "Queen"), ("a", "b", "c", "d")]
    monkeypatch.setattr(datasets, "analogies", lambda name: [("royal", questions)])


def test_eval_of_a_file(file, small_sets, capsys):
    assert evaluate.main([file]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "6 words of 2 numbers"
    assert lines[3].split() == ["wordsim353", "1.000", "2", "of", "2"]
    assert lines[-1].split() == ["all", "100.0%", "100.0%", "1", "of", "2"]
    assert evaluate.main([file, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["3cosmul"][0] == {"section": "royal", "correct": 1, "known": 1, "questions": 2}


def test_eval_of_a_run(text, tmp_path, small_sets, capsys):
    run("word2vec", text, tmp_path / "run")
    capsys.readouterr()
    assert evaluate.main([str(tmp_path / "run")]) == 0
    assert "18 words of 16 numbers" in capsys.readouterr().out
