"""Cross-entropy in CUDA C.

On a GPU, where to look at the targets first would mean to wait, a target that is no class makes its loss
NaN; within detect_anomaly() it is an IndexError.
"""

import numpy as np

from minigrad.kernels.cuda.loader import empty, load, prepared
from minigrad.kernels.reference.cross_entropy import check_targets

THREADS = 256


def cross_entropy(logits, targets, ignore_index, label_smoothing, weight):
    rows, classes = logits.shape
    check_targets(targets, classes, ignore_index)
    losses, lse = empty(rows, like=logits), empty(rows, like=logits)
    if rows:
        logits, targets = prepared(logits), prepared(targets, np.int64)
        weight = None if weight is None else prepared(weight)
        hyper = (np.int32(classes), np.int64(ignore_index), np.float32(label_smoothing))
        module = load("cross_entropy.cu")
        module.launch("cross_entropy", rows, THREADS, (logits, targets, weight, losses, lse, *hyper))
    return losses, lse


def cross_entropy_backward(grad, logits, targets, lse, ignore_index, label_smoothing, weight):
    dlogits = empty(logits.shape, like=logits)
    if dlogits.size:
        rows, classes = logits.shape
        grad, logits, targets, lse = prepared(grad), prepared(logits), prepared(targets, np.int64), prepared(lse)
        weight = None if weight is None else prepared(weight)
        total = None if weight is None else prepared(weight.sum(keepdims=True))
        hyper = (np.int32(classes), np.int64(ignore_index), np.float32(label_smoothing))
        arguments = (grad, logits, targets, lse, weight, total, dlogits, *hyper)
        load("cross_entropy.cu").launch("cross_entropy_backward", rows, THREADS, arguments)
    return dlogits
