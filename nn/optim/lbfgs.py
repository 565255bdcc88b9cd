"""L-BFGS: Newton's method with the curvature estimated from the last few steps, for losses without noise."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from minigrad.devices import array_module
from minigrad.modes import enable_grad
from minigrad.tensor import Tensor
from nn.optim.optimizer import Optimizer, Parameters


class LBFGS(Optimizer):
    """p ← p + t·d,  d = -H·g, H the inverse Hessian as the last steps and gradients tell it.

    Liu & Nocedal 1989; the two loops are algorithm 7.4 of Nocedal & Wright, "Numerical Optimization", 2006. As
    torch.optim.LBFGS. step() takes a closure, which it calls several times:

        def closure():
            optimizer.zero_grad()
            loss = loss_function(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)

    lr                t of a step; with a line search, where the search begins
    max_iter          steps in one call of step()
    max_eval          calls of the closure in one call of step(), 1.25·max_iter by default
    tolerance_grad    it stops where no element of the gradient is larger
    tolerance_change  and where neither the parameters nor the loss change by more
    history_size      how many steps H is made from, each kept as two vectors of all parameters
    line_search_fn    None, or "strong_wolfe"

    One group of parameters, all of one dtype. The state, of all parameters together, is kept with the first.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS: line_search_fn={line_search_fn!r}; use None or 'strong_wolfe'")
        options = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, options)

    def check(self, group: dict[str, Any]) -> None:
        """Refuse a second group, mixed dtypes, and options that make no sense; ValueError says which."""
        super().check(group)
        if self.param_groups:
            raise ValueError("LBFGS: a second group of parameters; all of them must be in one")
        if len({p.dtype for p in group["params"]}) > 1:
            raise ValueError("LBFGS: parameters of several dtypes; convert the model to one")
        for name in ("max_iter", "max_eval", "history_size"):
            if group[name] < 1:
                raise ValueError(f"LBFGS: {name}={group[name]}; expected 1 or more")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to max_iter steps; returns the loss before the first of them."""
        if closure is None:
            raise TypeError("LBFGS.step: it evaluates the loss several times; pass a closure that computes it")
        group = self.param_groups[0]
        state = self.state[group["params"][0]]
        state.setdefault("n_iter", 0)
        state.setdefault("func_evals", 0)
        first_loss = self._call(closure)
        loss, grad = float(first_loss), self._gradient()
        evaluations = 1
        if _largest(grad) > group["tolerance_grad"]:
            for i in range(group["max_iter"]):
                direction = self._direction(state, grad)
                before = loss
                slope = float(grad @ direction)
                t = min(1.0, 1.0 / float(abs(grad).sum())) * group["lr"] if state["n_iter"] == 1 else group["lr"]
                state["t"] = t
                if slope > -group["tolerance_change"]:
                    break
                last = i + 1 == group["max_iter"]
                if group["line_search_fn"]:
                    start = Point(0.0, loss, grad, slope)
                    found, calls = self._search(closure, start, t, direction, group["max_eval"] - evaluations)
                    state["t"], loss, grad = found.t, found.loss, found.grad
                    evaluations += calls
                    self._move(found.t, direction)
                else:
                    self._move(t, direction)
                    if not last:  # in the last step nobody asks
                        loss, grad = float(self._call(closure)), self._gradient()
                        evaluations += 1
                if (
                    last
                    or evaluations >= group["max_eval"]
                    or _largest(grad) <= group["tolerance_grad"]
                    or _largest(direction) * state["t"] <= group["tolerance_change"]
                    or abs(loss - before) < group["tolerance_change"]
                ):
                    break
        state["func_evals"] += evaluations
        return first_loss

    def _direction(self, state: dict[str, Any], grad: Any) -> Any:
        """-H·grad, after taking the last step into H; kept in the state as "d"."""
        xp = array_module(grad)
        state["n_iter"] += 1
        if state["n_iter"] == 1:
            state["old_dirs"] = state["old_stps"] = xp.empty((0, grad.size), grad.dtype)
            state["H_diag"] = 1.0
            direction = -grad
        else:
            change, step = grad - state["prev_flat_grad"], state["d"] * state["t"]
            curvature = float(change @ step)
            if curvature > 1e-10:
                keep = self.param_groups[0]["history_size"] - 1
                for name, vector in (("old_dirs", change), ("old_stps", step)):
                    held = state[name][max(len(state[name]) - keep, 0) :]
                    state[name] = xp.concatenate([held, vector[None]])
                state["H_diag"] = curvature / float(change @ change)
            direction = _two_loops(-grad, state["old_stps"], state["old_dirs"], state["H_diag"])
        state["d"], state["prev_flat_grad"] = direction, grad
        return direction

    def _search(
        self, closure: Callable[[], Any], start: "Point", t: float, direction: Any, max_evals: int
    ) -> tuple["Point", int]:
        """strong_wolfe from the parameters as they are, which it leaves as they are."""
        values = [p.data.copy() for p in self.param_groups[0]["params"]]

        def at(t: float) -> Point:
            self._move(t, direction)
            loss, grad = float(self._call(closure)), self._gradient()
            self._put(values)
            return Point(t, loss, grad, float(grad @ direction))

        return strong_wolfe(at, start, t, _largest(direction), max_evals)

    def _call(self, closure: Callable[[], Any]) -> Any:
        with enable_grad():
            return closure()

    def _gradient(self) -> Any:
        """The gradients of all parameters as one vector; 0 for those that have none."""
        params = self.param_groups[0]["params"]
        xp = array_module(params[0].data)
        parts = [xp.zeros_like(p.data) if p.grad is None else p.grad.data for p in params]
        return xp.concatenate([part.reshape(-1) for part in parts])

    def _move(self, t: float, direction: Any) -> None:
        start = 0
        for p in self.param_groups[0]["params"]:
            p.data += (t * direction[start : start + p.numel()]).reshape(p.shape)
            p.bump_version()
            start += p.numel()

    def _put(self, values: list) -> None:
        for p, value in zip(self.param_groups[0]["params"], values, strict=True):
            p.data[...] = value
            p.bump_version()

    def state_shape(self, name: str, p: Tensor) -> None:
        """Any: the state is that of all parameters together."""
        return None


def _two_loops(q: Any, steps: Any, changes: Any, scale: float) -> Any:
    """H·q from the last steps and the changes of the gradient in them, both (k, n), the newest last."""
    shares = [1 / float(y @ s) for y, s in zip(changes, steps, strict=True)]
    newest_first = list(zip(steps, changes, shares, strict=True))[::-1]
    taken = []
    for s, y, share in newest_first:
        taken.append(share * float(s @ q))
        q = q - taken[-1] * y
    r = scale * q
    for (s, y, share), a in zip(newest_first[::-1], taken[::-1], strict=True):
        r = r + (a - share * float(y @ r)) * s
    return r


def _largest(vector: Any) -> float:
    return float(abs(vector).max()) if vector.size else 0.0


class Point(NamedTuple):
    """A place on the line of a line search: how far it is, the loss there, its gradient, its slope along the line."""

    t: float
    loss: float
    grad: Any
    slope: float


def strong_wolfe(
    at: Callable[[float], Point],
    start: Point,
    t: float,
    reach: float,
    max_evals: int,
    decrease: float = 1e-4,
    flatness: float = 0.9,
    tolerance: float = 1e-9,
) -> tuple[Point, int]:
    """(point, calls of at): a point on the line whose loss is low enough and whose slope is flat enough.

    Low enough: start.loss + decrease·t·start.slope at most; flat enough: |slope| ≤ flatness·|start.slope|. Nocedal &
    Wright 2006, algorithms 3.5 (find two points with such a one in between) and 3.6 (narrow them down). The step for
    step twin of the search in torch.optim.LBFGS.

    reach  the largest element of the direction: a bracket narrower than tolerance/reach is not narrowed further
    """

    def too_high(point: Point) -> bool:
        return point.loss > start.loss + decrease * point.t * start.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -flatness * start.slope

    calls, last, now = 1, start, at(t)
    tries = 0
    while tries < max_evals:
        if too_high(now) or (tries > 1 and now.loss >= last.loss):
            break
        if flat(now):
            return now, calls
        if now.slope >= 0:
            break
        t = _cubic_minimum(last, now, now.t + 0.01 * (now.t - last.t), now.t * 10)
        last, now = now, at(t)
        calls, tries = calls + 1, tries + 1
    else:
        last = start

    stuck = False
    low, high = _by_loss(last, now)
    while tries < max_evals and abs(high.t - low.t) * reach >= tolerance:
        left, right = min(low.t, high.t), max(low.t, high.t)
        t = _cubic_minimum(low, high, left, right)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) >= margin:
            stuck = False
        elif stuck or t >= right or t <= left:  # too near an end to make progress
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            stuck = False
        else:
            stuck = True
        now = at(t)
        calls, tries = calls + 1, tries + 1
        if too_high(now) or now.loss >= low.loss:
            low, high = _by_loss(low, now)
        elif flat(now):
            return now, calls
        else:
            low, high = now, low if now.slope * (high.t - low.t) >= 0 else high
    return low, calls


def _by_loss(a: Point, b: Point) -> tuple[Point, Point]:
    """The lower one first."""
    return (a, b) if a.loss <= b.loss else (b, a)


def _cubic_minimum(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic with the losses and slopes of two points is lowest, or the middle; within [least, most]."""
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2
    d2 = math.sqrt(square)
    left, right = (a, b) if a.t <= b.t else (b, a)
    t = right.t - (right.t - left.t) * ((right.slope + d2 - d1) / (right.slope - left.slope + 2 * d2))
    return min(max(t, least), most)
