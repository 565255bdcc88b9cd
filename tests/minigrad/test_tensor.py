"""Tensor itself: dtypes, operators with numpy on either side, leaving the graph, reprs, messages."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.methods import Methods
from minigrad.tensor import Tensor

f32, f64, i64, i32, b = "float32", "float64", "int64", "int32", "bool"


def of(dtype, shape=(2,)):
    return Tensor(np.ones(shape, dtype))


# Made from Python and numpy.


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, f32),
        (2, i64),
        (True, b),
        ([1.0, 2], f32),
        ([[1, 2]], i64),
        ([True, False], b),
        (np.float64(1), f64),
        (np.ones(2), f64),
        ([np.ones(2), np.zeros(2)], f64),
        (np.ones(2, np.int32), i32),
        ([], f32),
    ],
)
def test_dtype_of_new_tensors(data, dtype):
    assert mg.tensor(data).dtype == dtype
    assert Tensor(data).dtype == dtype


def test_asked_for_dtype():
    assert mg.tensor([1, 2], dtype=f64).dtype == f64
    assert mg.zeros(2, dtype=i64).dtype == i64


def test_integer_division_gives_floats():
    assert (of(i64) / of(i64)).dtype == f32
    assert (of(i64) / 2).dtype == f32
    assert (3 / of(i64)).dtype == f32
    assert (of(i64) // 2).dtype == i64


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sin", "cos", "expm1", "log1p"])
def test_functions_of_integers_give_float32(name):
    assert getattr(mg, name)(of(i64)).dtype == f32


def test_gradients_take_the_dtype_of_their_tensor():
    x, y = mg.ones(2, requires_grad=True), mg.ones(2, dtype=f64, requires_grad=True)
    (x * y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (f32, f64)


# numpy on the left keeps the graph; numpy alone gets refused.


@pytest.mark.parametrize("symbol", ["+", "-", "*", "/", "@", "**"])
def test_an_array_on_the_left_keeps_the_graph(symbol):
    x, array = mg.full((2, 2), 2.0, requires_grad=True), np.full((2, 2), 3.0, np.float32)
    operate = eval(f"lambda a, b: a {symbol} b")
    y = operate(array, x)
    assert isinstance(y, Tensor)
    assert y.requires_grad
    np.testing.assert_allclose(y.data, operate(array, x.data))


@pytest.mark.parametrize("symbol", ["+", "-", "*", "/", "**", "//", "%", "==", "!=", "<", "<=", ">", ">="])
@given(st.data())
def test_operators_agree_with_numpy(symbol, data):
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    numbers = np.array([0.5, 1.0, 2.0, 3.5])
    a, other = (np.asarray(np.random.default_rng(seed).choice(numbers, shape)) for seed in (1, 2))
    x, y = Tensor(a), Tensor(other)
    operate = eval(f"lambda a, b: a {symbol} b")
    expected = operate(a, other)
    for found in (operate(x, y), operate(x, other), operate(a, y)):
        assert isinstance(found, Tensor)
        np.testing.assert_allclose(found.data, expected)
    np.testing.assert_allclose(operate(x, 2).data, operate(a, 2))


def test_array_refuses_to_cut_the_graph():
    x = mg.ones(2, requires_grad=True)
    for cut in (np.asarray, np.array, np.sort, lambda x: x.numpy()):
        with pytest.raises(RuntimeError, match=r"cut the graph silently; write \.detach\(\)\.numpy\(\)"):
            cut(x)
    np.testing.assert_array_equal(np.asarray(x.detach()), [1, 1])
    assert np.asarray(x.detach(), dtype=f64).dtype == f64
    with pytest.raises(RuntimeError, match="cannot be exported"):
        np.from_dlpack(x)
    np.testing.assert_array_equal(np.from_dlpack(x.detach()), [1, 1])


def test_memory_is_shared_or_not_as_said():
    array = np.zeros(3)
    assert np.shares_memory(Tensor(array).data, array)
    assert not np.shares_memory(mg.tensor(array).data, array)
    x = Tensor(array)
    assert np.shares_memory(x.detach().data, array)
    assert not np.shares_memory(x.clone().data, array)
    assert not np.shares_memory(copy.deepcopy(x).data, array)


# Pieces of the interface.


def test_every_method_is_the_function():
    listed = [name for name in vars(Methods) if inspect.isfunction(getattr(mg, name, None)) and name != "where"]
    assert len(listed) > 70
    for name in listed:
        assert getattr(Tensor, name) is getattr(mg, name)


def test_unpacking_truth_and_length():
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    _, second = x
    np.testing.assert_array_equal(second.data, [3, 4])
    assert len(x) == 2
    assert mg.tensor(1.0) == 1.0
    assert not mg.tensor(False)
    assert [10, 20][mg.tensor(1)] == 20
    assert f"{mg.tensor(1.23456):.2f}" == "1.23"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: mg.tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
        (lambda: mg.ones(2, requires_grad=True), "tensor([1., 1.], requires_grad=True)"),
        (lambda: mg.ones(2, requires_grad=True) * 2, "tensor([2., 2.], grad_fn=<Mul>)"),
        (lambda: mg.tensor([1, 2]), "tensor([1, 2])"),
        (lambda: mg.ones(1, dtype=f64), "tensor([1.], dtype=float64)"),
        (lambda: mg.zeros(0, 3), "tensor([], shape=(0, 3))"),
        (lambda: mg.split(mg.ones(2, requires_grad=True), 1)[1], "tensor([1.], grad_fn=<Split[1]>)"),
    ],
)
def test_repr(make, text):
    assert repr(make()) == text


def test_repr_of_a_large_tensor_is_short_and_shows_the_shape():
    assert len(repr(mg.zeros(1000, 1000))) < 400
    assert "shape=(1000, 1000)" in repr(mg.zeros(1000, 1000))


# fmt: off
MISTAKES = [
    (lambda: len(mg.tensor(1.0)), TypeError, "0-d tensor"),
    (lambda: bool(mg.ones(2)), ValueError, r"shape \(2,\) is ambiguous"),
    (lambda: mg.ones(2).item(), ValueError, r"shape \(2,\) has 2 elements, not one"),
    (lambda: [1][mg.ones(1)], TypeError, "float32 tensor cannot be an index"),
    (lambda: mg.tensor([[1, 2], [3]]), ValueError, "nested lists are ragged"),
    (lambda: mg.tensor("text"), TypeError, "use numbers or booleans"),
    (lambda: mg.ones(2, dtype=i64, requires_grad=True), TypeError, "only floating tensors.*astype"),
    (lambda: (mg.ones(2, requires_grad=True) * 2).requires_grad_(False), RuntimeError, r"\.detach\(\)"),
    (lambda: copy.deepcopy(mg.ones(2, requires_grad=True) * 2), RuntimeError, "only leaf tensors"),
    (lambda: pickle.dumps(mg.ones(2)), TypeError, "minigrad.save"),
    (lambda: mg.ones(2, 3) + mg.ones(4), ValueError, r"add: \(2, 3\), \(4,\): .*broadcast"),
    (lambda: mg.zeros(-1, 2), ValueError, r"shape \(-1, 2\): sizes must not be negative"),
    (lambda: mg.arange(0, 5, 0), ValueError, "step 0 never arrives"),
    (lambda: mg.randint(3, 3), ValueError, "no integers from 3 to 2"),
    (lambda: mg.manual_seed(-1), ValueError, "expected a non-negative integer"),
    (lambda: mg.ones(2, 3).sum(2), IndexError, "sum: dim 2 of a tensor with 2 dimensions; use -2 to 1"),
    (lambda: mg.ones(2, 3).sum((0, -2)), ValueError, "names a dimension twice"),
    (lambda: of(i64).mean(), TypeError, "int64 tensor has no floating mean"),
    (lambda: mg.zeros(0).max(), ValueError, r"max: a tensor of shape \(0,\) has no elements"),
    (lambda: mg.zeros(0).argmax(), ValueError, "argmax: .* has no elements"),
    (lambda: mg.ones(1).var(), ValueError, "1 elements with correction=1; pass correction=0"),
    (lambda: mg.ones(2, 3).reshape(4, 2), ValueError, r"reshape: \(2, 3\) has 6 elements, \(4, 2\) asks for 8"),
    (lambda: mg.ones(2, 3).reshape(-1, -1), ValueError, "at most one -1"),
    (lambda: mg.ones(2, 3).permute(0, 0), ValueError, r"permute: dim \(0, 0\) names a dimension twice"),
    (lambda: mg.ones(2, 3).expand(3), ValueError, "fewer dimensions"),
    (lambda: mg.ones(2, 3).expand(4, 3), ValueError, r"expand.*\(2, 3\).*\(4,"),
    (lambda: mg.cat([mg.ones(2, 3), mg.ones(3, 2)], 0), ValueError, r"tensor 1 has shape \(3, 2\), tensor 0 \(2, 3\)"),
    (lambda: mg.cat([]), ValueError, "nothing to join"),
    (lambda: mg.stack([mg.ones(2), mg.ones(3)]), ValueError, "must be equal"),
    (lambda: mg.split(mg.ones(5), [2, 2]), ValueError, r"must add up to dim 0 .* which is 5"),
    (lambda: mg.ones(3).unsqueeze(3), IndexError, "use -2 to 1"),
    (lambda: mg.layer_norm(mg.ones(2, 3), mg.ones(2)), ValueError, r"weight \(2,\) for x \(2, 3\); expected \(3,\)"),
    (lambda: mg.clamp(mg.ones(2)), ValueError, "give min, max or both"),
    (lambda: mg.gelu(mg.ones(2), "erf"), ValueError, 'use "none" or "tanh"'),
    (lambda: mg.dropout(mg.ones(2), 1.5), ValueError, "p=1.5; expected a probability"),
    (lambda: mg.cross_entropy(mg.ones(2, 3), mg.tensor([0, 3])), IndexError, "target 3 in row 1 is not one of the 3"),
    (lambda: mg.cross_entropy(mg.ones(2, 3), mg.ones(2)), TypeError, "expected integer class numbers"),
    (lambda: mg.cross_entropy(mg.ones(2, 3), mg.tensor([1])), ValueError, r"logits \(2, 3\), targets \(1,\)"),
    (lambda: mg.scaled_dot_product_attention(mg.ones(1, 3, 2, 4), mg.ones(1, 2, 2, 4), mg.ones(1, 2, 2, 4)), ValueError,
     "key heads divide the query heads"),
    (lambda: mg.scaled_dot_product_attention(mg.ones(2, 4), mg.ones(2, 3), mg.ones(2, 3)), ValueError, "must agree"),
    (lambda: mg.ones(2) + "x", TypeError, "unsupported operand"),
]
# fmt: on


@pytest.mark.parametrize(("call", "error", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_say_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()


# Randomness, save and load.


def test_manual_seed_repeats_and_states_continue():
    mg.manual_seed(3)
    first = [mg.randn(4).tolist(), mg.randint(9, size=(3,)).tolist(), mg.dropout(mg.ones(9), 0.5).tolist()]
    state = mg.get_rng_state()
    after = mg.rand(5).tolist()
    mg.manual_seed(3)
    assert first == [mg.randn(4).tolist(), mg.randint(9, size=(3,)).tolist(), mg.dropout(mg.ones(9), 0.5).tolist()]
    mg.set_rng_state(state)
    assert mg.rand(5).tolist() == after


def test_random_state_survives_json():
    import json

    mg.rand(3)
    state = json.loads(json.dumps(mg.get_rng_state()))
    expected = mg.rand(3).tolist()
    mg.set_rng_state(state)
    assert mg.rand(3).tolist() == expected


def test_save_and_load(tmp_path):
    tensors = {
        "a": mg.randn(2, 3),
        "b": mg.arange(4),
        "t": mg.randn(2, 3).T,
        "scalar": mg.tensor(2.0),
        "empty": mg.zeros(0, 2),
    }
    mg.save(tensors, tmp_path / "x.safetensors")
    loaded = mg.load(tmp_path / "x.safetensors")
    assert set(loaded) == set(tensors)
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        np.testing.assert_array_equal(loaded[name].data, tensor.data)


def test_load_refuses_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        mg.load(tmp_path / "none")
    mg.save({"a": mg.randn(100)}, tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    for broken in (whole[:-7], whole[:5], b""):
        (tmp_path / "x").write_bytes(broken)
        with pytest.raises(ValueError, match="truncated or not a safetensors file"):
            mg.load(tmp_path / "x")


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    mg.save({"a": mg.ones(2)}, tmp_path / "x")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        mg.save({"a": mg.zeros(2)}, tmp_path / "x")
    np.testing.assert_array_equal(mg.load(tmp_path / "x")["a"].data, [1, 1])
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
