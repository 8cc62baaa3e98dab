"""Published files that are fetched at the user's wish, and where they are kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where fetched files lie: ``CODESIGN_CACHE``, else ``codesign`` in the user's cache (XDG base directories)."""
    if own := os.environ.get("CODESIGN_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "codesign"
