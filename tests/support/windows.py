"""Convolution and pooling over height and width, window by window: the definition, in float64."""

import numpy as np


def conv2d(x, weight, bias=0.0, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    """Filter by filter and place by place."""
    x = np.pad(np.asarray(x, np.float64), ((0, 0), (0, 0), *padding))
    filters, channels, rows, columns = weight.shape
    high, wide = dilation[0] * (rows - 1) + 1, dilation[1] * (columns - 1) + 1
    out = (x.shape[2] - high) // stride[0] + 1, (x.shape[3] - wide) // stride[1] + 1
    y = np.zeros((len(x), filters, *out))
    for f in range(filters):
        first = f // (filters // groups) * channels
        for u, v in np.ndindex(*out):
            s, t = u * stride[0], v * stride[1]
            window = x[:, first : first + channels, s : s + high : dilation[0], t : t + wide : dilation[1]]
            y[:, f, u, v] = (window * weight[f]).sum((1, 2, 3))
    return y + np.reshape(bias, (-1, 1, 1))


def pool2d(x, reduce, field, stride, padding=(0, 0), dilation=(1, 1), fill=-np.inf):
    """One window after the other."""
    x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(p, p) for p in padding], constant_values=fill)
    high, wide = (d * (n - 1) + 1 for d, n in zip(dilation, field, strict=True))
    down, across = (
        range(0, size - reach + 1, s) for size, reach, s in zip(x.shape[-2:], (high, wide), stride, strict=True)
    )
    rows = [
        [reduce(x[..., s : s + high : dilation[0], t : t + wide : dilation[1]], (-2, -1)) for t in across] for s in down
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))
