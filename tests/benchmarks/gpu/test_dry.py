"""The GPU's benchmarks run: on small shapes, without a GPU, every row with its numbers."""

import pytest

from tests.benchmarks.gpu import all as every_benchmark

pytest.importorskip("ml_dtypes")


@pytest.mark.parity  # PyTorch is the opponent
def test_all_of_them_run(tmp_path):
    out = tmp_path / "gpu.md"
    assert every_benchmark.main(["--dry", "--out", str(out)]) == 0
    text = out.read_text()
    assert "DRY RUN" in text
    assert "failed" not in text
    assert "nan" not in text
    for name in (
        "matmul float32",
        "matmul bfloat16",
        "softmax",
        "adamw",
        "attention backward",
        "GPT-2 124M",
        "launching add",
    ):
        assert name in text
