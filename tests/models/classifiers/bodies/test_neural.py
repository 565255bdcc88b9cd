"""Every body learns; neural ones are indifferent to padding and neighbours, and equal PyTorch on the same weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from models import ClassifierConfig, FitConfig, TextClassifier
from models.classifiers.bodies.average import with_ngrams
from models.classifiers.bodies.pooling import AttentionPooling
from models.classifiers.model import ClassifierModel
from tests.models.classifiers.problems import reviews, topics

BAGS = ("naive-bayes", "complement-naive-bayes", "logistic", "svm", "forest")
NEURAL = ("average", "mlp", "textcnn", "lstm", "gru", "bilstm", "transformer")
SMALL = {
    "min_count": 1, "buckets": 4096, "embedding_dim": 16, "hidden_size": 16, "num_heads": 2, "filters": 12,
    "dropout": 0.1, "max_length": 24,
}  # fmt: skip
FIT = FitConfig(epochs=12, batch_size=16, learning_rate=0.01)


def model(body, **changes):
    """Untrained, for ids below 10 and the padding 10; with weights large enough to matter."""
    mg.manual_seed(1)
    config = ClassifierConfig(body=body, **SMALL | {"vocab_size": 11, "labels": ("a", "b", "c")} | changes)
    made = ClassifierModel(config).eval()
    with mg.no_grad():
        made.body.embedding.weight.mul_(8.0)
    return made


def needed(body):
    if body == "forest":
        pytest.importorskip("sklearn")


def hits(classifier, texts, labels):
    return np.mean([p == t for p, t in zip(classifier.predict(texts), labels, strict=True)])


@pytest.mark.parametrize("body", BAGS + NEURAL)
def test_learns_topics(body):
    needed(body)
    classifier = TextClassifier(ClassifierConfig(body=body, **SMALL))
    classifier.fit(*topics(240), validation=topics(60, seed=1), fit=FIT)
    texts, labels = topics(100, seed=2)
    assert hits(classifier, texts, labels) > 0.93
    probabilities = classifier.predict_proba(texts)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("body", BAGS + NEURAL)
def test_learns_several_labels(body):
    needed(body)
    classifier = TextClassifier(ClassifierConfig(body=body, **SMALL))
    classifier.fit(*topics(300, multi_label=True), validation=topics(60, seed=1, multi_label=True), fit=FIT)
    texts, labels = topics(100, seed=2, multi_label=True)
    probabilities = classifier.predict_proba(texts)
    assert ((probabilities >= 0.5) == classifier.encode_labels(labels)).mean() > 0.88
    assert classifier.predict(texts) == classifier.decide(probabilities)
    assert {len(label) for label in classifier.predict(texts)} >= {0, 1, 2}


@pytest.mark.parametrize("body", ["naive-bayes", "svm", "average", "textcnn"])
def test_learns_chinese_by_characters(body):
    classifier = TextClassifier(ClassifierConfig(body=body, **SMALL))
    classifier.fit(*reviews(200), validation=reviews(50, seed=1), fit=FIT)
    assert classifier.tokenizer.type == "char"
    assert hits(classifier, *reviews(100, seed=2)) > 0.95


SEQUENCES = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=1, max_size=5)


@pytest.mark.parametrize("body", NEURAL)
@given(sequences=SEQUENCES, more=st.integers(0, 4))
def test_neither_padding_nor_neighbours_matter(body, sequences, more):
    classifier = model(body)
    width = max(map(len, sequences)) + more
    ids = np.full((len(sequences), width), classifier.config.pad_id)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    with mg.no_grad():
        together = classifier(ids).numpy()
        for logits, sequence in zip(together, sequences, strict=True):
            np.testing.assert_allclose(classifier(np.array([sequence])).numpy()[0], logits, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("body", NEURAL)
def test_every_parameter_gets_a_gradient(body):
    classifier = model(body)
    classifier(np.arange(10).reshape(1, 10)).logsumexp(1).sum().backward()
    for name, parameter in classifier.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.numpy().any(), name


@given(ids=st.lists(st.integers(0, 9), min_size=1, max_size=8), ngrams=st.integers(1, 4))
def test_ngrams(ids, ngrams):
    """As many as there are, each by its tokens alone: where they stand does not matter."""
    config = ClassifierConfig(body="average", ngrams=ngrams, buckets=1 << 30, vocab_size=11)
    found, counts = with_ngrams(np.array([[*ids, 10, 10]]), np.array([len(ids)]), config)
    pieces = [tuple(ids[i : i + n]) for n in range(1, ngrams + 1) for i in range(len(ids) - n + 1)]
    assert counts == [len(pieces)]
    by_row = {}
    for row, piece in zip(found[0, : counts[0]].tolist(), pieces, strict=True):
        assert by_row.setdefault(row, piece) == piece
        assert (row < 11) == (len(piece) == 1)
    assert len(by_row) == len(set(pieces))


# Beside PyTorch.


def batch():
    rng = np.random.default_rng(3)
    lengths = np.array([7, 2, 12, 1, 5])
    ids = rng.integers(0, 10, (5, 12))
    ids[np.arange(12) >= lengths[:, None]] = 10
    return ids, lengths


def assert_parity(torch, classifier, forward):
    """Logits and the gradients of a random projection of them."""
    ids, lengths = batch()
    state = {name: torch.tensor(value.numpy()) for name, value in classifier.body.state_dict().items()}
    state = {name: tensor.requires_grad_() for name, tensor in state.items()}
    upstream = np.random.default_rng(4).standard_normal((5, 3)).astype(np.float32)
    ours, theirs = classifier(ids), forward(state, torch.tensor(ids), torch.tensor(lengths))
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-4, atol=1e-5)
    ours.backward(mg.Tensor(upstream))
    theirs.backward(torch.tensor(upstream))
    for name, parameter in classifier.body.named_parameters():
        expected = state[name].grad.numpy()
        np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parity
def test_textcnn_parity():
    torch = pytest.importorskip("torch")

    def forward(state, ids, lengths):
        real = (torch.arange(12) < lengths[:, None])[..., None]
        x = (state["embedding.weight"][ids] * real).mT
        found = []
        for i, width in enumerate((3, 4, 5)):
            weight, bias = state[f"convolutions.{i}.weight"], state[f"convolutions.{i}.bias"]
            y = torch.conv1d(x, weight, bias, padding=width - 1).relu()
            outside = torch.arange(12 + width - 1) >= lengths[:, None] + width - 1
            found.append(y.masked_fill(outside[:, None], 0).amax(2))
        return torch.cat(found, 1) @ state["output.weight"].T + state["output.bias"]

    assert_parity(torch, model("textcnn"), forward)


@pytest.mark.parity
@pytest.mark.parametrize("body", ["lstm", "gru", "bilstm"])
def test_recurrent_parity(body):
    torch = pytest.importorskip("torch")

    def forward(state, ids, lengths):
        both = body == "bilstm"
        layer = (torch.nn.GRU if body == "gru" else torch.nn.LSTM)(16, 16, 2, batch_first=True, bidirectional=both)
        own = {name: state[f"recurrent.{name}"] for name, _ in layer.named_parameters()}
        hidden = []
        for row, length in zip(ids, lengths, strict=True):  # one by one: no packing
            x = state["embedding.weight"][row[:length]][None]
            y, _ = torch.func.functional_call(layer, own, (x,))
            if both:
                u = torch.tanh(y @ state["pooling.project.weight"].T + state["pooling.project.bias"])
                alpha = torch.softmax((u @ state["pooling.query.weight"].T)[..., 0], 1)
                hidden.append((alpha[..., None] * y).sum(1)[0])
            else:
                hidden.append(y[0, -1])
        return torch.stack(hidden) @ state["output.weight"].T + state["output.bias"]

    assert_parity(torch, model(body, num_layers=2), forward)


@pytest.mark.parity
def test_transformer_parity():
    torch = pytest.importorskip("torch")
    classifier = model("transformer", num_layers=2)
    positions = torch.tensor(classifier.body.positions.encoding.numpy())

    def forward(state, ids, lengths):
        layer = torch.nn.TransformerEncoderLayer(16, 2, 16, 0.0, "gelu", batch_first=True, norm_first=True)
        encoder = torch.nn.TransformerEncoder(layer, 2, torch.nn.LayerNorm(16), enable_nested_tensor=False)
        own = {name: state[f"encoder.{name}"] for name, _ in encoder.named_parameters()}
        outside = torch.arange(12) >= lengths[:, None]
        x = state["embedding.weight"][ids] * 4 + positions[:12]
        y = torch.func.functional_call(encoder, own, (x,), {"src_key_padding_mask": outside})
        mean = (y * ~outside[..., None]).sum(1) / lengths[:, None]
        return mean @ state["output.weight"].T + state["output.bias"]

    assert_parity(torch, classifier, forward)


@pytest.mark.parity
@pytest.mark.parametrize("body", ["average", "mlp"])
def test_averaging_parity(body):
    torch = pytest.importorskip("torch")
    classifier = model(body)

    def forward(state, ids, lengths):
        features, counts = ids.numpy(), lengths.numpy()
        if body == "average":
            features, counts = with_ngrams(features, counts, classifier.config)
        rows = [torch.tensor(row[:n]) for row, n in zip(features, counts, strict=True)]
        x = torch.stack([state["embedding.weight"][row].mean(0) for row in rows])
        if body == "mlp":
            x = torch.relu(x @ state["hidden.0.weight"].T + state["hidden.0.bias"])
        return x @ state["output.weight"].T + state["output.bias"]

    assert_parity(torch, classifier, forward)


def test_attention_looks_at_the_text_only():
    pooling = AttentionPooling(6)
    x, padding = mg.randn(3, 5, 6), np.arange(5) >= np.array([[5], [1], [3]])
    weights = pooling.weights(x, padding).detach().numpy()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
    assert not weights[padding].any()
    expected = np.einsum("bt,bts->bs", weights, x.numpy())
    np.testing.assert_allclose(pooling(x, padding).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
