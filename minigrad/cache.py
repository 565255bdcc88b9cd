"""Where minigrad keeps what it can make or fetch again."""

import os
from pathlib import Path


def cache_directory() -> Path:
    """$MINIGRAD_CACHE, or ~/.cache/minigrad."""
    directory = os.environ.get("MINIGRAD_CACHE")
    return Path(directory).expanduser() if directory else Path.home() / ".cache" / "minigrad"
