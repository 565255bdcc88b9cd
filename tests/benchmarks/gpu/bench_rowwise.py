"""Kernels that only move memory, as a share of the bandwidth that a copy reaches: softmax, layer_norm, cross-entropy.

    python -m tests.benchmarks.gpu.bench_rowwise [--dry]

Bytes are those that must be read and written once; PyTorch's times stand beside ours.
"""

import sys

from tests.benchmarks.gpu.timing import Options, Row, as_torch, normal, run, seconds

LEAST, AIM = 0.80, 0.92
COLUMNS = (1024, 4096, 50304)


def main(options: Options) -> list[Row]:
    import cupy
    import torch.nn.functional as f

    from minigrad import kernels

    rows = []
    for columns in (64,) if options.dry else COLUMNS:
        lines = options.size(256 << 20, 4 * 64 * 8) // 4 // columns  # 256 MB
        x, w, b = normal(lines, columns), normal(columns), normal(columns)
        grad = normal(lines, columns)
        y = cupy.empty_like(x)
        targets = cupy.arange(lines) % columns
        _, lse = kernels.cross_entropy(x, targets, -100, 0.0, None)
        row_grad = cupy.full(lines, 1 / lines, "float32")
        softened = kernels.softmax(x)
        _, mean, rstd = kernels.layer_norm(x, w, b, 1e-5)
        ours = {
            "softmax": (2, lambda x=x: kernels.softmax(x)),
            "softmax backward": (3, lambda g=grad, y=softened: kernels.softmax_backward(g, y)),
            "layer_norm": (2, lambda x=x, w=w, b=b: kernels.layer_norm(x, w, b, 1e-5)),
            "layer_norm backward": (
                3,
                lambda g=grad, x=x, w=w, m=mean, r=rstd: kernels.layer_norm_backward(g, x, w, m, r),
            ),
            "cross_entropy": (1, lambda x=x, t=targets: kernels.cross_entropy(x, t, -100, 0.0, None)),
            "cross_entropy backward": (
                2,
                lambda g=row_grad, x=x, t=targets, s=lse: kernels.cross_entropy_backward(g, x, t, s, -100, 0.0, None),
            ),
        }
        tx, tw, tb = (as_torch(each, options) for each in (x, w, b))
        tt = as_torch(targets.astype("int64"), options)
        theirs = {
            "softmax": lambda x=tx: f.softmax(x, -1),
            "layer_norm": lambda x=tx, w=tw, b=tb, n=columns: f.layer_norm(x, (n,), w, b),
            "cross_entropy": lambda x=tx, t=tt: f.cross_entropy(x, t, reduction="none"),
        }
        contenders = {"copy": lambda x=x, y=y: y.__setitem__(Ellipsis, x)}
        contenders |= {f"ours {name}": call for name, (_, call) in ours.items()}
        contenders |= {f"torch {name}": call for name, call in theirs.items()}
        times = seconds(contenders, rounds=options.size(9, 2))
        megabytes = x.nbytes / 1e9
        bandwidth = 2 * megabytes / times["copy"]
        for name, (passes, _) in ours.items():
            work = f"{name} {lines}×{columns}"
            rows.append(Row(work, passes * megabytes / times[f"ours {name}"], bandwidth, "GB/s", "copy", LEAST, AIM))
            if name in theirs:
                other = passes * megabytes / times[f"torch {name}"]
                rows.append(Row(work, passes * megabytes / times[f"ours {name}"], other, "GB/s", "torch"))
    return rows


if __name__ == "__main__":
    sys.exit(run(main, __doc__))
