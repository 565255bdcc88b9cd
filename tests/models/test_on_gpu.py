"""Training, checkpoints, evaluation and writing on a GPU; a run may change devices at a checkpoint."""

import json
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

import minigrad as mg
from minigrad.kernels.cuda import loader
from models.commands.evaluate import main as evaluate
from models.commands.generate import main as generate
from models.commands.train import main as train
from models.configuration import choose_device
from models.errors import UserError
from models.generation.generate import generate_text
from models.gpt import GPT, GPTConfig
from models.tasks.evaluation import mean_loss
from models.text.batching import TokenBatches
from models.text.tokenizers import ByteTokenizer
from models.training.log import read_log
from models.training.trainer import TrainConfig, Trainer
from models.weights.checkpoint import load_checkpoint
from tests.support import fake_cupy

IDS = np.random.default_rng(0).integers(0, 256, 3000)
MODEL = GPTConfig(vocab_size=256, context_length=8, num_layers=2, num_heads=2, embedding_dim=16, dropout=0.2)
CONFIG = TrainConfig(steps=8, batch_size=3, warmup_steps=2, eval_every=4, save_every=4, seed=7)


def trainer(directory, device, config=CONFIG, model=None):
    if model is None:
        mg.manual_seed(config.seed)
        model = GPT(MODEL)
    return Trainer(
        model.to(device),
        TokenBatches(IDS, config.batch_size, MODEL.context_length, config.seed),
        config,
        validation=[next(TokenBatches(IDS, 4, 8, seed=5))],
        tokenizer=ByteTokenizer(),
        directory=directory,
        log=directory / "log.jsonl",
        quiet=True,
    )


def losses(directory):
    return [[r["loss"], r["grad_norm"], r.get("val_loss", 0)] for r in read_log(directory / "log.jsonl")]


def test_a_run_has_the_cpus_losses(tmp_path, cupy):
    for device in ("cpu", "cuda"):
        trainer(tmp_path / device, device).run()
    np.testing.assert_allclose(losses(tmp_path / "cuda"), losses(tmp_path / "cpu"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("first", "then"), [("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda")])
def test_a_run_continues_on_the_other_device(first, then, tmp_path, cupy):
    trainer(tmp_path / "whole", "cpu").run()
    begun = trainer(tmp_path / "run", first)
    begun.sample = None
    stop_after(begun, 4)
    checkpoint = load_checkpoint(tmp_path / "run")
    mg.manual_seed(999)
    resumed = trainer(tmp_path / "run", then, model=checkpoint.model)
    resumed.resume(checkpoint)
    assert resumed.step == 4
    resumed.run()
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(tmp_path / "whole"), rtol=1e-4, atol=1e-5)


def stop_after(trainer, steps):
    """The run up to a checkpoint, with the settings of the whole."""

    class Enough(Exception):
        pass

    save = trainer.save

    def save_and_stop():
        save()
        if trainer.step == steps:
            raise Enough

    trainer.save = save_and_stop
    with pytest.raises(Enough):
        trainer.run()


@pytest.mark.parametrize("accumulation", [1, 3])
def test_a_step_copies_the_batch_in_and_the_losses_out(accumulation, tmp_path):
    config = TrainConfig(steps=6, batch_size=3, eval_every=0, gradient_accumulation=accumulation)
    with fake_cupy.installed() as cupy:
        run = trainer(tmp_path, "cuda", config)
        run.directory, counts = None, []
        step = run.stepper.optimizer.step

        def count():
            step()
            counts.append(dict(cupy.copies))
            cupy.copies.clear()

        run.stepper.optimizer.step = count
        run.run()
    # inputs and targets of each batch in, loss and norm out together
    assert counts[1:] == [{"to device": 2 * accumulation, "to host": 1}] * 5


class EagerGraph:
    """A CudaGraph that does the work again: on the stand-in, which cannot record. It allows what recording allows."""

    def __init__(self, function):
        self.function, self.stream = function, fake_cupy.cuda.Stream()

    def run(self):
        before = dict(fake_cupy.copies)
        self.function()
        assert fake_cupy.copies == before, "a recorded step must not copy between host and device"


@pytest.fixture
def graph(monkeypatch, cupy):
    """ "cuda" with CUDA graphs, or with their understudy."""
    if hasattr(cupy, "copies"):  # the stand-in's count
        monkeypatch.setattr(mg, "CudaGraph", EagerGraph)


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_recorded_step_has_the_same_losses(accumulation, precision, tmp_path, graph):
    pytest.importorskip("ml_dtypes")
    config = replace(CONFIG, steps=10, gradient_accumulation=accumulation, precision=precision)
    trainer(tmp_path / "eager", "cuda", config).run()
    trainer(tmp_path / "graph", "cuda", replace(config, cuda_graph=True)).run()
    np.testing.assert_allclose(losses(tmp_path / "graph"), losses(tmp_path / "eager"), rtol=1e-5, atol=1e-6)
    eager, recorded = (load_checkpoint(tmp_path / run) for run in ("eager", "graph"))
    assert recorded.state["random"] == eager.state["random"]  # dropout has drawn as many seeds
    assert recorded.optimizer_settings["numbers"] == eager.optimizer_settings["numbers"]


def test_a_recorded_run_resumes(tmp_path, graph):
    config = replace(CONFIG, cuda_graph=True)
    trainer(tmp_path / "whole", "cuda", CONFIG).run()
    stop_after(trainer(tmp_path / "run", "cuda", config), 4)
    checkpoint = load_checkpoint(tmp_path / "run")
    resumed = trainer(tmp_path / "run", "cuda", config, model=checkpoint.model)
    resumed.resume(checkpoint)
    resumed.run()
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(tmp_path / "whole"), rtol=1e-5, atol=1e-6)


def test_what_cannot_be_recorded(tmp_path):
    with pytest.raises(UserError, match="the model is on the CPU; use --device cuda"):
        trainer(tmp_path, "cpu", replace(CONFIG, cuda_graph=True)).run()
    with pytest.raises(UserError, match="precision='float16': expected bfloat16 or float32 with cuda_graph"):
        replace(CONFIG, cuda_graph=True, precision="float16")


@pytest.mark.parametrize("precision", ["tf32", "bfloat16", "float16"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_precisions_train_to_nearly_the_same_loss(precision, device, tmp_path, cupy):
    pytest.importorskip("ml_dtypes")
    expected = trainer(tmp_path / "float32", "cpu", replace(CONFIG, learning_rate=3e-3)).run()
    config = replace(CONFIG, learning_rate=3e-3, precision=precision)
    result = trainer(tmp_path / precision, device, config).run()
    assert result.val_loss == pytest.approx(expected.val_loss, rel=2e-3)
    assert all(p.dtype == np.float32 for p in load_checkpoint(tmp_path / precision).model.parameters())


@np.errstate(all="ignore")  # infinite on purpose
def test_float16_goes_on_from_its_factor_and_gives_up_below_one(tmp_path):
    config = replace(CONFIG, precision="float16")
    begun = trainer(tmp_path, "cpu", config)
    begun.stepper.scaler = mg.GradScaler(2.0**60, backoff_factor=2.0**-25)  # infinite at once; two steps are left out
    stop_after(begun, 4)
    assert [r["grad_norm"] is None for r in read_log(tmp_path / "log.jsonl")][:3] == [True, True, False]
    checkpoint = load_checkpoint(tmp_path)
    resumed = trainer(tmp_path, "cpu", config, model=checkpoint.model)
    resumed.resume(checkpoint)
    assert resumed.stepper.scaler.get_scale() == begun.stepper.scaler.get_scale() < 2**60
    resumed.stepper.scaler = mg.GradScaler(2.0**60, backoff_factor=2.0**-60)
    resumed.stepper.scaler.load_state_dict(resumed.stepper.scaler.state_dict() | {"scale": 1.0})
    resumed.stepper.loss = lambda model, batch: model(*batch)[1] * 1e30
    with pytest.raises(UserError, match=r"the gradient's norm became (inf|nan)"):
        resumed.run()


@pytest.mark.emulator
def test_the_kernels_in_cuda_c_carry_a_run(tmp_path):
    """On the stand-in's arrays, in the emulator: the losses are those of the reference."""
    config = replace(CONFIG, steps=3, eval_every=0)
    expected = trainer(tmp_path / "reference", "cpu", config)
    expected.run()
    with fake_cupy.installed(), fake_cupy.emulated():
        run = trainer(tmp_path / "emulated", "cuda", config)
        with mock.patch.object(loader.Module, "launch", autospec=True, side_effect=loader.Module.launch) as launch:
            run.run()
    assert "cross_entropy" in {call.args[0].path.stem for call in launch.call_args_list}
    np.testing.assert_allclose(losses(tmp_path / "emulated"), losses(tmp_path / "reference"), rtol=1e-4, atol=1e-5)


def test_writing_and_evaluating(cupy):
    mg.manual_seed(0)
    model = GPT(MODEL).eval()
    options = {"max_tokens": 20, "temperature": 0.8, "seed": 3}
    text = generate_text(model, ByteTokenizer(), "Once", **options)
    loss = mean_loss(model, IDS[:100])
    model.cuda()
    assert generate_text(model, ByteTokenizer(), "Once", **options) == text
    assert generate_text(model, ByteTokenizer(), "Once", use_cache=False, **options) == text
    assert mean_loss(model, IDS[:100]) == pytest.approx(loss, rel=1e-5)


def test_the_command_line(tmp_path, capsys, cupy):
    text = tmp_path / "text.txt"
    text.write_text("All is well that ends well. " * 60)
    run = str(tmp_path / "run")
    flags = ["--steps", "3", "--context-length", "8", "--embedding-dim", "8", "--num-layers", "1", "--num-heads", "2"]
    assert train(["gpt", "--data", str(text), "--out", run, "--device", "cuda", *flags]) == 0
    capsys.readouterr()
    assert generate([run, "--prompt", "All", "--max-tokens", "5", "--seed", "1", "--device", "cuda"]) == 0
    on_gpu = capsys.readouterr().out
    assert generate([run, "--prompt", "All", "--max-tokens", "5", "--seed", "1", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == on_gpu
    assert evaluate([run, "--json", "--device", "auto"]) == 0
    assert json.loads(capsys.readouterr().out)["loss"] > 0


def test_choosing_a_device(monkeypatch):
    with fake_cupy.installed():
        assert [choose_device(wanted) for wanted in ("cpu", "cuda", "auto")] == ["cpu", "cuda", "cuda"]
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    assert [choose_device(wanted) for wanted in ("cpu", "auto")] == ["cpu", "cpu"]
    with pytest.raises(UserError, match=r"--device cuda: cupy is not installed.*`minigrad doctor` says more"):
        choose_device("cuda")
