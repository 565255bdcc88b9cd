"""keep_freed_memory: freed pages are used again, counted by the page faults of a fresh process."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from minigrad.memory import keep_freed_memory
keep_freed_memory()
def step():
    kept = [np.ones(500_000, np.float32) for _ in range(8)]  # 2 MB each, alive together as in a graph
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(**variables):
    names = {"MINIGRAD_MALLOC", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}
    environment = {k: v for k, v in os.environ.items() if k not in names} | variables
    result = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return int(result.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_freed_memory_is_used_again():
    if "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"):
        pytest.skip("glibc's malloc")
    pages = 5 * 8 * 2_000_000 // 4096  # touched in the five steps
    assert page_faults() < 0.1 * pages
    assert page_faults(MINIGRAD_MALLOC="0") > 0.5 * pages  # what it costs otherwise
