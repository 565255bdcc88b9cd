"""Random programs that run in minigrad and in PyTorch alike, for test_random_graphs.py.

A program starts from a few float64 or float32 inputs and constants, and takes some steps; each makes a new tensor of
those there are, or writes into one in place. Which step is taken is drawn as the program runs in minigrad, since it
must fit the shapes there are, and noted as a function of (m, tensors), which is then run again with m = torch.
"""

import numpy as np

import minigrad as mg

# What minigrad or PyTorch says of a write, or of a gradient, that it will not do. The last is PyTorch's only: where b
# requires no grad, v is a view of b and w requires grad, `v[0:] += w` first writes into v[0:], which gives v and b a
# history, and then assigns to v[0:]. PyTorch brings v.grad_fn up to date only when it is read, so v is a leaf to it.
REFUSALS = [
    "was modified in place after", "looks at the memory of another tensor", "several elements of which are one number",
    "which does not fit into", "modified by an inplace operation", "is being modified inplace",
    "has been modified inplace", "single memory location", "can't be cast to the desired output",
    "requires the source and destination dtypes match", "a leaf Variable that requires grad is being used",
]  # fmt: skip

SHAPES = [(), (), (1,), (3,), (2, 3), (3, 1), (1, 3), (2, 1, 3), (0, 3)]


class Program:
    """steps, each a function of (m, tensors) that appends to tensors or writes into one; inputs are float arrays.

    beside_torch  take steps, too, whose results are compared with PyTorch's but not with difference quotients: in half
                  precision, and of elements that tie
    """

    def __init__(self, seed: int, length: int = 8, dtypes=(np.float64,), beside_torch: bool = False):
        self.beside_torch = beside_torch
        self.random = np.random.default_rng(seed)
        count = self.random.integers(1, 4)
        self.inputs = [self._numbers(self._pick(SHAPES), self._pick(dtypes)) for _ in range(count)]
        self.constants = [
            self._numbers(self._pick(SHAPES), self._pick(dtypes)),
            self.random.integers(-3, 4, self._pick(SHAPES)),
            self.random.random(self._pick(SHAPES)) < 0.5,
        ]
        self.steps, self.lines = [], []
        tensors = self.start(mg)
        while len(self.steps) < length:
            name = self._pick(list(STEPS), WEIGHTS)
            step = STEPS[name](self, tensors)
            if step is None:
                continue
            before = len(tensors)
            try:
                step(mg, tensors)
            except (RuntimeError, ValueError, TypeError) as error:
                if is_refusal(error):
                    continue
                raise RuntimeError(f"seed {seed}, after\n{self!r}\n{name}: {error}") from error
            self.steps.append(step)
            self.lines.append(f"{name}: {[(tuple(t.shape), str(t.dtype)) for t in tensors[before:]]}")

    def _numbers(self, shape, dtype) -> np.ndarray:
        return np.asarray(self.random.uniform(0.3, 1.7, shape) * self.random.choice([-1, 1], shape), dtype)

    def _pick(self, things, weights=None):
        return things[int(self.random.choice(len(things), p=weights))]

    def start(self, m, inputs=None) -> list:
        """The tensors a run begins with: each input times 1, so that it may be written to, and the constants."""
        if inputs is None:
            inputs = [tensor(m, x, requires_grad=True) for x in self.inputs]
        return [x * 1.0 for x in inputs] + [tensor(m, c) for c in self.constants]

    def loss(self, m, inputs):
        """The program's result for the given inputs, tensors of m: a weighted sum of all the tensors at its end."""
        tensors = self.start(m, inputs)
        for step in self.steps:
            step(m, tensors)
        total = 0.0
        for i, t in enumerate(tensors):
            if is_float(t):
                total = total + (t * (0.5 + 0.25 * i)).sum()
        return total

    def __repr__(self):
        start = [f"input {x.shape} {x.dtype}" for x in self.inputs] + [
            f"constant {c.shape} {c.dtype}" for c in self.constants
        ]
        return "\n".join([*start, *self.lines])


def is_refusal(error: Exception) -> bool:
    """Whether a library refuses in words, rather than fails."""
    return any(words in str(error) for words in REFUSALS)


def tensor(m, array, requires_grad=False):
    return m.tensor(array, requires_grad=requires_grad)


def is_float(t) -> bool:
    return "float" in str(t.dtype)


def _choose(p: Program, tensors, condition=lambda t: True) -> int | None:
    """The number of one of the tensors that meet the condition, later ones more often; None if there is none."""
    places = [i for i, t in enumerate(tensors) if condition(t)]
    if not places:
        return None
    return places[max(p.random.integers(len(places)), p.random.integers(len(places)))]


def unary(p, tensors):
    i = _choose(p, tensors, is_float)
    f = p._pick([
        lambda m, x: m.sin(x), lambda m, x: m.tanh(x), lambda m, x: m.sigmoid(x), lambda m, x: x.abs() + 0.1,
        lambda m, x: m.exp(m.tanh(x)), lambda m, x: m.log(x * x + 1.0), lambda m, x: m.sqrt(x * x + 0.5),
        lambda m, x: x**2, lambda m, x: -x, lambda m, x: x * 2, lambda m, x: 1.5 - x, lambda m, x: x.clone(),
        lambda m, x: 2.0 / (x * x + 1.0), lambda m, x: m.relu(x), lambda m, x: x.clamp(-0.513, 0.617),
        lambda m, x: x * True,
    ])  # fmt: skip
    return lambda m, ts: ts.append(f(m, ts[i]))


def binary(p, tensors):
    i = _choose(p, tensors, is_float)
    j = _choose(p, tensors, lambda t: fits(tensors[i].shape, t.shape))
    f = p._pick([
        lambda m, x, y: x + y, lambda m, x, y: x * y, lambda m, x, y: y * x, lambda m, x, y: x / (y * y + 1.0),
        lambda m, x, y: y + x * 0.5, lambda m, x, y: m.maximum(x, y * 1.013 + 0.0171),
        lambda m, x, y: m.where(x > y + 0.0173, x, y), lambda m, x, y: m.where(y > 0.0119, x, 0.5),
    ])  # fmt: skip
    return lambda m, ts: ts.append(f(m, ts[i], ts[j]))


def reduction(p, tensors):
    i = _choose(p, tensors, lambda t: is_float(t) and t.shape != ())
    if i is None:
        return None
    d, keep = int(p.random.integers(tensors[i].ndim)), bool(p.random.integers(2))
    full = all(tensors[i].shape)
    f = p._pick([
        lambda m, x: x.sum(d, keepdim=keep), lambda m, x: x.sum(), lambda m, x: x.cumsum(d),
        lambda m, x: m.softmax(x, d), lambda m, x: m.prod(x, d, keepdim=keep),
        *([lambda m, x: x.mean(d, keepdim=keep), lambda m, x: m.logsumexp(x, d, keepdim=keep),
           lambda m, x: m.amax(x * m.tensor(np.linspace(0.9, 1.1, x.shape[d]).reshape(spread(x, d))), d)] * full),
    ])  # fmt: skip
    return lambda m, ts: ts.append(f(m, ts[i]))


def spread(x, d):
    return tuple(n if i == d else 1 for i, n in enumerate(x.shape))


def view(p, tensors):
    i = _choose(p, tensors, is_float)
    f = p._pick([
        lambda m, x: x[...], lambda m, x: x.reshape(-1), lambda m, x: x.unsqueeze(0), lambda m, x: x.unsqueeze(-1),
        lambda m, x: x.squeeze(), lambda m, x: x.expand(2, *x.shape) * 1.0, lambda m, x: x.reshape(tuple(x.shape)),
        *([lambda m, x: x.swapaxes(0, -1), lambda m, x: m.flip(x, (0,)), lambda m, x: x[1:],
           lambda m, x: x[..., ::2], lambda m, x: x[None]] * bool(tensors[i].ndim)),
        *([lambda m, x: x[0], lambda m, x: x[-1]] * (tensors[i].ndim > 0 and tensors[i].shape[0] > 0)),
    ])  # fmt: skip
    return lambda m, ts: ts.append(f(m, ts[i]))


def pieces(p, tensors):
    i = _choose(p, tensors, lambda t: is_float(t) and t.ndim and t.shape[0] > 1)
    if i is None:
        return None
    return lambda m, ts: ts.extend(m.split(ts[i], 2, 0)) if len(ts[i]) > 1 else None


def fancy(p, tensors):
    i = _choose(p, tensors, lambda t: is_float(t) and t.ndim and t.shape[0] > 0)
    if i is None:
        return None
    ids = p.random.integers(-tensors[i].shape[0], tensors[i].shape[0], p._pick([(2,), (3,), (2, 2)]))
    f = p._pick([
        lambda m, x: x[m.tensor(ids)], lambda m, x: x[x > 0.0137], lambda m, x: x[..., m.tensor(ids * 0)],
        lambda m, x: m.gather(x.reshape(-1), 0, m.tensor(ids.reshape(-1) % x.shape[0])),
    ])  # fmt: skip
    if not all(tensors[i].shape):
        return None
    return lambda m, ts: ts.append(f(m, ts[i]))


def joined(p, tensors):
    i = _choose(p, tensors, is_float)
    j = _choose(p, tensors, lambda t: t.shape == tensors[i].shape)
    d = int(p.random.integers(tensors[i].ndim + 1))
    if d < tensors[i].ndim and p.random.integers(2):
        return lambda m, ts: ts.append(m.cat([ts[i], ts[j]], d))
    return lambda m, ts: ts.append(m.stack([ts[i], ts[j]], d))


def product(p, tensors):
    i = _choose(p, tensors, lambda t: is_float(t) and t.ndim > 1 and all(t.shape))
    if i is None:
        return None
    f = p._pick([
        lambda m, x: m.matmul(x, x.swapaxes(-1, -2)), lambda m, x: m.matmul(x[None], x.swapaxes(-1, -2)),
        lambda m, x: m.matmul(x, x.reshape(-1)[: x.shape[-1]]), lambda m, x: m.einsum("...i,...i->...", x, x),
        lambda m, x: m.einsum("...ij,...kj->...ik", x, x * 0.5), lambda m, x: m.einsum("...i->i", x),
    ])  # fmt: skip
    return lambda m, ts: ts.append(f(m, ts[i]))


def with_integers(p, tensors):
    """A floating tensor beside one of integers or booleans, which also grow."""
    i = _choose(p, tensors, is_float)
    j = _choose(p, tensors, lambda t: not is_float(t) and fits(tensors[i].shape, t.shape))
    if j is None:
        return None
    f = p._pick([
        lambda m, x, n: x + n, lambda m, x, n: n * x, lambda m, x, n: x - n * 2, lambda m, x, n: x / (n * 2 + 9),
        lambda m, x, n: m.where(n > 0, x, n), lambda m, x, n: n + 3, lambda m, x, n: n * 1.5 + x,
        lambda m, x, n: x.masked_fill(n > 0, 0.25) if fits_into(n.shape, x.shape) else x > 0.0143,
        lambda m, x, n: n.sum(), lambda m, x, n: x ** (n * 0 + 2), lambda m, x, n: (n + 7) % 3,
        lambda m, x, n: m.maximum(x, n * 1 + 0.0213),
    ])  # fmt: skip
    return lambda m, ts: ts.append(f(m, ts[i], ts[j]))


def limited(p, tensors):
    """clamp between tensors, which take gradients, and masked_fill by a 0-d tensor."""
    i = _choose(p, tensors, is_float)
    j = _choose(p, tensors, lambda t: is_float(t) and t.dtype == tensors[i].dtype and fits(tensors[i].shape, t.shape))
    f = p._pick([
        lambda m, x, y: m.clamp(x, y * 0.3 - 0.9131, y * 0.3 + 0.8317), lambda m, x, y: m.clamp(x, y * 0.7 - 0.1317),
        lambda m, x, y: x.masked_fill(x > 0.0153, y.sum()),
    ])  # fmt: skip
    return lambda m, ts: ts.append(f(m, ts[i], ts[j]))


def order(p, tensors):
    """The largest elements and their order; among them some that are equal, as x[[0, 0]] has them."""
    i = _choose(p, tensors, lambda t: is_float(t) and t.ndim and all(t.shape))
    if i is None or not p.beside_torch:
        return None
    d = int(p.random.integers(tensors[i].ndim))
    f = p._pick([
        lambda m, x: m.sort(x, dim=d, stable=True)[0], lambda m, x: m.sort(x, dim=d, stable=True, descending=True)[0],
        lambda m, x: m.topk(x, 1, d)[0], lambda m, x: m.amax(m.cat([x, x], d), d), lambda m, x: m.amin(x, d),
        lambda m, x: m.max(m.cat([x, x], d)), lambda m, x: m.cat([x, x], d).prod(d),
        lambda m, x: m.cat([x, x * 0.0], d).cumprod(d), lambda m, x: m.cat([x * 0.0, x], d).prod(d),
    ])  # fmt: skip
    return lambda m, ts: ts.append(f(m, ts[i]))


def half(p, tensors):
    """One operation in half precision, and back."""
    i = _choose(p, tensors, lambda t: is_float(t) and all(t.shape))
    if i is None or not p.beside_torch:
        return None
    to = p._pick([lambda x: x.half(), lambda x: x.bfloat16()])
    f = p._pick([
        lambda m, x: x + x * 0.5, lambda m, x: m.tanh(x), lambda m, x: x * 1.5, lambda m, x: x.sum(),
        lambda m, x: x.mean(), lambda m, x: m.sigmoid(x), lambda m, x: m.softmax(x.reshape(-1), 0),
        lambda m, x: m.logsumexp(x.reshape(-1), 0), lambda m, x: x.reshape(-1).cumsum(0),
        lambda m, x: m.where(x > 0.0163, x, 0.5), lambda m, x: x / (x * x + 1),
    ])  # fmt: skip
    return lambda m, ts: ts.append(f(m, to(ts[i])).double())


def write(p, tensors):
    """In place: a whole tensor, or a part of it, from a constant or another tensor."""
    i = _choose(p, tensors, is_float)
    shape = tensors[i].shape
    j = _choose(p, tensors, lambda t: fits(shape, t.shape) and np.broadcast_shapes(shape, t.shape) == shape)
    f = p._pick([
        lambda m, x, y: x.add_(y), lambda m, x, y: x.mul_(y), lambda m, x, y: x.sub_(0.5), lambda m, x, y: x.mul_(2.0),
        lambda m, x, y: x.copy_(y), lambda m, x, y: x.zero_(), lambda m, x, y: x.fill_(1.5),
        lambda m, x, y: x.__setitem__(..., y), lambda m, x, y: x.__setitem__(x > 0.0121, 0.25),
        lambda m, x, y: x.div_(y * y + 1.0), lambda m, x, y: x.clamp_(-0.531, 0.629),
    ])  # fmt: skip

    def step(m, ts):
        f(m, ts[i], ts[j].clone() if i == j else ts[j])

    return step


def write_part(p, tensors):
    i = _choose(p, tensors, lambda t: is_float(t) and t.ndim and t.shape[0] > 0 and all(t.shape))
    if i is None:
        return None
    n, w = tensors[i].shape[0], _choose(p, tensors, lambda t: t.shape == () and is_float(t))
    k = int(p.random.integers(n))
    ids = p.random.permutation(n)[: p.random.integers(1, n + 1)]
    value = (lambda ts: ts[w].clone()) if w is not None else (lambda ts: 0.75)

    def set_row(m, ts):
        ts[i][k] = value(ts)

    def add_rows(m, ts):
        ts[i][k:] += value(ts)

    def scale_last(m, ts):
        ts[i][..., 0] *= value(ts)

    def set_rows(m, ts):
        ts[i][m.tensor(ids)] = value(ts)

    def add_at_rows(m, ts):
        ts[i][m.tensor(ids)] += value(ts)

    def set_corners(m, ts):
        if ts[i].ndim > 1:
            ts[i][m.tensor(ids), ..., m.tensor(ids * 0)] = value(ts)

    def set_where(m, ts):
        ts[i][ts[i] < 0.0131] = value(ts)

    def through_views(m, ts):
        v = ts[i].swapaxes(0, -1)[0]
        v += value(ts)
        ts.append(v)

    return p._pick([set_row, add_rows, scale_last, set_rows, add_at_rows, set_corners, set_where, through_views])


def fits(a, b) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def fits_into(a, b) -> bool:
    """Whether a broadcasts to b."""
    return fits(a, b) and np.broadcast_shapes(a, b) == tuple(b)


STEPS = {
    "unary": unary, "binary": binary, "reduction": reduction, "view": view, "pieces": pieces, "fancy": fancy,
    "joined": joined, "product": product, "write": write, "write a part": write_part,
    "with integers": with_integers, "limited": limited, "order": order, "half": half,
}  # fmt: skip
WEIGHTS = np.array([4, 5, 2, 4, 1, 2, 1, 1, 3, 3, 2, 1, 1, 1]) / 31
