"""The user of this process, who in a container need have neither a name nor a home."""

import getpass
import os
from pathlib import Path

from hw_templates.foundation.errors import StorageError


def user_name() -> str:
    """Return the user's name, or the number where nothing names it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        return f"user {os.getuid()}"


def user_folder(own: str, base: str, default: str, name: str) -> Path:
    """Find a folder of this program among the user's (XDG base directories).

    Args:
        own: environment variable that names the folder itself, such as CODESIGN_CACHE.
        base: environment variable that names the folder above it, such as XDG_CACHE_HOME.
        default: the folder above it in the user's home where neither variable is set, such as ``.cache``.
        name: of the folder below that one.

    Raises:
        StorageError: neither variable is set, and the user has no home.
    """
    try:
        if value := os.environ.get(own):
            return Path(value).expanduser()
        return Path(os.environ.get(base) or Path.home() / default).expanduser() / name
    except RuntimeError as error:
        raise StorageError(
            f"{own}: must name a folder, for user {os.getuid()} has no home (neither HOME nor an entry in passwd)"
        ) from error
