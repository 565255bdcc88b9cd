"""Weight normalisation: against PyTorch, in training, taken off again; and distances as Modules."""

import numpy as np
import pytest

import minigrad as mg
import nn
from nn import optim
from nn.utils import remove_weight_norm, weight_norm


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("dim", [0, 1, None])
def test_values_gradients_and_ten_steps_equal_torch(dim):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = torch.nn.utils.weight_norm(torch.nn.Conv1d(3, 4, 2), dim=dim)
    ours = weight_norm(nn.Conv1d(3, 4, 2), dim=dim)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [tuple(v.shape) for v in theirs.state_dict().values()] == [v.shape for v in ours.state_dict().values()]
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((2, 3, 5)).astype("float32")
    our_optimizer, their_optimizer = (
        optim.SGD(ours.parameters(), lr=0.01),
        torch.optim.SGD(theirs.parameters(), lr=0.01),
    )
    for _ in range(10):
        our_loss, their_loss = (ours(mg.tensor(x)) ** 2).sum(), (theirs(torch.tensor(x)) ** 2).sum()
        assert our_loss.item() == pytest.approx(their_loss.item(), rel=1e-4)
        for optimizer, loss in ((our_optimizer, our_loss), (their_optimizer, their_loss)):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(ours.get_parameter(name).detach().numpy(), parameter.detach().numpy(), rtol=1e-3)


def test_it_changes_nothing_at_first_and_is_taken_off_again():
    layer = nn.Linear(3, 2)
    x, weight = mg.randn(4, 3), layer.weight.detach().numpy().copy()
    before = layer(x).detach().numpy()
    assert weight_norm(layer) is layer
    np.testing.assert_allclose(layer(x).detach().numpy(), before, rtol=1e-5)
    assert [name for name, _ in layer.named_parameters()] == ["bias", "weight_g", "weight_v"]
    np.testing.assert_allclose(layer.weight_g.data[:, 0], np.linalg.norm(weight, axis=1), rtol=1e-6)
    layer.weight_g.data *= 2
    with mg.no_grad():
        np.testing.assert_allclose(
            (layer(x) - layer.bias).numpy(), 2 * (before - layer.bias.data), rtol=1e-4, atol=1e-6
        )
    with pytest.raises(TypeError, match="normalised already"):
        weight_norm(layer)
    remove_weight_norm(layer)
    np.testing.assert_allclose(layer.weight.detach().numpy(), 2 * weight, rtol=1e-5)
    assert [name for name, _ in layer.named_parameters()] == ["bias", "weight"]
    assert layer(x).requires_grad
    with pytest.raises(ValueError, match="is not normalised"):
        remove_weight_norm(layer)
    with pytest.raises(ValueError, match="no parameter 'scale'"):
        weight_norm(layer, "scale")


@pytest.mark.parity
def test_distances_equal_torchs():
    torch = pytest.importorskip("torch")
    a, b = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    for build in (
        lambda nn: nn.CosineSimilarity(),
        lambda nn: nn.CosineSimilarity(-1),
        lambda nn: nn.PairwiseDistance(),
        lambda nn: nn.PairwiseDistance(1.5, keepdim=True),
    ):
        ours, theirs = build(nn)(mg.tensor(a), mg.tensor(b)), build(torch.nn)(torch.tensor(a), torch.tensor(b))
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-9)
