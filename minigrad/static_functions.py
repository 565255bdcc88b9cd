"""Functions written as PyTorch's are: static methods that get a context, and Tensors in place of arrays.

    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return 2 * x * grad

    y = Square.apply(x)

The context is the Function itself, as the engine knows it. forward runs without recording; so does backward, unless
gradients of gradients are asked for. With `setup_context(ctx, inputs, output)` forward takes no context.
"""

from typing import Any

from minigrad.devices import is_array
from minigrad.modes import no_grad
from minigrad.tensor import Tensor, unwrap, wrap


def as_methods(cls: Any) -> None:
    """Give a class whose forward is a static method the methods that the engine calls."""
    static_forward, static_backward = cls.forward, cls.backward
    setup = getattr(cls, "setup_context", None)

    def forward(self: Any, *inputs: Any) -> Any:
        inputs = tuple(_tensor(x) for x in inputs)
        with no_grad():
            if setup is None:
                output = static_forward(self, *inputs)
            else:
                output = static_forward(*inputs)
                setup(self, inputs, output)
        return tuple(map(unwrap, output)) if isinstance(output, tuple) else unwrap(output)

    def backward(self: Any, *grads: Any) -> tuple:
        if isinstance(grads[0], Tensor):
            results = static_backward(self, *grads)
        else:
            with no_grad():
                results = static_backward(self, *map(_tensor, grads))
        results = results if isinstance(results, tuple) else (results,)
        return results if isinstance(grads[0], Tensor) else tuple(map(unwrap, results))

    def save_for_backward(self: Any, *tensors: Any) -> None:
        self.saved = tuple(map(unwrap, tensors))

    cls.moves = True  # forward and backward are made of operations on Tensors, which count themselves
    cls.forward, cls.backward, cls.save_for_backward = forward, backward, save_for_backward
    cls.saved_tensors = property(lambda self: tuple(_tensor(x) for x in self.saved))


def _tensor(x: Any) -> Any:
    return wrap(x) if is_array(x) else x
