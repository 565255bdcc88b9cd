"""Tensors to disk and back: every dtype and layout, and files that are damaged or of another kind."""

import numpy as np
import pytest
from safetensors.numpy import save as foreign_save

import minigrad as mg

DTYPES = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
    "bool",
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_layout_comes_back(dtype, tmp_path):
    numbers = mg.tensor(np.arange(24).reshape(2, 3, 4) - (0 if dtype.startswith("u") else 5)).astype(dtype)
    tensors = {
        "plain": numbers,
        "transposed": numbers.permute(2, 0, 1),
        "strided": numbers[:, ::2, ::-1],
        "expanded": numbers[:, :1].expand(2, 5, 4),
        "scalar": numbers[0, 0, 1],
        "empty": numbers[:, :0],
        "array": numbers.data,
    }
    mg.save(tensors, tmp_path / "t.safetensors", {"note": "x"})
    loaded = mg.load(tmp_path / "t.safetensors")
    assert loaded.keys() == tensors.keys()
    for name, tensor in loaded.items():
        expected = np.asarray(getattr(tensors[name], "data", tensors[name]) if name != "array" else tensors[name])
        assert tensor.dtype == expected.dtype
        assert tensor.shape == expected.shape
        np.testing.assert_array_equal(tensor.data.astype(np.float64), expected.astype(np.float64))
        tensor.zero_()  # what was loaded can be trained on
    assert mg.io.load_metadata(tmp_path / "t.safetensors") == {"note": "x"}


def test_bfloat16_keeps_every_bit(tmp_path):
    bits = np.arange(1 << 16, dtype=np.uint16)
    x = bits.view(mg.zeros(1, dtype="bfloat16").dtype)
    mg.save({"x": x}, tmp_path / "t.safetensors")
    np.testing.assert_array_equal(mg.load(tmp_path / "t.safetensors")["x"].data.view(np.uint16), bits)


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(TypeError, match="'x' is a list; expected a Tensor or an array"):
        mg.save({"x": [1.0]}, tmp_path / "t.safetensors")
    with pytest.raises(TypeError, match="'x' is complex128; expected one of float64"):
        mg.save({"x": np.zeros(2, complex)}, tmp_path / "t.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_loaded(tmp_path):
    path = tmp_path / "t.safetensors"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        mg.load(path)
    whole = foreign_save({"x": np.ones(100, np.float32)})
    for damaged in (b"", whole[:7], whole[:50], whole[:-1], b"\xff" * 100):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="truncated or not a safetensors file"):
            mg.load(path)
    path.write_bytes(foreign_save({"x": np.ones(2, np.complex64)}))
    with pytest.raises(ValueError, match="'x' has the dtype C64; tensors have one of F64"):
        mg.load(path)
