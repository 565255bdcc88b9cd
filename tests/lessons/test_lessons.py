"""Every lesson, run at reduced size, with its numbers; and what each must hold to be a lesson."""

import re
import subprocess
import sys

import numpy as np
import pytest

from lessons.material.kit import FAST
from lessons.running.catalogue import lessons
from lessons.running.terminal import run

LESSONS = {lesson.number: lesson for lesson in lessons()}
every_lesson = pytest.mark.parametrize("lesson", LESSONS.values(), ids=lambda lesson: lesson.path.stem)


@pytest.fixture
def at_reduced_size(monkeypatch):
    monkeypatch.setenv(FAST, "1")


def tensors(names):
    assert names["accuracy"] > 0.7
    assert names["wrong"] > 1000 * names["right"]  # the planted bug


def derivatives(names):
    assert names["distances"]["Newton"][-1] < 1e-8
    assert names["distances"]["gradient descent"][-1] > 0.1
    assert names["central"].min() < 1e-9 < names["forward"].min() < 1e-6


def backpropagation(names):
    assert names["accuracy"] > 0.9
    assert names["worst"] < 1e-7
    assert names["losses"][-1] < 0.5 * names["losses"][0]
    assert names["a"].grad == 48
    assert names["right_slopes"] != names["hasty_slopes"]  # the planted bug


def neurons(names):
    right = names["right_corners"]
    assert right["and"] == right["or"] == 4 > right["xor"]
    assert names["accuracy"] > 0.75
    assert abs(names["losses"][0] - np.log(10)) < 0.3
    assert names["floor"] - 1e-4 < min(names["stuck"]) < 2  # the planted bug


def training(names):
    assert names["ends"]["Nesterov"] < names["ends"]["SGD"] < 10
    assert names["worst"] < 1e-12
    coupled, decoupled = (kept[-1] for kept in names["remaining"].values())
    assert coupled[0] < 0.1 < 0.85 < coupled[1]  # (small gradients, large ones)
    assert all(abs(decoupled - 0.999**600) < 0.1)
    assert 0.3 < names["sizes"]["He"] < 3
    assert names["sizes"]["half of He"] < 1e-4 < names["sizes"]["Xavier"] < 1e-2
    right, idle, sideways = (curve[-1] for curve in names["heart"].values())
    assert right < 0.05 < names["floor"] - 1e-3 < sideways < idle
    assert names["accuracy"] > 0.8
    assert names["apart"] < 1e-6  # the planted bug
    assert names["bumpy_losses"][0] > names["bumpy_losses"][-1]


def fast_on_a_cpu(names):
    deviations = names["deviations"]
    assert names["peak"] > 0 < names["far"]
    assert max(deviations["mean first"]) < 0.01
    assert not deviations["two sums at once"][-2] < 0.05  # the planted bug; NaN counts


def text(names):
    assert names["claimed"] == 0 < 0.005 < names["honest"]  # the planted bug
    assert abs(names["honest"] - names["unknown"]) < 1e-3
    assert abs(names["losses"][0] - np.log2(names["V"])) < 0.01
    assert names["bits"] < names["best"] + 0.15
    assert 0.25 < names["once"] < 0.55
    assert names["unknown_in_chinese"]["characters"] < names["unknown_in_chinese"]["words"]


def word2vec(names):
    assert names["smallest"] > 0.8
    assert names["agreement"] > 0.6
    assert abs(names["first"] - 6 * np.log(2)) < 0.01
    assert names["share"] > 0.8
    assert names["friends_losses"][-1] < names["losses"][-1]  # the planted bug
    assert names["friends_share"] < names["smallest"] - 0.3


def glove(names):
    judged = {name: rows["our own list"][0] for name, (rows, _) in names["results"].items()}
    assert judged["random"] < 0.3
    assert min(judged["PMI + SVD"], judged["skip-gram"], judged["GloVe"]) > 0.4
    assert names["losses"][-1] < 0.5 * names["losses"][0]
    assert names["friends"] < names["spearman"](names["cosines"], names["scores"]) - 0.1  # the planted bug


def classifying_text(names):
    assert names["svm_macro"] > 0.7
    assert np.allclose(names["ours"], names["theirs_scores"])
    assert names["claimed"] > names["actual"] + 0.03  # the planted bug
    assert names["seen"].mean() > 0.5
    assert names["intervals"]["naive Bayes", "macro-F1"][1] > 0


def recurrent_networks(names):
    reach, memory = names["reach"], names["memory"]
    assert reach[0.7][60] < 1e-6 < 1e3 < reach[2.0][60]
    assert names["steepest"][40] > 100 * names["steepest"][5]
    assert memory[3] > 0.9 > 0.5 > memory[40]
    assert names["test_bits"] < names["counted"]["each letter by itself"]
    assert names["fresh"][0] > names["carried"][0] + 0.1
    assert np.mean(names["history"][names["late"]]) < np.mean(names["stuck"][names["late"]]) - 0.1  # the planted bug


def lstm_and_gru(names):
    reached, memory = names["reached"], names["memory"]
    assert reached["RNN"][60] < 1e-9 < 0.1 < reached["LSTM, forget bias 4.08"][60]
    assert memory["LSTM, forget bias ln(T - 1)"][20] > 0.9 > 0.5 > memory["RNN"][20]
    for language in names["runs"].values():
        assert language["bits"] < 0.8 * np.log2(language["tokenizer"].vocab_size)
    assert names["right"] > 0.9 > 0.5 > names["wrong"]  # the planted bug
    assert names["measured"]["ours"] > 1e6 * names["measured"]["his"]


def attention(names):
    assert names["looking_losses"][-1] < names["looking_losses"][0]
    assert names["date_losses"][-1] < 0.8 * names["date_losses"][0]
    assert names["slope"]["q·k/√d"][-1] > 3 * names["slope"]["q·k"][-1]
    assert names["spread"]["q·k"][-1] < 2 < 15 < names["spread"]["q·k/√d"][-1]
    assert np.allclose(names["looked"][:, 0].sum(-1), names["widths"])  # the planted bug


def transformer(names):
    assert names["losses"][-1] < 0.8 * names["losses"][0]
    assert names["last"]["post-norm"][-1] > 1.5 * names["last"]["pre-norm"][-1]
    assert np.triu(names["causal_seen"], 1).max() == 0 < np.tril(names["causal_seen"]).max()
    assert np.allclose(names["rotary_scores"][3, 1], names["rotary_scores"][500, 498])
    assert names["leaks"]["ours"] == 0 < 0.01 < names["leaks"]["the friend's"]  # the planted bug


def mini_gpt(names):
    ladder = names["ladder"]
    assert ladder["all equally likely"] > ladder["single characters"] > ladder["pairs"] > ladder["triples"]
    assert names["difference"] < 1e-5
    assert abs(names["at_start"] - np.log(names["V"])) < 0.1 < names["at_start_textbook"] - 10
    straight, growing = names["growth"].values()
    assert straight < 2 < growing
    assert names["by_heart"][-1] < 0.8 * names["by_heart"][0]
    assert names["result"].loss < ladder["single characters"]
    assert names["small"][-1] > names["large"][-1]
    assert names["two_ahead"]["hers"] < names["two_ahead"]["ours"]  # the planted bug
    assert names["next_one"]["ours"] < names["next_one"]["hers"]


def generation(names):
    assert names["quality"]["greedy"][0] < 0.5 < names["quality"]["T = 1"][0]
    assert names["quality"]["T = 1.4"][1] < names["quality"]["T = 0.4"][1]
    surprise = {name: values.mean() for name, values in names["surprise"].items()}
    assert surprise["beam 8"] <= surprise["greedy"] + 1e-9 < surprise["the author"]
    assert names["worst"] < 1e-4
    assert names["his_loss"] > names["our_loss"] + 0.01  # the planted bug
    assert abs(names["repaired_loss"] - names["our_loss"]) < 1e-5


def gpu_programming(names):
    assert (sum(names["by_column"]), sum(names["by_row"])) == (2, 33)
    bounds = list(names["limits"].values())
    assert bounds == sorted(bounds)
    assert bounds[-1] == 1 > 100 * bounds[0]
    assert names["roofline"]("H100 SXM", "naive") < 0.02 * names["roofline"]("H100 SXM", "warp_tile")
    if names["device"]:
        assert max(names["errors"][step] for step in names["limits"]) < 1e-6
        assert names["errors"]["tensor_cores"] < 1e-3
    if names["emulated"]:
        assert names["apart"] < 1e-4
        assert names["losses_of_cuda"][-1] < 0.6 * names["losses_of_cuda"][0]
        assert names["fixed"] < 1e-4 < 1 < names["wrong"][64, "forward"]  # the planted bug
        assert names["wrong"][16, "forward"] < 1e-4


def flash_attention(names):
    row, history = names["row"], names["history"]
    assert np.isclose(history[-1, 1], np.exp(row - row.max()).sum())
    memory = names["memory"]
    assert memory["by tiles"][-1] < 0.2 * memory["with the matrix"][-1]
    assert names["doubling"][0] > 3.5 > 2.2 > names["doubling"][1]
    assert all(differences < 1e-5 for differences in names["apart"].values())
    assert names["wrong"][60] < 1e-12 < 0.1 < names["wrong"][300]  # the planted bug
    assert np.allclose(names["of_ones"]["ours"], 1)


def precision_and_memory(names):
    assert names["all_equal"]
    assert names["sums"]["float16"][-1] == 2048 < names["sums"]["float16, Kahan"][-1] == len(names["ones"])
    assert names["sums"]["bfloat16"][-1] == 256
    assert (names["halves"]["0.weight"] == 0).all()
    assert (names["scaled"]["0.weight"] == 0).mean() < 0.1
    assert names["same_scales"]
    assert min(names["peaks"]) < 0.8 * names["whole"]
    assert names["sizes"]["lookup"] < names["sizes"]["one-hot"]
    assert names["hers"][-1] > 0.99 * names["hers"][0]  # the planted bug
    assert names["right"][-1] < 0.5 * names["right"][0]


def trust(names):
    assert names["counterexample"] == (1, 2)
    assert min(names["errors"]["float64"]) < 1e-8 < 1e-6 < min(names["errors"]["float32"])
    assert names["second_order_caught"]
    assert "squares.sqrt()" in names["named_line"]
    assert "20_trust.py" in names["named_line"]
    assert names["same_twice"]
    assert names["same_with_threads"]
    falls, with_sum, ours = names["caught"]
    assert falls < with_sum < ours == 1
    assert names["verdict"] == {"the friend's": False, "fixed": True}
    assert 1.8 * (names["fixed_slope"] - 2) < names["friends_slope"] - 2  # the planted bug


NUMBERS = {
    1: tensors,
    2: derivatives,
    3: backpropagation,
    4: neurons,
    5: training,
    6: fast_on_a_cpu,
    7: text,
    8: word2vec,
    9: glove,
    10: classifying_text,
    11: recurrent_networks,
    12: lstm_and_gru,
    13: attention,
    14: transformer,
    15: mini_gpt,
    16: generation,
    17: gpu_programming,
    18: flash_attention,
    19: precision_and_memory,
    20: trust,
}


@every_lesson
def test_it_runs_and_its_numbers_hold(lesson, at_reduced_size, tmp_path, capsys):
    NUMBERS[lesson.number](run(lesson, tmp_path))
    output = capsys.readouterr().out
    figures = re.findall(r"\[figure \d+: (.*)\]", output)
    assert len(figures) >= 2
    assert all((tmp_path / f"figure-{i}.png").stat().st_size > 2000 for i in range(1, len(figures) + 1))


@pytest.mark.slow
@every_lesson
def test_at_full_size_it_reaches_its_goals(lesson, tmp_path, capsys):
    run(lesson, tmp_path)
    output = capsys.readouterr().out
    assert re.search(r"The goal, .*, is reached", output)
    assert "not reached yet" not in output


@every_lesson
def test_it_is_whole(lesson):
    assert lesson.cells[0].text.startswith(f"# {lesson.number}. ")
    assert list(lesson.facts) == ["Builds on", "You will have", "Time", "Memory"]
    minutes = int(re.match(r"(\d+) minutes, of which \d+ seconds are computing", lesson.facts["Time"])[1])
    assert minutes <= 90
    titles = [section.title for section in lesson.sections]
    for title in (
        "The question",
        "picture",
        "smallest code",
        "The library's own",
        "finite differences",
        "The run",
        "A bug to find",
        "Exercises",
        "Answers",
        "Sources",
    ):
        assert any(title in found for found in titles), f"no section {title!r} in {titles}"
    text = "\n".join(cell.text for cell in lesson.cells if cell.kind == "markdown")
    for size in ("Small", "Medium", "Large"):
        assert f"**{size}**" in text
    code = "\n".join(cell.text for cell in lesson.cells if cell.kind == "code")
    assert "show_source(" in code
    assert "gradcheck(" in code
    assert "goal(" in code


@every_lesson
def test_its_text_hides_no_code_and_no_section(lesson):
    """What is shown as code is a code cell, so it has run; a heading starts its cell, so it starts a section."""
    for cell in lesson.cells:
        if cell.kind == "markdown":
            assert "```" not in cell.text, f"line {cell.line}"
            assert "\n## " not in cell.text, f"line {cell.line}"


def test_the_numbers_have_no_gap():
    assert list(LESSONS) == list(range(1, len(LESSONS) + 1))
    assert LESSONS.keys() == NUMBERS.keys()


def test_a_lesson_is_a_script(at_reduced_size, tmp_path):
    result = subprocess.run([sys.executable, LESSONS[2].path], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "repaired: True" in result.stdout


@pytest.mark.slow
@every_lesson
def test_a_lesson_is_a_notebook(lesson, at_reduced_size):
    jupytext, nbclient = pytest.importorskip("jupytext"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = jupytext.read(lesson.path)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
