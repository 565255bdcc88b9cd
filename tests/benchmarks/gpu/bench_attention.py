"""Causal attention on a GPU in bfloat16, forward and backward, against PyTorch's scaled_dot_product_attention.

python -m tests.benchmarks.gpu.bench_attention [--dry]
"""

import sys

from tests.benchmarks.gpu.timing import Options, Row, as_torch, normal, run, seconds

HEAD_SIZES, TIMES, TOKENS, WIDTH = (64, 128), (1024, 2048, 4096, 8192), 16384, 2048
FORWARD, BACKWARD = (0.6, 0.95), (0.45, 0.8)


def main(options: Options) -> list[Row]:
    import torch
    from torch.nn.functional import scaled_dot_product_attention as attend

    from minigrad import kernels
    from minigrad.kernels.reference.attention import AttentionSettings

    rows = []
    for size in (8,) if options.dry else HEAD_SIZES:
        for time in (16,) if options.dry else TIMES:
            shape = (options.size(TOKENS, 32) // time, options.size(WIDTH, 16) // size, time, size)
            q, k, v, grad = (normal(*shape, dtype="bfloat16") for _ in range(4))
            settings = AttentionSettings(0, size**-0.5, 0.0, 0)
            out, lse = kernels.attention(q, k, v, None, settings)
            tq, tk, tv, tgrad = (as_torch(each, options) for each in (q, k, v, grad))
            for each in (tq, tk, tv):
                each.requires_grad_()
            recorded = attend(tq, tk, tv, is_causal=True)

            def ours(q=q, k=k, v=v, settings=settings):
                kernels.attention(q, k, v, None, settings)

            def ours_backward(grad=grad, q=q, k=k, v=v, out=out, lse=lse, settings=settings):
                kernels.attention_backward(grad, q, k, v, out, lse, None, settings)

            def theirs(q=tq, k=tk, v=tv):
                with torch.no_grad():
                    attend(q, k, v, is_causal=True)

            def theirs_backward(recorded=recorded, inputs=(tq, tk, tv), grad=tgrad):
                torch.autograd.grad(recorded, inputs, grad, retain_graph=True)

            calls = {"ours": ours, "theirs": theirs, "ours backward": ours_backward, "theirs backward": theirs_backward}
            times = seconds(calls, rounds=options.size(9, 2))
            operations = 2e-12 * shape[0] * shape[1] * time * time * size  # half of 4 T² d, for the causal half
            for name, factor, goals in (("", 1, FORWARD), (" backward", 2.5, BACKWARD)):
                each = [factor * operations / times[f"{side}{name}"] for side in ("ours", "theirs")]
                work = f"attention{name} bfloat16 causal d={size} T={time}"
                rows.append(Row(work, *each, "TFLOP/s", "torch SDPA", *goals))
    return rows


if __name__ == "__main__":
    sys.exit(run(main, __doc__))
