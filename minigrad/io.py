"""Tensors on disk: safetensors files, written whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from minigrad.tensor import Tensor, to_numpy, unwrap
from minigrad.typing import Array


def save(
    tensors: Mapping[str, Tensor | Array], path: str | os.PathLike[str], metadata: dict[str, str] | None = None
) -> None:
    """Write named Tensors or arrays to a .safetensors file.

    The file is written under another name and then renamed, so a crash or a full disk leaves the old file as it was.
    TypeError if a value is neither.
    """
    from safetensors.numpy import save as to_bytes

    arrays = {}
    for name, value in tensors.items():
        array = to_numpy(unwrap(value))
        if not isinstance(array, np.ndarray):
            raise TypeError(f"save: {name!r} is a {type(value).__name__}; expected a Tensor or an array")
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    write_atomically(path, to_bytes(arrays, metadata))


def load(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The named Tensors of a .safetensors file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"load: there is no file {path}")
    try:
        arrays = from_bytes(path.read_bytes())
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"load: {path} is truncated or not a safetensors file ({error})") from None
    return {name: Tensor(array) for name, array in arrays.items()}


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
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
