"""What an optimiser does to all its parameters, in place, one call for a whole list of arrays."""

import math
from typing import Any, NamedTuple

import numpy as np

from minigrad.devices import array_module, is_array
from minigrad.typing import Array


class AdamOptions(NamedTuple):
    """What stays the same from step to step of adamw.

    beta1, beta2  the shares of the old averages m and v that each step keeps, in [0, 1)
    eps           added to the root of v
    weight_decay  the strength of weight decay, which is decoupled from the gradient (AdamW) or a part of it (Adam)
    """

    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    decoupled: bool


class SGDOptions(NamedTuple):
    """What stays the same from step to step of sgd.

    momentum      the share of the momentum buffer that each step keeps; 0: there is no buffer
    dampening     1 - dampening of the gradient enters the buffer
    nesterov      whether to step along the gradient and the share of the buffer that the next step keeps
    weight_decay  times the parameter is added to the gradient
    """

    momentum: float
    dampening: float
    nesterov: bool
    weight_decay: float


def adamw(
    params: list[Array],
    grads: list[Array],
    exp_avgs: list[Array],
    exp_avg_sqs: list[Array],
    step: int | Array,
    lr: float | Array,
    options: AdamOptions,
) -> None:
    """Adam (Kingma and Ba, 2014), or AdamW (Loshchilov and Hutter, 2017) if `decoupled`; `step` counts from 1.

    m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
    param -= lr * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps)

    params, grads, exp_avgs (m) and exp_avg_sqs (v) are lists of arrays; all but the gradients are updated in place.
    Weight decay shrinks the parameter itself by the share lr * weight_decay before the step, or, not decoupled, is an
    L2 term in g: g + weight_decay * param.
    lr and step are numbers or, for a CUDA graph, 0-d float64 arrays on the GPU.
    """
    beta1, beta2, eps, weight_decay, decoupled = options
    step_size: Any = lr / (1 - beta1**step)
    correction: Any = (1 - beta2**step) ** 0.5
    shrink: Any = 1 - lr * weight_decay
    if is_array(step):  # computed in float64, used in the parameters' precision
        step_size, correction, shrink = (x.astype(params[0].dtype) for x in (step_size, correction, shrink))
    for param, grad, m, v in zip(params, grads, exp_avgs, exp_avg_sqs, strict=True):
        xp = array_module(param)
        if decoupled:
            param *= shrink
        elif weight_decay:
            grad = grad + weight_decay * param
        m += (1 - beta1) * (grad - m)
        v *= beta2
        v += (1 - beta2) * grad * grad
        param -= step_size * m / (xp.sqrt(v) / correction + eps)


def sgd(
    params: list[Array],
    grads: list[Array],
    buffers: list[Array],
    lr: float | Array,
    options: SGDOptions,
    first: bool,
) -> None:
    """Stochastic gradient descent with momentum, as in torch.optim.SGD: buffer = momentum buffer + (1 - dampening) g.

    param -= lr * d, where d is g, with momentum the buffer, or with Nesterov's look-ahead g + momentum * buffer.
    params, grads and buffers are lists of arrays, params and buffers updated in place; weight_decay * param is added
    to g first. `buffers` is [] when momentum is 0. `first`: the buffers hold nothing yet and become g.
    """
    momentum, dampening, nesterov, weight_decay = options
    for i, (param, grad) in enumerate(zip(params, grads, strict=True)):
        if weight_decay:
            grad = grad + weight_decay * param
        if momentum:
            buffer = buffers[i]
            if first:
                buffer[...] = grad
            else:
                buffer *= momentum
                buffer += (1 - dampening) * grad
            grad = grad + momentum * buffer if nesterov else buffer
        param -= lr * grad


def grad_norm(arrays: list[Array]) -> Any:
    """The L2 norm of all the arrays' elements together; squares are added up in float64.

    A Python float for arrays on the CPU, a 0-d array on a GPU, which is not waited for.
    """
    total = 0.0
    for array in arrays:
        flat = array.reshape(-1).astype("float64")
        total = total + flat @ flat
    return math.sqrt(total) if isinstance(total, (float, np.floating)) else array_module(total).sqrt(total)


def scale(arrays: list[Array], factor: float | Array) -> None:
    """Multiply every array by `factor`, a number or a 0-d array on their device, in place."""
    for array in arrays:
        array *= factor
