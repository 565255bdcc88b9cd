"""BatchNorm's running statistics and modes, against PyTorch; and what normalisation layers refuse."""

import numpy as np
import pytest

import minigrad as mg
import nn
from nn import functional as F

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.mark.parity
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("momentum", [0.1, 1.0, 0.0, None])
@pytest.mark.parametrize("shape", [(5, 3), (1, 3, 4), (4, 3, 2, 3)])
def test_running_statistics_equal_torchs(shape, momentum, dtype):
    torch = pytest.importorskip("torch")
    name = "BatchNorm2d" if len(shape) == 4 else "BatchNorm1d"
    ours = getattr(nn, name)(3, momentum=momentum).to(dtype)
    theirs = getattr(torch.nn, name)(3, momentum=momentum).to(getattr(torch, dtype))
    rng = np.random.default_rng(0)
    close = {"rtol": 2e-3, "atol": 2e-3} if dtype == "float16" else {"rtol": 1e-5, "atol": 1e-6}
    for step in range(6):
        x = (rng.standard_normal(shape) * 3 + 1).astype(dtype)
        if step in (2, 5):
            ours.eval()
            theirs.eval()
        out, expected = ours(mg.tensor(x)), theirs(torch.tensor(x))
        assert out.dtype == dtype
        np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), **close)
        for buffer in BUFFERS:
            np.testing.assert_allclose(
                getattr(ours, buffer).numpy(), getattr(theirs, buffer).numpy(), err_msg=buffer, **close
            )
        ours.train()
        theirs.train()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.reset_running_stats()
    assert [getattr(ours, buffer).tolist() for buffer in BUFFERS] == [[0, 0, 0], [1, 1, 1], 0]


def test_evaluation_leaves_the_statistics_alone_and_goes_row_by_row():
    layer = nn.BatchNorm1d(3)
    layer(mg.randn(8, 3) * 2 + 5)
    layer.eval()
    before = {name: value.numpy().copy() for name, value in layer.state_dict().items()}
    x = mg.randn(4, 3)
    rows = mg.cat([layer(x[i : i + 1]) for i in range(4)])
    np.testing.assert_allclose(layer(x).detach().numpy(), rows.detach().numpy(), rtol=1e-6)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_a_batch_of_copies_has_no_variance_and_gives_the_bias():
    layer = nn.BatchNorm1d(2)
    layer.bias.data[:] = [1, -1]
    np.testing.assert_allclose(layer(mg.ones(4, 2) * 7).detach().numpy(), [[1, -1]] * 4)


def test_a_transposed_input_is_the_same_input():
    x = np.random.default_rng(0).standard_normal((4, 5, 6)).astype("float32")
    for layer in (nn.BatchNorm1d(5), nn.GroupNorm(5, 5), nn.InstanceNorm1d(5), nn.LayerNorm(6)):
        view = mg.Tensor(np.ascontiguousarray(x.T).T)
        np.testing.assert_allclose(layer(view).detach().numpy(), layer(mg.tensor(x)).detach().numpy(), rtol=1e-5)


def test_group_norm_lies_between_layer_norm_and_instance_norm():
    x = mg.randn(2, 4, 3)
    np.testing.assert_allclose(
        nn.GroupNorm(4, 4)(x).detach().numpy(), nn.InstanceNorm1d(4)(x).numpy(), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        nn.GroupNorm(1, 4)(x).detach().numpy(), F.layer_norm(x, (4, 3)).numpy(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: nn.BatchNorm1d(3)(mg.zeros(1, 3)), ValueError, "has 1 values for each channel"),
        (lambda: nn.BatchNorm1d(3)(mg.zeros(0, 3)), ValueError, "has 0 values for each channel"),
        (lambda: nn.BatchNorm1d(3)(mg.zeros(2, 4)), ValueError, "the second of size 3"),
        (lambda: nn.BatchNorm1d(3)(mg.zeros(2, 3, 4, 5)), ValueError, "2 dimensions or 3 dimensions"),
        (lambda: nn.BatchNorm2d(3)(mg.zeros(3, 4, 5)), ValueError, "expected 4 dimensions"),
        (lambda: F.batch_norm(mg.zeros(2, 3), None, None), ValueError, "needs running_mean"),
        (lambda: F.batch_norm(mg.zeros(2, 3), mg.zeros(1), None, training=True), ValueError, r"running_mean \(1,\)"),
        (lambda: nn.GroupNorm(2, 3), ValueError, "num_groups=2 does not divide num_channels=3"),
        (lambda: nn.GroupNorm(0, 3), ValueError, "num_groups=0"),
        (lambda: nn.GroupNorm(3, 3)(mg.zeros(1, 3)), ValueError, "one value for each group"),
        (lambda: nn.GroupNorm(1, 3)(mg.zeros(2, 4)), ValueError, r"expected \(batch, 3, ...\)"),
        (lambda: nn.InstanceNorm1d(3)(mg.zeros(2, 3, 1)), ValueError, "two values per channel"),
        (lambda: nn.InstanceNorm1d(3)(mg.zeros(2, 4, 5)), ValueError, "3 channels"),
        (lambda: nn.InstanceNorm1d(3, track_running_stats=True), ValueError, "not offered"),
    ],
)
def test_bad_input(act, error, message):
    with pytest.raises(error, match=message):
        act()
