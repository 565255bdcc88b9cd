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
