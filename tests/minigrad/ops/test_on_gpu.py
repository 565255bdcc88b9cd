"""Every operation on arrays of the GPU: the same values and gradients as on the CPU, and nothing copied silently."""

import operator
import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad import devices, kernels, random
from minigrad.explain import DeviceError, OutOfMemoryError
from minigrad.tensor import Tensor, unwrap
from tests.support import fake_cupy
from tests.support.ops_table import CASES, WITHOUT_GRADIENT

every_op = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


class OnCuda:
    """minigrad for the expressions of the table: what they make is made on the GPU."""

    def __getattr__(self, name):
        return getattr(mg, name)

    def tensor(self, data, **options):
        return mg.tensor(data, device="cuda", **options)


def run(case, m, device):
    """Value, gradients, and the gradients of the recorded rules, as numpy arrays."""
    inputs = [mg.tensor(x, device=device, requires_grad=True) for x in case.inputs]
    y = case.expression(m, *inputs)
    assert y.device == device
    upstream = mg.tensor(np.random.default_rng(7).uniform(0.5, 1.5, y.shape), device=device)
    found = mg.grad(y, inputs, upstream, retain_graph=True)
    recorded = mg.grad(y, inputs, upstream, create_graph=True)
    assert {g.device for g in (*found, *recorded)} <= {device}
    return [x.detach().cpu().numpy() for x in (y, *found, *recorded)]


@every_op
def test_values_and_gradients_are_the_cpus(case, cupy):
    for ours, expected in zip(run(case, OnCuda(), "cuda"), run(case, mg, "cpu"), strict=True):
        assert ours.dtype == expected.dtype
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-11)


# How many elements a mask picks, or counts ask for, is known on the GPU only.
READS = {"getitem-boolean", "masked_select", "masked_scatter", "median", "repeat_interleave-counts", "quantile-several"}


@every_op
def test_nothing_is_copied(case):
    with fake_cupy.installed() as cupy:
        inputs = [mg.tensor(x, dtype=np.float32, device="cuda", requires_grad=True) for x in case.inputs]
        constants = Once()
        case.expression(constants, *inputs)  # moves the table's constants
        cupy.copies.clear()
        case.expression(constants.again(), *inputs).sum().backward()
        if case.id not in READS:
            assert not [n for side, n in cupy.copies.items() if side == "to host"]


class Once(OnCuda):
    """The same constants again at the second run."""

    def __init__(self):
        self.made, self.turn = [], None

    def tensor(self, data, **options):
        if self.turn is None:
            self.made.append(super().tensor(data, **options))
            return self.made[-1]
        self.turn += 1
        return self.made[self.turn - 1]

    def again(self):
        self.turn = 0
        return self


@pytest.mark.parametrize("name", WITHOUT_GRADIENT)
def test_without_gradient(name, cupy):
    x, y = np.array([[3, -1, 2], [0, 2, 1]]), np.array([[1.5, -2.0, 0.0], [2.5, np.nan, np.inf]], np.float32)
    if name in ("allclose", "equal", "broadcast_shapes"):
        pytest.skip("gives no tensor")
    if name in ("isclose", "isin", "heaviside", "searchsorted", "bucketize"):
        row = np.array([-1.0, 0.0, 2.5], np.float32)
        call, arrays = getattr(mg, name), [y, row] if name != "searchsorted" else [row, y]
    elif name in ("bincount", "histc"):
        call, arrays = getattr(mg, name), [abs(x)[0] if name == "bincount" else y[0]]
    elif name == "one_hot":
        call, arrays = (lambda x: mg.one_hot(x, 4)), [abs(x)]
    elif name == "bitwise_not":
        call, arrays = mg.bitwise_not, [x]
    elif name in ("eq", "ne", "lt", "le", "gt", "ge", "floor_divide") or name.startswith(("logical_", "bitwise_")):
        call, arrays = getattr(mg, name), [x, np.abs(x) + 1] if name != "logical_not" else [x]
    else:
        call, arrays = getattr(mg, name), [y]
    expected = call(*map(Tensor, arrays))
    ours = call(*(mg.tensor(a, device="cuda") for a in arrays))
    assert ours.device == "cuda"
    np.testing.assert_array_equal(ours.cpu().numpy(), expected.numpy())


# Tensors between devices.


def test_moving_carries_gradients(cupy):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    (x.cuda() * 3).cpu().sum().backward()
    assert x.grad.device == "cpu"
    np.testing.assert_array_equal(x.grad.numpy(), [3, 3])
    assert x.to("cpu") is x
    y = x.detach().to("cuda")
    assert y.cuda() is y
    assert "device='cuda'" in repr(y)
    assert y.tolist() == [1, 2]
    assert float(y[1]) == y[1].item() == 2
    with pytest.raises(TypeError):
        np.asarray(y.data)


def test_creation_on_the_gpu(cupy):
    made = [
        mg.zeros(2, 3, device="cuda"),
        mg.ones((2, 3), device="cuda"),
        mg.full((2, 3), 2.5, device="cuda"),
        mg.empty(2, 3, device="cuda"),
        mg.eye(2, 3, device="cuda"),
        mg.arange(6, device="cuda").reshape(2, 3),
        mg.linspace(0, 1, 6, device="cuda").reshape(2, 3),
        mg.rand(2, 3, device="cuda"),
        mg.randn(2, 3, device="cuda"),
        mg.randint(5, size=(2, 3), device="cuda"),
        mg.randperm(6, device="cuda").reshape(2, 3),
    ]
    made += [f(made[0]) for f in (mg.zeros_like, mg.ones_like, mg.randn_like, mg.rand_like)]
    made.append(mg.full_like(made[0], 7))
    assert {(x.shape, x.device) for x in made} == {((2, 3), "cuda")}
    assert made[2].dtype == np.float32
    np.testing.assert_array_equal(made[5].cpu().numpy(), [[0, 1, 2], [3, 4, 5]])
    assert mg.tensor(made[0]).data is not made[0].data


def test_random_numbers_follow_the_seed_and_the_state(cupy):
    mg.manual_seed(3)
    first = mg.randn(500, 400, device="cuda").cpu().numpy()
    state = mg.get_rng_state()
    second = mg.rand(500, 400, device="cuda").cpu().numpy()
    mg.set_rng_state(state)
    np.testing.assert_array_equal(mg.rand(500, 400, device="cuda").cpu().numpy(), second)
    mg.manual_seed(3)
    np.testing.assert_array_equal(mg.randn(500, 400, device="cuda").cpu().numpy(), first)
    assert abs(first.mean()) < 0.01
    assert first.std() == pytest.approx(1, abs=0.01)
    assert (np.abs(first) < 1).mean() == pytest.approx(0.6827, abs=0.005)
    assert 0 <= second.min() < 0.001
    assert 0.999 < second.max() <= 1
    assert second.mean() == pytest.approx(0.5, abs=0.005)
    assert np.corrcoef(second[:, :-1].ravel(), second[:, 1:].ravel())[0, 1] == pytest.approx(0, abs=0.01)


def test_dropout_drops_the_same_on_both_devices(cupy):
    x = mg.rand(50, 40) + 1
    mg.manual_seed(9)
    expected = mg.dropout(x, 0.3)
    mg.manual_seed(9)
    np.testing.assert_array_equal(mg.dropout(x.cuda(), 0.3).cpu().numpy(), expected.numpy())


def test_seeds_from_an_array_drop_what_the_numbers_would(cupy):
    x = mg.rand(30, 40, device="cuda") + 1
    buffer = cupy.asarray(np.array([5, 2**63 - 1, 12345678901234567], np.uint64))
    with random.seeds_from(buffer) as seeds:
        drawn = [mg.dropout(x, 0.4).cpu().numpy() for _ in range(3)]
        assert seeds.taken == 3
        with pytest.raises(RuntimeError, match="more than 3 seeds"):
            mg.dropout(x, 0.4)
    for seed, found in zip([5, 2**63 - 1, 12345678901234567], drawn, strict=True):
        np.testing.assert_array_equal(found, kernels.dropout(x.cpu().numpy(), 0.4, seed))


@pytest.mark.gpu
def test_a_graph_repeats_what_it_recorded():
    import cupy

    x, y = cupy.zeros(1000, "float32"), cupy.zeros((), "float32")

    def work():
        y[...] = (mg.Tensor(x) * 2 + 1).sum().data

    graph = mg.CudaGraph(work)
    for i in range(8):
        with graph.stream:
            x.fill(i)
        graph.run()
        graph.stream.synchronize()
        assert y.item() == 1000 * (2 * i + 1)
    assert graph.is_recorded


# Wrong input.

x, w = np.ones((2, 3), np.float32), np.ones((3, 3), np.float32)
ids = np.array([[0, 1, 2]])
TWO_DEVICES = {
    "add": (operator.add, x, x),
    "mul": (operator.mul, x, x),
    "matmul": (operator.matmul, x, w),
    "linear": (mg.linear, x, w),
    "maximum": (mg.maximum, x, x),
    "where": (lambda c, a: mg.where(c, a, 0.0), x > 0, x),
    "cat": (lambda a, b: mg.cat([a, b]), x, x),
    "layer_norm": (lambda a, b: mg.layer_norm(a, b), w, np.ones(3, np.float32)),
    "embedding": (mg.embedding, ids, w),
    "gather": (lambda i, a: mg.gather(a, 0, i), ids, w),
    "cross_entropy": (mg.cross_entropy, w, np.array([0, 1, 2])),
    "attention": (lambda q, k: mg.scaled_dot_product_attention(q, k, k), w, w),
    "attention mask": (lambda q, m: mg.scaled_dot_product_attention(q, q, q, m), w, w > 0),
    "scatter_add": (lambda a, b: mg.scatter_add(a, 0, mg.tensor(ids, device=a.device), b), w, x[:1]),
}


@pytest.mark.parametrize("name", TWO_DEVICES)
@pytest.mark.parametrize("on_gpu", [0, 1])
def test_tensors_on_two_devices(name, on_gpu, cupy):
    call, *arrays = TWO_DEVICES[name]
    tensors = [mg.tensor(a, device="cuda" if i == on_gpu else "cpu") for i, a in enumerate(arrays)]
    with pytest.raises(DeviceError, match=r"on two devices: .* move one with \.to\(\"cuda\"\)") as caught:
        call(*tensors)
    assert "on cuda" in str(caught.value)
    assert "on cpu" in str(caught.value)


def test_an_index_on_the_host_follows_the_tensor(cupy):
    table = mg.tensor(np.arange(12.0).reshape(4, 3), device="cuda")
    for index in (ids[0], [0, 2], mg.tensor([0, 2]), (slice(None), np.array([0, 2]))):
        assert table[index].device == "cuda"
    table[[0, 1]] = np.ones(3)
    np.testing.assert_array_equal(table[[0, 1]].cpu().numpy(), np.ones((2, 3)))
    with pytest.raises(DeviceError, match="getitem"):
        table.cpu()[mg.tensor([0], device="cuda")]


def test_bad_ids_are_nan_and_anomaly_mode_names_them(cupy):
    weight = mg.ones(4, 3, device="cuda", requires_grad=True)
    bad = mg.tensor([[0, 4]], device="cuda")
    assert np.isnan(mg.embedding(bad, weight).detach().cpu().numpy()).any(-1).tolist() == [[False, True]]
    logits, targets = mg.ones(2, 3, device="cuda"), mg.tensor([0, 3], device="cuda")
    assert np.isnan(mg.cross_entropy(logits, targets).item())
    with mg.detect_anomaly():
        with pytest.raises(IndexError, match=r"id 4 at \[0, 1\]"):
            mg.embedding(bad, weight)
        with pytest.raises(IndexError, match="target 3 in row 1"):
            mg.cross_entropy(logits, targets)
    assert not devices.check_values_on_gpu


def test_out_of_memory_says_what_was_asked_and_what_is_held():
    with fake_cupy.installed(memory=40_000_000):
        x = mg.ones(1000, 5000, device="cuda", requires_grad=True)
        with pytest.raises(
            OutOfMemoryError, match=r"cast: out of GPU memory: 60 MB were asked for; arrays hold .* free"
        ):
            mg.cat([x[:, :1500]] * 5, 1).astype("float64")
        y = x.sum()
        y.backward()


def test_no_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    missing = r"\"cuda\": cupy is not installed: in your clone, pip install -e '\.\[cuda13\]'"
    with pytest.raises(RuntimeError, match=missing):
        mg.zeros(2, device="cuda")
    with pytest.raises(RuntimeError, match=missing):
        mg.ones(2).cuda()
    with pytest.raises(ValueError, match="device 'tpu'"):
        mg.zeros(2, device="tpu")


def test_plain_arrays(cupy):
    array = cupy.asarray(np.ones(3))
    assert isinstance(unwrap(mg.exp(array)), cupy.ndarray)
    assert (Tensor(array) + array).device == "cuda"
