"""Modes: what holds inside a `with` block, a decorated function, or each step of a decorated generator, in one thread.

no_grad and its kin say whether operations are recorded; autocast (amp.py) is a mode, too.
"""

import functools
import inspect
import threading
from typing import Any


class State(threading.local):
    """What holds in the running thread: `value`, which is that of the innermost open mode, or the default."""

    def __init__(self, default: Any):
        self.value = self.default = default
        self.open: list[tuple[Mode, Any]] = []

    def replace(self, modes: list) -> list:
        """Let these modes be open, outermost first, instead of those that are, which are returned."""
        before, self.open = self.open, modes
        self.value = modes[-1][1] if modes else self.default
        return before

    def set(self, value: Any) -> None:
        """Change the value until the innermost open mode ends, or permanently if none is open."""
        self.value = value
        if self.open:
            self.open[-1] = self.open[-1][0], value
        else:
            self.default = value


class Mode:
    """A context manager and a decorator, with or without parentheses, that gives its State a value.

    A decorated generator function has the mode inside each of its steps; between them, its caller has its own.
    """

    state: State

    def __new__(cls, *args, **keywords):
        if len(args) == 1 and not keywords and callable(args[0]) and not isinstance(args[0], type):
            return cls()(args[0])  # @no_grad, without parentheses
        return super().__new__(cls)

    def entered(self) -> Any:
        """The value that holds inside."""
        raise NotImplementedError

    def __enter__(self):
        value = self.entered()
        self.state.open.append((self, value))
        self.state.value = value
        return self

    def __exit__(self, *exception):
        modes = list(self.state.open)
        place = next((i for i in reversed(range(len(modes))) if modes[i][0] is self), None)
        name = type(self).__name__
        if place is None:
            raise RuntimeError(f"{name}: a block was left in another thread than it was entered in")
        value, inner = modes[place][1], modes[place + 1 :]
        self.state.replace(modes[:place] + inner)
        if any(other != value for _, other in inner):
            raise RuntimeError(
                f"{name}: a block was left before one that was entered inside it, so some work was done in the wrong "
                f"mode. Probably two generators yield inside such blocks: decorate them with @{name}() instead"
            )

    def __call__(self, function):
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{type(self).__name__}: {function.__name__} is async, and other tasks of this thread would run in "
                "its mode; use `with` around stretches without await"
            )
        if not callable(function) or isinstance(function, type):
            raise TypeError(f"{type(self).__name__} decorates functions, not {function!r}; decorate the methods")
        if inspect.isgeneratorfunction(function):
            return self._in_each_step(function)

        @functools.wraps(function)
        def wrapper(*args, **keywords):
            with self:
                return function(*args, **keywords)

        return wrapper

    def _in_each_step(self, function):
        @functools.wraps(function)
        def wrapper(*args, **keywords):
            generator = function(*args, **keywords)
            modes = [(self, self.entered())]  # those that are open inside the generator
            resume, sent = generator.send, None
            while True:
                outside = self.state.replace(modes)
                try:
                    item = resume(sent)
                except StopIteration as stop:
                    return stop.value
                finally:
                    modes = self.state.replace(outside)
                try:
                    resume, sent = generator.send, (yield item)
                except BaseException as error:  # thrown into the generator, or its close()
                    resume, sent = generator.throw, error

        return wrapper


grad_mode = State(True)  # whether operations on tensors that require grad are recorded


class no_grad(Mode):
    """Record nothing inside: for evaluation, generation and in-place updates. Also a decorator: @no_grad()."""

    state = grad_mode

    def entered(self) -> bool:
        return False


class enable_grad(Mode):
    """Record inside, even within no_grad. Also a decorator: @enable_grad()."""

    state = grad_mode

    def entered(self) -> bool:
        return True


class inference_mode(Mode):
    """no_grad by PyTorch's other name; inference_mode(False) is enable_grad. Tensors made inside are ordinary ones."""

    state = grad_mode

    def __init__(self, mode: bool = True):
        self.mode = bool(mode)

    def entered(self) -> bool:
        return not self.mode


class set_grad_enabled(Mode):
    """Record or not, from this call on; as a context manager or a decorator, inside only."""

    state = grad_mode

    def __init__(self, mode: bool):
        self.mode = bool(mode)
        self._before = self.state.value
        self.state.set(self.mode)

    def entered(self) -> bool:
        return self.mode

    def __enter__(self):
        self.state.set(self._before)
        return super().__enter__()

    def __call__(self, function):
        self.state.set(self._before)
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require grad are being recorded."""
    return grad_mode.value
