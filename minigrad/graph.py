"""draw_graph: the recorded graph as a picture, drawn with nothing but this file.

The layout is Sugiyama's in three steps (Sugiyama, Tagawa & Toda 1981): every node gets a
layer, data flowing downwards; nodes within a layer are ordered so that few edges cross;
then each is moved above and below its neighbours, which makes long edges straight.
"""

import inspect
from bisect import bisect_right, insort
from functools import cached_property
from itertools import pairwise
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any

from minigrad.function import Function, Output
from minigrad.io import write_atomically
from minigrad.tensor import DEFAULT_DTYPE, Tensor

LINE = 15  # height of a line of text, in pixels like everything here
PADDING = 9  # between text and border
GAP_X, GAP_Y = 22, 30  # between boxes
MARGIN = 16
SWEEPS = 24
LONG = 16  # layers that an edge may cross; a longer one starts at a small box that names its source
LIMIT = 2000  # operations in a picture

# kind: (fill, border, text colour of the title)
COLOURS = {
    "parameter": ("#e3eefb", "#5b8fc7", "#1d4a7a"),
    "input": ("#e4f3e4", "#62a562", "#22592a"),
    "product": ("#fdeccf", "#d09237", "#7a4a06"),  # where most of the time goes
    "operation": ("#f6f6f4", "#a3a39c", "#2e2e2a"),
    "output": ("#ffffff", "#b04a5a", "#8a2334"),
}
PRODUCTS = {"MatMul", "Linear", "Attention"}
HIDDEN = {*Function.__slots__, "seed"}  # not parameters, or of no use to a reader
STYLE = (
    ".t{font:600 12px Helvetica,Arial,sans-serif}.s{font:11px Helvetica,Arial,sans-serif;fill:#55554f}"
    ".e{fill:none;stroke:#8b8b84;stroke-width:1.3}"
)


def draw_graph(tensor: Tensor, params: Any = None) -> "Graph":
    """The graph that computed `tensor`, as a Graph: shown by notebooks, .save("graph.svg"), .text().

    params  names for the leaves: a dict of Tensors, or a module (anything with named_parameters())

    What does not require grad is not recorded, so it is not in the picture.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"draw_graph: a {type(tensor).__name__}; expected the Tensor whose history is to be drawn")
    if not tensor.requires_grad:
        raise ValueError("draw_graph: this tensor does not require grad, so how it was made was not recorded")
    if params is None:
        params = {}
    elif hasattr(params, "named_parameters"):
        params = dict(params.named_parameters())
    return Graph(tensor, {parameter: name for name, parameter in params.items()})


class _Box:
    """A node of the picture: a leaf, an operation, the final output, or a bend of a long edge (no lines of text)."""

    def __init__(self, kind: str, lines=(), inputs=()):
        self.kind, self.lines, self.inputs = kind, list(lines), list(inputs)  # inputs: (box, label)
        self.width = max([_text_width(line, i == 0) for i, line in enumerate(self.lines)], default=-2) + 2 * PADDING + 6
        self.width = self.width if self.lines else 2
        self.height = len(self.lines) * LINE + PADDING if self.lines else 0
        self.name = ""  # of an operation, in text()
        self.layer, self.x, self.y, self.room = 0, 0.0, 0.0, 0.0  # x, y: the centre; room: its layer's height
        self.above: list[_Box] = []
        self.below: list[_Box] = []
        self.bends: list[list[_Box]] = []  # for each input, the bends its edge goes through


class Graph:
    """A drawing of a recorded graph."""

    def __init__(self, root: Tensor, names: dict):
        self._statements: list[tuple[str, str]] = []
        self._boxes = self._collect(root, names)

    @cached_property
    def _layers(self) -> list[list[_Box]]:
        operations = sum(box.kind in ("product", "operation") for box in self._boxes)
        if operations > LIMIT:
            raise ValueError(
                f"Graph: a picture of {operations} operations cannot be read; up to {LIMIT} are drawn. Draw a part of "
                "the model, or print .text()"
            )
        layers = _layers(self._boxes)
        _order(layers)
        _place(layers)
        return layers

    def __repr__(self) -> str:
        leaves = sum(box.kind in ("parameter", "input") for box in self._boxes)
        return f"<Graph: {len(self._boxes) - leaves - 1} operations, {leaves} leaves; .text(), .save('graph.svg')>"

    def _repr_svg_(self) -> str | None:
        return self.svg() if len(self._boxes) <= LIMIT else None  # then a notebook shows the repr

    def text(self) -> str:
        """The graph as a program: one line per operation, in the order of their calls."""
        width = max(len(left) for left, _ in self._statements)
        return "\n".join(f"{left.ljust(width)}  {right}" for left, right in self._statements)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the picture to a .svg file."""
        if Path(path).suffix != ".svg":
            raise ValueError(f"Graph.save: {path}: the picture is an SVG; give a name that ends in .svg")
        write_atomically(path, self.svg().encode())

    def _collect(self, root: Tensor, names: dict) -> list[_Box]:
        """The boxes, inputs before what uses them, and the statements of text()."""
        start = _function(root.grad_fn or root)
        seen, stack = {start}, [start]
        while stack:
            for parent in stack.pop().parents:
                node = _function(parent)
                if node is not None and node not in seen:
                    seen.add(node)
                    stack.append(node)
        boxes: dict[Any, _Box] = {}
        refer: dict[Any, str] = {}
        leaves = [node for node in seen if isinstance(node, Tensor)]
        rank = {leaf: i for i, leaf in enumerate(names)}
        leaves.sort(key=lambda leaf: rank.get(leaf, -1))
        unnamed = 0
        for leaf in leaves:
            refer[leaf] = names.get(leaf) or f"input{unnamed or ''}"
            unnamed += leaf not in names
            boxes[leaf] = _Box("parameter" if leaf in names else "input", [refer[leaf], _signature(leaf)])
            self._statements.append((refer[leaf], _signature(leaf)))
        for node in sorted(seen - set(leaves), key=lambda node: node.order):
            refer[node] = f"%{len(boxes) - len(leaves) + 1}"
            inputs, arguments = [], []
            for parent in node.parents:
                slot = f"[{parent.index}]" if type(parent) is Output else ""
                if parent is not None:
                    inputs.append((boxes[_function(parent)], slot))
                arguments.append("_" if parent is None else refer[_function(parent)] + slot)
            details = _details(node)
            lines = [node.name, *([details] if details else []), _signature(node)]
            boxes[node] = _Box("product" if node.name in PRODUCTS else "operation", lines, inputs)
            boxes[node].name = refer[node]
            arguments += [details] if details else []
            self._statements.append((f"{refer[node]} = {node.name}({', '.join(arguments)})", _signature(node)))
        slot = f"[{root.grad_fn.index}]" if type(root.grad_fn) is Output else ""
        return [*boxes.values(), _Box("output", ["output", _signature(root)], [(boxes[start], slot)])]

    def svg(self) -> str:
        """The picture."""
        everything = [box for layer in self._layers for box in layer]
        left = min(box.x - box.width / 2 for box in everything) - MARGIN
        width = max(box.x + box.width / 2 for box in everything) + MARGIN - left
        height = self._layers[-1][0].y + self._layers[-1][0].height / 2 + MARGIN
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="{left:.1f} 0 {width:.1f} {height:.1f}">',
            f"<style>{STYLE}</style>",
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0,0.8 L8,4 L0,7.2 z" fill="#8b8b84"/></marker></defs>',
            f'<rect x="{left:.1f}" width="{width:.1f}" height="{height:.1f}" fill="#ffffff"/>',
        ]
        for box in everything:
            if box.lines:
                parts += [self._edge(box, i, len(box.inputs)) for i in range(len(box.inputs))]
        parts += [_drawn(box) for box in everything if box.lines]
        return "\n".join([*parts, "</svg>"])

    def _edge(self, box: _Box, i: int, count: int) -> str:
        """The path of input i into a box: from its source through the bends, vertical at every one."""
        source, label = box.inputs[i]
        bends = box.bends[i]
        spread = min(16.0, (box.width - 20) / max(count, 1))
        # The arrows arrive side by side, in the order of where they come from, so that they do not cross.
        before = [(bends_j[-1] if bends_j else box.inputs[j][0]).x for j, bends_j in enumerate(box.bends)]
        rank = sorted(range(count), key=lambda j: (before[j], j)).index(i)
        end = box.x + (rank - (count - 1) / 2) * spread
        points = [(source.x, source.y + source.height / 2)]
        for bend in bends:
            points += [(bend.x, bend.y - bend.room / 2), (bend.x, bend.y + bend.room / 2)]
        points.append((end, box.y - box.height / 2))
        path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
        for (x0, y0), (x1, y1) in pairwise(points):
            middle = (y0 + y1) / 2
            path += (
                f" L{x1:.1f},{y1:.1f}"
                if x0 == x1
                else f" C{x0:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}"
            )
        text = f'<text class="s" x="{end + 5:.1f}" y="{box.y - box.height / 2 - 7:.1f}">{label}</text>' if label else ""
        return f'<path class="e" d="{path}" marker-end="url(#arrow)"/>{text}'


def _drawn(box: _Box) -> str:
    from html import escape

    fill, border, colour = COLOURS[box.kind]
    x, y = box.x - box.width / 2, box.y - box.height / 2
    radius = box.height / 2 if box.kind == "output" else 12 if box.kind in ("parameter", "input") else 4
    parts = [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height}" rx="{radius}" '
        f'fill="{fill}" stroke="{border}" stroke-width="1.2"/>'
    ]
    for i, line in enumerate(box.lines):
        style = f'class="t" fill="{colour}"' if i == 0 else 'class="s"'
        baseline = y + PADDING / 2 + LINE * i + 11.5
        parts.append(f'<text {style} x="{box.x:.1f}" y="{baseline:.1f}" text-anchor="middle">{escape(line)}</text>')
    return "".join(parts)


def _text_width(line: str, title: bool) -> float:
    """About what Helvetica takes; no font is at hand to ask."""
    narrow = sum(c in "(),.:;[]'|ijlt1f " for c in line)
    return (7.9 if title else 6.8) * (len(line) - narrow) + 4.2 * narrow


def _function(node):
    """The Function behind one of its outputs."""
    return node.parents[0] if type(node) is Output else node


def _signature(node) -> str:
    """ "(2, 3)", with the dtype where it is not float32; one for each output."""
    shapes = node.shape if isinstance(node.dtype, tuple) else (node.shape,)
    dtypes = node.dtype if isinstance(node.dtype, tuple) else (node.dtype,)
    return ", ".join(
        str(tuple(shape)) if dtype == DEFAULT_DTYPE else f"{tuple(shape)} {dtype}"
        for shape, dtype in zip(shapes, dtypes, strict=True)
    )


def _details(node) -> str:
    """The parameters an operation was made with, those that are short: "dim=(1,), keepdim=True"."""
    found = []
    for name in list(inspect.signature(type(node).__init__).parameters)[1:]:
        value = None if name in HIDDEN else getattr(node, name, None)
        if isinstance(value, (bool, int, float, str, tuple)) and value is not False:
            found.append(f"{name}={value}")
    details = ", ".join(found)
    return details if len(details) <= 32 else ""


def _layers(boxes: list[_Box]) -> list[list[_Box]]:
    """Boxes by layer, as near to the output as their uses allow; edges across layers get a bend in each."""
    depth = dict.fromkeys(boxes, 0)
    for box in reversed(boxes):
        for source, _ in box.inputs:
            depth[source] = max(depth[source], depth[box] + 1)
    count = max(depth.values()) + 1
    layers: list[list[_Box]] = [[] for _ in range(count)]
    for box in boxes:
        box.layer = count - 1 - depth[box]
        layers[box.layer].append(box)
    for box in boxes:
        for i, (source, slot) in enumerate(box.inputs):
            if box.layer - source.layer > LONG:
                source = _Box(source.kind, [f"{source.lines[0]} {source.name}".rstrip()])
                source.layer = box.layer - 1
                layers[source.layer].append(source)
                box.inputs[i] = source, slot
            chain = [_Box("bend") for _ in range(source.layer + 1, box.layer)]
            for layer, bend in enumerate(chain, source.layer + 1):
                bend.layer = layer
                layers[layer].append(bend)
            box.bends.append(chain)
            for upper, lower in pairwise([source, *chain, box]):
                upper.below.append(lower)
                lower.above.append(upper)
    return layers


def _order(layers: list[list[_Box]]) -> None:
    """Sort each layer by the mean place of the neighbours in the one before it, down and up; keep the best."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    place = {box: i for layer in layers for i, box in enumerate(layer)}
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            neighbours = {box: box.above if down else box.below for box in layer}
            layer.sort(key=lambda box: _mean([place[n] for n in neighbours[box]], place[box]))
            place.update((box, i) for i, box in enumerate(layer))
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    for layer, order in zip(layers, best, strict=True):
        layer[:] = order


def _crossings(layers) -> int:
    total = 0
    for upper, lower in pairwise(layers):
        place = {box: i for i, box in enumerate(lower)}
        ends: list[int] = []  # sorted, of the edges from boxes further left
        for box in upper:
            mine = [place[below] for below in box.below]
            total += sum(len(ends) - bisect_right(ends, end) for end in mine)
            for end in mine:
                insort(ends, end)
    return total


def _place(layers: list[list[_Box]]) -> None:
    """Coordinates: layers one under the other; within them, every box near its neighbours."""
    y = MARGIN
    for layer in layers:
        height = max(box.height for box in layer)
        for box in layer:
            box.y, box.room = y + height / 2, height
        y += height + GAP_Y
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            _spread(layer, [_wish(box, box.above if down else box.below) for box in layer])
    for layer in layers:
        _spread(layer, [_wish(box, box.above + box.below) for box in layer])
    place = {box: i for layer in layers for i, box in enumerate(layer)}
    for box in place:
        for (source, _), bends in zip(box.inputs, box.bends, strict=True):
            _straighten(bends, (source.x + box.x) / 2, layers, place)


def _wish(box: _Box, neighbours: list[_Box]) -> float:
    """The mean of the neighbours' places, by their weight: operations line up, leaves and bends come to them."""
    total = sum(_weight(n) for n in neighbours)
    return sum(_weight(n) * n.x for n in neighbours) / total if total else box.x


def _weight(box: _Box) -> float:
    return 1e-3 if box.kind in ("parameter", "input", "bend") else 1.0


def _spread(layer: list[_Box], wishes: list[float]) -> None:
    """Place a layer as near to its wishes as the widths allow, in weighted least squares, order kept.

    Boxes that would overlap are pooled and placed at their mean wish together (the
    pool-adjacent-violators algorithm of isotonic regression).
    """
    offsets = [0.0]  # where each box would be if all stood side by side
    for left, right in pairwise(layer):
        offsets.append(offsets[-1] + _distance(left, right))
    pools: list[list[float]] = []  # [weighted sum of wishes less offsets, weight, count]
    for box, wish, offset in zip(layer, wishes, offsets, strict=True):
        pools.append([_weight(box) * (wish - offset), _weight(box), 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] >= pools[-1][0] / pools[-1][1]:
            last = pools.pop()
            pools[-1] = [x + y for x, y in zip(pools[-1], last, strict=True)]
    bases = [total / weight for total, weight, count in pools for _ in range(int(count))]
    for box, base, offset in zip(layer, bases, offsets, strict=True):
        box.x = base + offset


def _distance(left: _Box, right: _Box) -> float:
    """How near two neighbours in a layer may come, from centre to centre."""
    return (left.width + right.width) / 2 + (GAP_X if left.lines or right.lines else GAP_X / 2)


def _straighten(bends: list[_Box], wish: float, layers: list[list[_Box]], place: dict) -> None:
    """Give the bends of a long edge one x, or as few as the boxes beside them leave room for."""
    run: list[_Box] = []
    low, high = -inf, inf
    for bend in [*bends, None]:
        left, right = -inf, inf
        if bend is not None:
            layer = layers[bend.layer]
            i = place[bend]
            left = layer[i - 1].x + _distance(layer[i - 1], bend) if i else -inf
            right = layer[i + 1].x - _distance(bend, layer[i + 1]) if i + 1 < len(layer) else inf
        if bend is None or max(low, left) > min(high, right):
            for done in run:
                done.x = min(max(wish, low), high)
            run, low, high = [], -inf, inf
        if bend is not None:
            run.append(bend)
            low, high = max(low, left), min(high, right)


def _mean(values, default) -> float:
    return sum(values) / len(values) if values else default
