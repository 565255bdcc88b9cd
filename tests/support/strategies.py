"""The same numbers in different memory, for hypothesis to choose from."""

import numpy as np

LAYOUTS = ("C", "Fortran", "every second", "backwards", "read-only")


def laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    """An array equal to `array` whose memory is laid out in the given way."""
    array = np.asarray(array)
    if layout == "Fortran":
        return np.array(array, order="F")  # asfortranarray would make a 0-d array 1-d
    if layout == "every second":
        buffer = np.full([2 * n for n in array.shape], np.nan, dtype=array.dtype)
        view = buffer[(..., *(slice(None, None, 2) for _ in array.shape))]
        view[...] = array
        return view
    if layout == "backwards":
        backwards = (..., *(slice(None, None, -1) for _ in array.shape))
        return array[backwards].copy()[backwards]
    copy = array.copy()
    if layout == "read-only":
        copy.flags.writeable = False
    return copy
