"""Sequential, ModuleList and ModuleDict."""

import numpy as np
import pytest

import minigrad as mg
import nn


def layers(n=3):
    return [nn.Linear(2, 2) for _ in range(n)]


def test_sequential_composes():
    a, b, _ = layers()
    x = mg.ones(1, 2)
    model = nn.Sequential(a, nn.ReLU(), b)
    np.testing.assert_array_equal(model(x).detach().numpy(), b(a(x).relu()).detach().numpy())
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    named = nn.Sequential({"hidden": a, "out": b})
    assert list(named.state_dict())[::2] == ["hidden.weight", "out.weight"]
    assert named.hidden is named[0] is a
    assert isinstance(model[1:], nn.Sequential)
    assert list(model[1:]) == [model[1], b]


def test_a_module_may_stand_twice():
    (a,) = layers(1)
    x = mg.ones(1, 2)
    np.testing.assert_array_equal(nn.Sequential(a, a)(x).detach().numpy(), a(a(x)).detach().numpy())
    assert len(list(nn.Sequential(a, a).parameters())) == 2


def test_module_list():
    a, b, c = layers()
    held = nn.ModuleList([a])
    assert held.append(c) is held
    held.insert(1, b)
    assert list(held) == [a, b, c]
    assert held[-1] is c
    assert list(held[::2]) == [a, c]
    assert b in held
    held[1] = nn.Identity()
    assert b not in held
    del held[0]
    assert [name for name, _ in held.named_children()] == ["0", "1"]
    assert len(nn.ModuleList()) == 0
    assert not nn.ModuleList()
    with pytest.raises(IndexError, match="index 5 of 2 modules"):
        held[5]


def test_module_dict():
    a, b, c = layers()
    held = nn.ModuleDict({"b": b, "a": a})
    held["c"] = c
    assert list(held) == ["b", "a", "c"] == list(held.keys())
    assert list(held.values()) == [b, a, c]
    assert "a" in held
    assert held["c"] is c
    del held["b"]
    assert next(iter(held.state_dict())) == "a.weight"
    assert len(held) == 2
    with pytest.raises(KeyError, match=r"no 'b'; it holds 'a', 'c'"):
        held["b"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Linear(1, 1), mg.relu),
        lambda: nn.Sequential(layers()),
        lambda: nn.ModuleList([1]),
        lambda: nn.ModuleDict({"a": None}),
    ],
)
def test_only_modules_are_held(make):
    with pytest.raises(TypeError, match="expected a Module"):
        make()


def test_dict_keys_may_not_hide_methods():
    with pytest.raises(ValueError, match="choose another name"):
        nn.ModuleDict({"forward": nn.Identity()})


def test_named_sequential_is_changed_in_place_of_its_names():
    a, b, c = layers()
    model = nn.Sequential({"hidden": a, "out": b})
    model[0] = c
    assert model.hidden is c
    assert next(iter(model.state_dict())) == "hidden.weight"
    del model[1]
    assert list(model) == [c]
    assert [name for name, _ in model.named_children()] == ["0"]  # renumbered, as in PyTorch
    assert list(model.__add__([a])) == [c, a]
    assert model.pop() is c
    assert len(model) == 0


def test_a_refused_element_leaves_the_list_as_it_was():
    a, b, _ = layers()
    held = nn.ModuleList([a, b])
    with pytest.raises(TypeError, match="expected a Module"):
        held.insert(0, 3)
    assert list(held) == [a, b]


def test_parameter_lists_and_dicts():
    p, q = nn.Parameter(mg.ones(2)), nn.Parameter(mg.zeros(3))
    held = nn.ParameterList([p, mg.ones(1)])
    held.append(q)
    assert held[0] is p
    assert isinstance(held[1], nn.Parameter)
    assert list(held.parameters()) == list(held)
    assert list(nn.Sequential(held).state_dict()) == ["0.0", "0.1", "0.2"]
    named = nn.ParameterDict({"p": p, "q": q})
    assert [name for name, _ in named.named_parameters()] == ["p", "q"]
    assert named.pop("p") is p
    assert list(named) == ["q"]
    named.clear()
    assert not named
    with pytest.raises(TypeError, match="expected a Parameter"):
        nn.ParameterList([3])
    with pytest.raises(NotImplementedError, match="only holds"):
        held(1)


@pytest.mark.parity
def test_names_in_the_state_equal_torchs():
    torch = pytest.importorskip("torch")

    def names(nn, tensor):
        held = nn.Sequential(nn.Linear(1, 1), nn.ModuleList([nn.Linear(1, 1)]), nn.ModuleDict({"z": nn.Linear(1, 1)}))
        held.append(nn.ParameterList([tensor, tensor]))
        held.insert(1, nn.ParameterDict({"a": tensor, "b": tensor}))
        del held[0]
        return list(held.state_dict())

    assert names(nn, mg.ones(1)) == names(torch.nn, torch.ones(1))
