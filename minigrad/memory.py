"""Keep freed memory in the process: fresh pages cost more than the arithmetic done on them.

glibc's malloc gets large blocks from the kernel and returns them when they are freed. Each array
then starts as pages that the kernel must find and clear, one fault every 4 KiB: for an array of
1 MB that takes several times as long as adding two arrays into it. A training step makes and frees
the same arrays again and again, so we ask malloc to keep what is freed and hand it out again.
"""

import ctypes
import os
import sys

# The parameters' numbers in glibc's malloc.h; see mallopt(3).
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3

# Blocks up to this many bytes come from the heap, not from a mapping of their own; old glibc allows 32 MiB.
LARGEST_KEPT = (1 << 30, 1 << 25)
MOST_KEPT = (1 << 31) - 1  # free bytes at the heap's top before any are returned; mallopt takes an int


def keep_freed_memory() -> bool:
    """Make malloc reuse freed memory instead of returning it; whether it agreed.

    Once for the whole process. Only glibc on Linux has this switch; elsewhere nothing happens.
    MINIGRAD_MALLOC=0 opts out, and so does tuning malloc through its own environment variables.
    """
    tuned = any(name in os.environ for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"))
    if os.environ.get("MINIGRAD_MALLOC") == "0" or tuned or not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not (hasattr(libc, "gnu_get_libc_version") and hasattr(libc, "mallopt")):
        return False  # musl
    kept = any(libc.mallopt(M_MMAP_THRESHOLD, size) for size in LARGEST_KEPT)
    return bool(kept and libc.mallopt(M_TRIM_THRESHOLD, MOST_KEPT))
