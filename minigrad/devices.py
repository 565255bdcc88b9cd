"""Where arrays live: numpy on the CPU, cupy on a GPU. The array decides, nothing else."""

import numpy as np


def array_module(array):
    """The library an array belongs to: numpy or cupy."""
    if isinstance(array, (np.ndarray, np.generic)):
        return np
    module = type(array).__module__.partition(".")[0]
    if module == "cupy":
        import cupy

        return cupy
    return np
