"""Module: what it finds in its attributes, in which order, and what it says when something is wrong."""

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg
import nn


class Tied(nn.Module):
    """Two layers that share one weight."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.blocks = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
        self.scale = nn.Parameter(mg.ones(3))
        self.register_buffer("steps", mg.tensor([0]))
        self.register_buffer("scratch", mg.zeros(2), persistent=False)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids):
        return self.head(self.blocks(self.embedding(ids)) * self.scale)


def names(pairs):
    return [name for name, _ in pairs]


def test_everything_is_found_in_order_and_shared_parameters_once():
    model = Tied()
    assert names(model.named_parameters()) == ["scale", "embedding.weight", "blocks.0.weight", "blocks.0.bias"]
    assert names(model.named_parameters(remove_duplicate=False))[-1] == "head.weight"
    assert names(model.named_parameters(recurse=False)) == ["scale"]
    assert names(model.named_buffers()) == ["steps", "scratch"]
    assert names(model.named_modules()) == ["", "embedding", "blocks", "blocks.0", "blocks.1", "head"]
    assert names(model.named_children()) == ["embedding", "blocks", "head"]
    assert model.num_parameters() == 3 + 15 + 9 + 3
    assert names(model.named_parameters(prefix="model"))[1] == "model.embedding.weight"


def test_tied_weights_gather_both_gradients_and_stay_tied():
    model = Tied().eval()
    ids = mg.tensor([[0, 2]])
    model(ids).sum().backward()
    both = model.embedding.weight.grad.numpy().copy()
    alone = Tied().eval()
    alone.load_state_dict(model.state_dict())
    alone.head.weight = nn.Parameter(mg.tensor(alone.embedding.weight.detach()))
    alone(ids).sum().backward()
    np.testing.assert_allclose(both, (alone.embedding.weight.grad + alone.head.weight.grad).numpy(), rtol=1e-6)
    twin = copy.deepcopy(model)
    assert twin.head.weight is twin.embedding.weight
    assert twin.head.weight is not model.head.weight
    assert isinstance(twin.head.weight, nn.Parameter)


def test_assigning_before_init_works():
    class Early(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(2, 3)
            super().__init__()

    assert names(Early().named_parameters()) == ["linear.weight", "linear.bias"]


def test_train_eval_apply_and_freezing():
    model = Tied()
    assert all(module.training for module in model.modules())
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    seen = []
    model.train().apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Embedding", "Linear", "Dropout", "Sequential", "Linear", "Tied"]
    assert not any(p.requires_grad for p in model.requires_grad_(False).parameters())
    model.head.requires_grad_()
    assert model.embedding.weight.requires_grad


def test_zero_grad():
    model = nn.Linear(2, 3)
    model(mg.ones(1, 2)).sum().backward()
    model.zero_grad(set_to_none=False)
    assert not model.weight.grad.numpy().any()
    model.zero_grad()
    assert model.weight.grad is None


def test_to_converts_floating_tensors_only_and_in_place():
    model = Tied()
    weight = model.embedding.weight
    assert model.double() is model
    assert model.embedding.weight is weight is model.head.weight
    assert weight.dtype == model.scratch.dtype == "float64"
    assert model.steps.dtype == "int64"
    assert model(mg.tensor([1])).dtype == "float64"
    assert model.to("cpu").float().scale.dtype == "float32"
    with pytest.raises(TypeError, match="floating dtype"):
        model.to("int64")


def test_state_dict_round_trip_copies():
    mg.manual_seed(0)
    model, other = Tied(), Tied()
    state = model.state_dict()
    assert list(state) == [
        "scale", "steps", "embedding.weight", "blocks.0.weight", "blocks.0.bias", "head.weight",
    ]  # fmt: skip
    assert other.load_state_dict(state) == ([], [])
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name].numpy())
    assert not np.shares_memory(other.scale.data, model.scale.data)
    assert other.head.weight is other.embedding.weight
    assert np.shares_memory(state["scale"].data, model.scale.data)
    arrays = {
        name: value.numpy().astype(np.float64) if name != "steps" else value.numpy() for name, value in state.items()
    }
    other.load_state_dict(arrays)
    assert other.scale.dtype == "float32"


def test_strict_loading_lists_everything_at_once_and_changes_nothing():
    model = Tied()
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    state = {name: mg.tensor(value + 1) for name, value in before.items()}
    del state["scale"], state["blocks.0.bias"]
    state["extra.weight"] = mg.zeros(2, 2)
    state["more"] = mg.zeros(1)
    state["embedding.weight"] = mg.zeros(5, 4)
    state["steps"] = mg.tensor([0.5])
    with pytest.raises(RuntimeError) as error:
        model.load_state_dict(state)
    assert str(error.value).splitlines() == [
        "load_state_dict into Tied:",
        "  missing: scale (3,)",
        "  missing: blocks.0.bias (3,)",
        "  unexpected: extra.weight (2, 2)",
        "  unexpected: more (1,)",
        "  dtype: steps is int64 here, float32 in the state",
        "  shape: embedding.weight is (5, 3) here, (5, 4) in the state",
    ]
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_loading_that_is_not_strict_passes_over_names_but_not_shapes():
    model = nn.Linear(2, 3)
    result = model.load_state_dict({"weight": mg.ones(3, 2), "other": mg.ones(1)}, strict=False)
    assert result.missing_keys == ["bias"]
    assert result.unexpected_keys == ["other"]
    assert (model.weight.detach().numpy() == 1).all()
    with pytest.raises(RuntimeError, match=r"weight is \(3, 2\) here, \(2, 3\)"):
        model.load_state_dict({"weight": mg.ones(2, 3)}, strict=False)


def test_loading_after_forward_is_noticed_by_backward():
    model = nn.Linear(2, 3)
    out = model(mg.ones(1, 2, requires_grad=True)).sum()
    model.load_state_dict(nn.Linear(2, 3).state_dict())
    with pytest.raises(RuntimeError, match="modified in place"):
        out.backward()


def test_hooks():
    model = nn.Linear(2, 3)
    x = mg.ones(1, 2)
    plain = model(x).detach().numpy()
    seen = []
    watch = model.register_forward_hook(lambda module, args, output: seen.append((module, args[0], output.shape)))
    double = model.register_forward_hook(lambda module, args, output: output * 2)
    np.testing.assert_allclose(model(x).detach().numpy(), 2 * plain)
    assert seen == [(model, x, (1, 3))]
    double.remove()
    watch.remove()
    zero = model.register_forward_pre_hook(lambda module, args: args[0] * 0)
    np.testing.assert_allclose(model(x).detach().numpy()[0], model.bias.detach().numpy())
    zero.remove()
    zero.remove()
    np.testing.assert_allclose(model(x).detach().numpy(), plain)


def test_buffers_stay_buffers_when_assigned():
    model = Tied()
    model.steps = mg.tensor([7])
    assert model.state_dict()["steps"].tolist() == [7]
    del model.steps
    assert "steps" not in model.state_dict()
    model.register_buffer("absent", None)
    assert "absent" not in model.state_dict()
    model.head.bias = None
    assert "head.bias" not in model.state_dict()


def test_a_shallow_copy_shares_parameters_and_nothing_else():
    model = Tied()
    model.register_forward_hook(lambda module, args, output: None)
    twin = copy.copy(model)
    assert twin.scale is model.scale
    assert twin.head is model.head
    twin.register_buffer("extra", mg.zeros(1))
    twin.scale = nn.Parameter(mg.zeros(3))
    del twin.steps
    assert "extra" not in model.state_dict()
    assert model.scale.data.any()
    assert model.state_dict()["steps"].tolist() == [0]
    twin.register_forward_hook(lambda module, args, output: 1)
    assert isinstance(model(mg.tensor([1])), mg.Tensor)


def test_a_deep_copy_has_hooks_of_its_own():
    model = nn.Linear(2, 2)
    handle = model.register_forward_hook(lambda module, args, output: 7)
    twin = copy.deepcopy(model)
    handle.remove()
    assert twin(mg.ones(1, 2)) == 7
    assert model(mg.ones(1, 2)).shape == (1, 2)


def test_pickling_is_refused_in_words():
    with pytest.raises(TypeError, match=r"minigrad\.save"):
        pickle.dumps(nn.Linear(2, 2))


def test_looking_up_by_dotted_name():
    model = Tied()
    assert model.get_submodule("blocks.0") is model.blocks[0]
    assert model.get_submodule("") is model
    assert model.get_parameter("blocks.0.bias") is model.blocks[0].bias
    assert model.get_buffer("steps") is model.steps
    for look_up, name in [
        (model.get_submodule, "blocks.7"),
        (model.get_submodule, "scale"),
        (model.get_parameter, "steps"),
        (model.get_buffer, "scale"),
    ]:
        with pytest.raises(AttributeError):
            look_up(name)


def test_to_takes_devices_dtypes_and_tensors():
    model = Tied()
    assert model.to(device="cpu", dtype="float64").scale.dtype == "float64"
    assert model.to(mg.zeros(1, dtype="float16")).scale.dtype == "float16"
    assert model.to("cpu", "float32", non_blocking=True).scale.dtype == "float32"
    assert model.half().scale.dtype == "float16"
    assert model.bfloat16().scale.dtype == "bfloat16"
    assert model.steps.dtype == "int64"
    model.float().eval()
    out = model(mg.tensor([1])).sum()
    model.to("cpu").float()  # nothing to do, so nothing that backward would refuse
    out.backward()
    assert model.double().scale.grad.dtype == "float64"


def test_a_parameter_takes_the_place_of_a_buffer():
    model = Tied()
    model.steps = nn.Parameter(mg.ones(1))
    assert "steps" in names(model.named_parameters())
    assert names(model.named_buffers()) == ["scratch"]


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (
            lambda m: setattr(m, "weight", mg.zeros(3, 2)),
            TypeError,
            "is a Parameter and was given a Tensor.*nn.Parameter",
        ),
        (lambda m: setattr(m, "w", mg.zeros(3, requires_grad=True)), TypeError, "wrap it: nn.Parameter"),
        (lambda m: setattr(m, "weight", 3), TypeError, "is a Parameter and was given a int"),
        (lambda m: setattr(Tied(), "steps", 3), TypeError, "is a buffer and was given a int"),
        (lambda m: setattr(Tied(), "head", print), TypeError, "is a Module and was given a builtin_function"),
        (lambda m: m.register_buffer("weight", mg.zeros(1)), KeyError, "has an attribute 'weight' already"),
        (lambda m: m.register_parameter("in_features", None), KeyError, "has an attribute 'in_features' already"),
        (lambda m: m.add_module("weight", m), KeyError, "has an attribute 'weight' already"),
        (lambda m: m.train("no"), ValueError, "train.'no'.: expected True or False"),
        (lambda m: m.wieght, AttributeError, "no attribute 'wieght'; did you mean 'weight'"),
        (lambda m: m.register_buffer("x", [1]), TypeError, "a list; expected a Tensor"),
        (lambda m: m.register_buffer("a.b", mg.zeros(1)), ValueError, "without dots"),
        (lambda m: m.register_buffer("forward", mg.zeros(1)), ValueError, "choose another name"),
        (lambda m: m.register_parameter("x", mg.zeros(1)), TypeError, "expected a Parameter"),
        (lambda m: m.add_module("x", mg.zeros(1)), TypeError, "expected a Module"),
        (lambda m: nn.Module()(1), NotImplementedError, "Module has no forward"),
        (lambda m: nn.Parameter([1, 2]), TypeError, "only floating tensors can require grad"),
    ],
)
def test_bad_input(act, error, message):
    with pytest.raises(error, match=message):
        act(nn.Linear(2, 3))


def test_repr():
    assert repr(Tied()) == (
        "Tied(\n"
        "  (embedding): Embedding(5, 3)\n"
        "  (blocks): Sequential(\n"
        "    (0): Linear(in_features=3, out_features=3, bias=True)\n"
        "    (1): Dropout(p=0.5)\n"
        "  )\n"
        "  (head): Linear(in_features=3, out_features=5, bias=False)\n"
        ")"
    )
    assert repr(nn.Parameter([1.0, 2.0])) == "Parameter containing:\ntensor([1., 2.], requires_grad=True)"
