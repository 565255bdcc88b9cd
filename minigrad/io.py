"""Tensors on disk: safetensors files, written whole or not at all."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minigrad.dtypes import as_dtype
from minigrad.tensor import Tensor, to_numpy, unwrap
from minigrad.typing import Array


def save(
    tensors: Mapping[str, Tensor | Array], path: str | os.PathLike[str], metadata: dict[str, str] | None = None
) -> None:
    """Write named Tensors or arrays to a .safetensors file.

    The file is written under another name and then renamed, so a crash or a full disk leaves the old file as it was.
    TypeError if a value is neither.
    """
    write_atomically(path, to_bytes(tensors, metadata))


def load(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The named Tensors of a .safetensors file.

    FileNotFoundError, or ValueError for a file that is damaged or has a dtype that tensors have not; ImportError for
    bfloat16 without the package ml_dtypes.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"load: there is no file {path}")
    try:
        return from_bytes(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"load: {path} is truncated or not a safetensors file ({error})") from None


# What safetensors calls the dtypes. Its own reader for numpy knows all of them but bfloat16.
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def to_bytes(tensors: Mapping[str, Tensor | Array], metadata: dict[str, str] | None = None) -> bytes:
    """Named Tensors or arrays as the contents of a .safetensors file. TypeError if a value is neither, or complex."""
    from safetensors.numpy import save

    arrays = {}
    for name, value in tensors.items():
        array = to_numpy(unwrap(value))
        if not isinstance(array, np.ndarray):
            raise TypeError(f"save: {name!r} is a {type(value).__name__}; expected a Tensor or an array")
        if array.dtype.name not in _DTYPES.values():
            raise TypeError(f"save: {name!r} is {array.dtype}; expected one of {', '.join(_DTYPES.values())}")
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    return save(arrays, metadata)


def from_bytes(data: bytes) -> dict[str, Tensor]:
    """The named Tensors in the contents of a .safetensors file; ValueError says what is wrong with them."""
    from safetensors import SafetensorError, deserialize

    try:
        found = dict(deserialize(data))
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    for name, entry in found.items():
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"{name!r} has the dtype {entry['dtype']}; tensors have one of {', '.join(_DTYPES)}")
    return {
        name: Tensor(np.frombuffer(entry["data"], as_dtype(_DTYPES[entry["dtype"]])).reshape(entry["shape"]))
        for name, entry in found.items()
    }


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The text metadata that was saved with a .safetensors file."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file whole or not at all: into a temporary sibling, flushed to disk, then renamed into place.

    Two processes may write the same path at once: one of the two files wins, whole.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
