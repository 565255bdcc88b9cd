"""Every model of the registry: the loss and all gradients on the GPU are the CPU's."""

import numpy as np
import pytest

import minigrad as mg
from models import registry
from models.classifiers.config import ClassifierConfig
from models.classifiers.model import BODIES, ClassifierModel
from models.glove import GloVe, GloVeConfig
from models.gpt import GPT, GPTConfig
from models.rnn import CELLS, RNNConfig, RNNGenerator
from models.word2vec import Word2Vec, Word2VecConfig
from nn import functional as F

WORDS = 23
rng = np.random.default_rng(0)
IDS, NEXT, LABELS = rng.integers(1, WORDS, (4, 9)), rng.integers(1, WORDS, (4, 9)), np.array([0, 2, 1, 0])
IDS[1, 5:] = 0  # the classifier's padding
EXAMPLES, NEIGHBOURS = IDS[:, :3] - 1, NEXT[:, :6]  # -1 where an example has fewer words
REAL = rng.uniform(0.1, 1, (2, 4)).astype(np.float32)


def of_tokens(model, ids, targets):
    logits = model(ids)
    logits = logits[0] if isinstance(logits, tuple) else logits
    return F.cross_entropy(logits.reshape(-1, WORDS), targets.reshape(-1))


def classifier(body):
    return ClassifierModel(
        ClassifierConfig(body, embedding_dim=8, hidden_size=8, num_heads=2, filters=3, buckets=50, dropout=0.2,
                         vocab_size=WORDS, labels=("a", "b", "c"))
    )  # fmt: skip


def rnn(cell):
    return RNNGenerator(RNNConfig(WORDS, num_layers=2, hidden_size=8, embedding_dim=6, cell=cell, dropout=0.2))


def vectors(architecture, output):
    return Word2Vec(Word2VecConfig(WORDS, 6, architecture, output), np.arange(WORDS, 0, -1))


# how the model is made, its inputs, the loss
CASES = {
    "gpt": (lambda: GPT(GPTConfig(WORDS, 9, 2, 2, 8, dropout=0.2)), (IDS, NEXT), of_tokens),
    **{f"rnn-{cell}": (lambda cell=cell: rnn(cell), (IDS, NEXT), of_tokens) for cell in CELLS},
    **{
        f"classifier-{body}": (
            lambda body=body: classifier(body), (IDS, LABELS), lambda m, ids, labels: F.cross_entropy(m(ids), labels),
        )
        for body in BODIES
    },
    **{
        f"word2vec-{output}": (
            lambda output=output: vectors("cbow", output), (EXAMPLES, NEIGHBOURS), lambda m, *examples: m(*examples),
        )
        for output in ("negative-sampling", "hierarchical-softmax")
    },
    "glove": (lambda: GloVe(GloVeConfig(WORDS, 6)), (IDS[0, :4], NEXT[0, :4], *REAL), lambda m, *cells: m(*cells)),
}  # fmt: skip


def test_every_model_is_here():
    assert {name.partition("-")[0] for name in CASES} == set(registry.MODELS)


@pytest.mark.parametrize("name", CASES)
def test_loss_and_gradients(name, cupy):
    make, inputs, loss_of = CASES[name]
    found = {}
    for device in ("cpu", "cuda"):
        mg.manual_seed(3)
        model = make().to(device)
        loss = loss_of(model, *(mg.tensor(x, device=device) for x in inputs))
        loss.backward()
        assert loss.device == device
        gradients = {n: p.grad.cpu().numpy() for n, p in model.named_parameters() if p.grad is not None}
        found[device] = {"loss": loss.detach().cpu().numpy(), **gradients}
    assert found["cuda"].keys() == found["cpu"].keys()
    for key, expected in found["cpu"].items():
        np.testing.assert_allclose(found["cuda"][key], expected, rtol=1e-3, atol=2e-6, err_msg=key)
