"""draw_graph: the text, and a picture that is sound: nothing overlaps, arrows point down."""

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

import minigrad as mg


def leaf(*shape):
    return mg.randn(*shape, requires_grad=True)


def mlp():
    params = {"fc1.weight": leaf(8, 4), "fc1.bias": leaf(8), "fc2.weight": leaf(2, 8)}
    x = mg.randn(5, 4)
    hidden = mg.linear(x, params["fc1.weight"], params["fc1.bias"], activation="relu")
    return mg.linear(hidden, params["fc2.weight"]).sum(), params


def block():
    """A Transformer block with two residual paths, a split and a tied weight."""
    names = ["ln.weight", "ln.bias", "qkv.weight", "proj.weight", "up.weight", "down.weight"]
    sizes = [(8,), (8,), (24, 8), (8, 8), (32, 8), (8, 32)]
    params = {name: leaf(*size) for name, size in zip(names, sizes, strict=True)}
    x = leaf(2, 6, 8)
    h = mg.linear(mg.layer_norm(x, params["ln.weight"], params["ln.bias"]), params["qkv.weight"])
    q, k, v = (part.reshape(2, 6, 2, 4).swapaxes(1, 2) for part in mg.split(h, 8, -1))
    a = mg.scaled_dot_product_attention(q, k, v, is_causal=True).swapaxes(1, 2).reshape(2, 6, 8)
    x = x + mg.linear(a, params["proj.weight"])
    h = mg.layer_norm(x, params["ln.weight"], params["ln.bias"])
    x = x + mg.linear(mg.linear(h, params["up.weight"], activation="gelu"), params["down.weight"])
    return x, params


def deep():
    x = leaf(3)
    skips, y = [], x
    for i in range(30):
        y = mg.tanh(y * x) if i % 3 else y + mg.sin(x)
        skips.append(y)
    return sum(skips[::7], y), {"x": x}


PICTURES = {"mlp": mlp, "block": block, "deep": deep}


def test_text():
    loss, params = mlp()
    assert mg.draw_graph(loss, params).text() == (
        "fc1.weight                                             (8, 4)\n"
        "fc1.bias                                               (8,)\n"
        "fc2.weight                                             (2, 8)\n"
        "%1 = Linear(_, fc1.weight, fc1.bias, activation=relu)  (5, 8)\n"
        "%2 = Linear(%1, fc2.weight, _)                         (5, 2)\n"
        "%3 = Sum(%2, dim=(0, 1))                               ()"
    )


def test_dtypes_outputs_and_unnamed_leaves():
    x, y = mg.randn(4, dtype="float64", requires_grad=True), leaf(2).double()
    first, second = mg.split(x, 2)
    text = mg.draw_graph(first * y + second).text()
    assert "float64" in text
    assert re.search(r"%\d = Mul\(%\d\[0\], %\d\)", text)
    assert {"input", "input1"} <= set(text.split())


def test_names_from_a_module():
    class Module:
        def __init__(self):
            self.weight = leaf(3)

        def named_parameters(self):
            yield "layer.weight", self.weight

    module = Module()
    assert "layer.weight" in mg.draw_graph(module.weight * 2.0, module).text()


@pytest.mark.parametrize("picture", PICTURES)
def test_svg_holds_every_name_and_shape(picture):
    root, params = PICTURES[picture]()
    graph = mg.draw_graph(root, params)
    svg = graph._repr_svg_()
    written = [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]
    assert set(params) <= set(written)
    for line in graph.text().splitlines():
        operation = re.match(r"%\d+ = (\w+)", line)
        if operation:
            assert operation[1] in written
    assert "output" in written


@pytest.mark.parametrize("picture", PICTURES)
def test_boxes_do_not_overlap_and_arrows_point_down(picture):
    root, params = PICTURES[picture]()
    graph = mg.draw_graph(root, params)
    boxes = [box for layer in graph._layers for box in layer if box.lines]
    for a, b in combinations(boxes, 2):
        apart_x = abs(a.x - b.x) >= (a.width + b.width) / 2
        apart_y = abs(a.y - b.y) >= (a.height + b.height) / 2
        assert apart_x or apart_y, (a.lines, b.lines)
    for box in boxes:
        for source, _ in box.inputs:
            assert source.y + source.height / 2 < box.y - box.height / 2
    for layer in graph._layers:  # and edges go between boxes, not through them
        for bend in (b for b in layer if not b.lines):
            assert all(abs(bend.x - box.x) > box.width / 2 for box in layer if box.lines)


def test_a_chain_is_drawn_straight():
    x = leaf(3)
    y = mg.sin(mg.exp(mg.tanh(x)))
    assert len({round(box.x, 3) for layer in mg.draw_graph(y)._layers for box in layer}) == 1


def test_save(tmp_path):
    loss, params = mlp()
    graph = mg.draw_graph(loss, params)
    graph.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text() == graph.svg()
    with pytest.raises(ValueError, match=r"ends in .svg"):
        graph.save(tmp_path / "graph.png")
    assert repr(graph) == "<Graph: 3 operations, 3 leaves; .text(), .save('graph.svg')>"


def test_names_are_escaped():
    w = leaf(2)
    ElementTree.fromstring(mg.draw_graph(w * 2.0, {"a<b&c": w}).svg())


def test_refusals():
    with pytest.raises(TypeError, match="a list; expected the Tensor"):
        mg.draw_graph([1])
    with pytest.raises(ValueError, match="does not require grad"):
        mg.draw_graph(mg.ones(3))


def chain(n):
    """n products with one leaf, which is far from most of them."""
    x = leaf(3)
    y = x
    for _ in range(n):
        y = y * x
    return y, {"x": x}


def test_a_picture_grows_with_the_operations_only():
    sizes = [sum(map(len, mg.draw_graph(*chain(n))._layers)) for n in (100, 200)]
    assert sizes[1] < 2.1 * sizes[0]
    far = [box for layer in mg.draw_graph(*chain(50))._layers for box in layer if box.lines == ["x"]]
    assert far  # the leaf is named again where an edge would be too long


def test_too_many_operations_for_a_picture():
    graph = mg.draw_graph(*chain(2001))
    with pytest.raises(ValueError, match=r"picture of 2001 operations cannot be read; up to 2000.*\.text\(\)"):
        graph.svg()
    assert graph._repr_svg_() is None
    assert len(graph.text().splitlines()) == 2002
