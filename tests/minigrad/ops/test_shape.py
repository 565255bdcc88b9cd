"""Reshaping, joining and splitting at the edges: no elements, 0-d, sizes that do not fit; as PyTorch does it."""

import numpy as np
import pytest

import minigrad as mg


def test_joining_with_nothing():
    whole = mg.ones(2, 3, requires_grad=True)
    for nothing, dim in [(mg.zeros(0), 0), (mg.zeros(0), 1), (mg.zeros(2, 0), 1), (mg.zeros(0, 3), 0)]:
        for tensors in ([nothing, whole], [whole, nothing]):
            y = mg.cat(tensors, dim)
            assert y.shape == (2, 3)
            (g,) = mg.grad(y, whole, mg.ones(2, 3) * 2.0)
            np.testing.assert_array_equal(g.data, 2 * np.ones((2, 3)))
    assert mg.cat([mg.zeros(0), mg.zeros(0)]).shape == (0,)
    assert mg.cat([mg.zeros(0), mg.ones(2)]).shape == (2,)


def test_splitting_nothing():
    assert [piece.shape for piece in mg.zeros(0).split(2)] == [(0,)]
    assert [piece.shape for piece in mg.zeros(0).split(0)] == [(0,)]
    assert [piece.shape for piece in mg.zeros(0, 2).chunk(3)] == [(0, 2)] * 3
    assert [len(piece) for piece in mg.zeros(5).chunk(4)] == [2, 2, 1]
    assert mg.zeros(0, 2).unbind(1)[1].shape == (0,)


def test_0d():
    x = mg.tensor(3.0, requires_grad=True)
    for y in (x.flip(0), x.squeeze(0), x.squeeze(), x.transpose(0, -1), x.permute(()), x.reshape(()), x.repeat(())):
        assert (y.shape, y.item()) == ((), 3)
        assert mg.grad(y, x)[0].item() == 1
    assert x.flatten().shape == x.reshape(-1).shape == x.unsqueeze(-1).shape == (1,)
    assert x.expand(2, 0).shape == (2, 0)
    assert mg.stack([x, x]).shape == (2,)


MISTAKES = [
    (lambda x: mg.cat([x, mg.tensor(1.0)]), ValueError, "0-d tensors cannot be joined; use stack"),
    (lambda x: mg.cat([x, mg.ones(0, 4)]), ValueError, "may differ in dim 0 only"),
    (lambda x: mg.tensor(1.0).split(1), ValueError, "split: a 0-d tensor has no dimensions"),
    (lambda x: mg.tensor(1.0).chunk(1), ValueError, "chunk: a 0-d tensor has no dimensions"),
    (lambda x: mg.tensor(1.0).unbind(), ValueError, "unbind: a 0-d tensor has no dimensions"),
    (lambda x: mg.tensor(1.0).transpose(0, 1), IndexError, "transpose: dim 1 of a tensor with 0 dimensions"),
    (lambda x: x.split(0), ValueError, "split_size 0 for a dimension of size 2 must be positive"),
    (lambda x: x.flatten(1, 0), ValueError, "start_dim 1 comes after end_dim 0"),
    (lambda x: x.permute(0, 2), IndexError, "permute: dim 2 of a tensor with 2 dimensions"),
    (lambda x: x.permute(0), ValueError, "is not an order of the 2 dimensions"),
    (lambda x: x.expand(2, 4), ValueError, r"expand: \(2, 3\) to \(2, 4\): only dimensions of size 1"),
    (lambda x: x.expand(-1, 2, 3), ValueError, r"expand: \(2, 3\) to \(-1, 2, 3\)"),
    (lambda x: x.broadcast_to((3,)), ValueError, r"broadcast_to: \(2, 3\) to \(3,\)"),
    (lambda x: mg.zeros(0, 3).reshape(-1, 0), ValueError, "-1 can be any size; write it out"),
    (lambda x: x.reshape(1.5, 4), TypeError, "float"),
    (lambda x: mg.tril(x[0]), ValueError, r"tril: a tensor of shape \(3,\) is no matrix"),
    (lambda x: mg.one_hot(x, 3), TypeError, "one_hot: ids are float32; expected integers"),
    (lambda x: mg.layer_norm(x.long()), TypeError, "layer_norm: x is int64"),
    (lambda x: mg.rms_norm(x.long()), TypeError, "rms_norm: x is int64"),
    (lambda x: mg.max_pool1d(x.long(), 2), TypeError, "max_pool1d: x is int64"),
    (lambda x: mg.cross_entropy(x.long(), mg.tensor([0, 1])), TypeError, "cross_entropy: logits are int64"),
    (lambda x: mg.einsum("ii", x), ValueError, "letter 'i' has size 2 and 3"),
    (lambda x: mg.einsum("ii", x[:1]), ValueError, "letter 'i' has size 1 and 3"),
    (lambda x: mg.einsum("ij,ji", x, x), ValueError, "letter 'j' has size 3 and 2"),
]


@pytest.mark.parametrize(("call", "error", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_say_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call(mg.ones(2, 3))


def test_einsum_repeats_letters_of_size_1():
    a, b = mg.randn(2, 1, dtype="float64", requires_grad=True), mg.randn(3, 4, dtype="float64", requires_grad=True)
    np.testing.assert_allclose(mg.einsum("ij,jk->ik", a, b).data, np.repeat(a.data, 3, 1) @ b.data)
    mg.gradcheck(lambda a, b: mg.einsum("ij,jk->ik", a, b), [a, b], order=2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_products_losses_and_pooling_of_many_halves(dtype):
    """3,001 ones and a bias of 1 are 3,002 once rounded, not 3,000 + 1 rounded again; means of many are finite."""
    unit = mg.dtypes.epsilon(mg.zeros(0, dtype=dtype).dtype)
    ones = mg.ones(1, 3001, dtype=dtype)
    rounded = np.float32(3002).astype(ones.dtype).astype(float)
    assert float(mg.linear(ones, ones, mg.ones(1, dtype=dtype)).data[0, 0]) == rounded
    for product in (ones @ ones.T, mg.einsum("ij,kj->ik", ones, ones), mg.linear(ones, ones)):
        assert float(product.data[0, 0]) == np.float32(3001).astype(ones.dtype).astype(float)
    assert float(mg.avg_pool1d(ones, 3001).data[0, 0]) == 1
    assert float(mg.mean_over_time(mg.ones(1, 3001, 1, dtype=dtype)).data[0, 0]) == 1
    assert float(mg.avg_pool1d(mg.full((1, 4), 60_000.0).astype(dtype), 4).data[0, 0]) == pytest.approx(
        60_000, rel=unit
    )
    logits = mg.zeros(70_000, 3, dtype=dtype, requires_grad=True)
    loss = mg.cross_entropy(logits, np.zeros(70_000, int))
    loss.backward()
    assert float(loss.data) == pytest.approx(np.log(3), rel=unit)
    np.testing.assert_allclose(logits.grad.data[0].astype(float), np.array([-2, 1, 1]) / 210_000, rtol=0.02)
