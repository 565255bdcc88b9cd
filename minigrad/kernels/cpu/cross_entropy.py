"""Cross-entropy on the CPU: forward reads the logits once, backward reads them once and writes once.

With a vocabulary of 50,257 the logits are by far the largest arrays of a training step,
so what counts is how often they cross the memory bus. Forward keeps a running maximum
and sum (Milakov and Gimelshein, Online normalizer calculation for softmax, 2018), a
block at a time, so that a block's second reading comes from the L1 cache. Probabilities
are never stored: backward recomputes them from the log-sum-exp.
"""

import math

import numpy as np
from numba import prange

from minigrad.kernels.cpu import simd
from minigrad.kernels.reference.cross_entropy import check_targets

BLOCK = 4096  # floats: half of a 32 KiB L1 cache
ONE = np.float32(1)
NO_WEIGHT = np.empty(0, np.float32)


def cross_entropy(logits, targets, ignore_index, label_smoothing, weight):
    logits, targets, weight = _contiguous(logits, targets, weight)
    losses = np.empty(len(logits), np.float32)
    lse = np.empty(len(logits), np.float32)
    if _cross_entropy(logits, targets, ignore_index, float(label_smoothing), weight, losses, lse):
        check_targets(targets, logits.shape[1], ignore_index)
    return losses, lse


def cross_entropy_backward(grad, logits, targets, lse, ignore_index, label_smoothing, weight):
    logits, targets, weight = _contiguous(logits, targets, weight)
    grad, lse = np.ascontiguousarray(grad, np.float32), np.ascontiguousarray(lse, np.float32)
    dlogits = np.empty(logits.shape, np.float32)
    total_weight = float(weight.sum()) if weight.size else float(logits.shape[1])
    numbers = (ignore_index, float(label_smoothing), total_weight)
    _cross_entropy_backward(grad, logits, targets, lse, weight, numbers, dlogits)
    return dlogits


def _contiguous(logits, targets, weight):
    return (
        np.ascontiguousarray(logits, np.float32),
        np.ascontiguousarray(targets, np.int64),
        NO_WEIGHT if weight is None else np.ascontiguousarray(weight, np.float32),
    )


@simd.parallel
def _cross_entropy(x, targets, ignore_index, smoothing, weight, losses, lse):
    """Fill losses and lse; True, and nothing filled, if a target is out of range."""
    rows, n = x.shape
    for i in range(rows):
        if not 0 <= targets[i] < n and targets[i] != ignore_index:
            return True
    for i in prange(rows):
        lse[i] = _log_sum_exp(x[i])
        losses[i] = 0
        if targets[i] != ignore_index:
            losses[i] = _loss(x[i], targets[i], lse[i], np.float32(smoothing), weight)
    return False


@simd.serial
def _log_sum_exp(x):
    largest = np.float32(-np.inf)
    total = np.float32(0)  # of e^(x - largest), over the blocks so far
    for start in range(0, x.size, BLOCK):
        block = x[start : start + BLOCK]
        before = largest
        for j in range(block.size):
            largest = simd.maximum(largest, block[j])
        if largest != -np.inf:
            total *= simd.exp(before - largest)
            for j in range(block.size):
                total += simd.exp(block[j] - largest)
    return largest + np.float32(math.log(total))


@simd.serial
def _loss(x, target, lse, smoothing, weight):
    loss = lse - x[target]
    if weight.size:
        loss *= weight[target]
    if smoothing == 0:
        return loss
    spread = np.float32(0)
    for j in range(x.size):
        spread += (lse - x[j]) * (weight[j] if weight.size else ONE)
    return (ONE - smoothing) * loss + smoothing / np.float32(x.size) * spread


@simd.parallel
def _cross_entropy_backward(grad, x, targets, lse, weight, numbers, dx):
    ignore_index, smoothing, total_weight = numbers
    rows, n = x.shape
    on_each = np.float32(smoothing / max(n, 1))
    for i in prange(rows):
        target = targets[i]
        if target == ignore_index:
            dx[i] = 0
            continue
        on_target = np.float32(1 - smoothing) * (weight[target] if weight.size else ONE)
        on_p = grad[i] * (on_target + on_each * np.float32(total_weight))
        _gradient(x[i], lse[i], on_p, grad[i] * on_each, weight, dx[i])
        dx[i, target] -= grad[i] * on_target


@simd.serial
def _gradient(x, lse, on_p, on_each, weight, dx):
    """dx = on_p * p - on_each * weight."""
    for j in range(x.size):
        dx[j] = on_p * simd.exp(x[j] - lse) - on_each * (weight[j] if weight.size else ONE)
