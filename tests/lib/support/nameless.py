"""An account without a name and a home, as containers run programs."""

import os

import pytest

NAMELESS = 54321
"""A user that passwd does not know."""


def become_nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process take itself for that user's, without what an environment says of users and their folders."""
    variables = ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
    for name in (*variables, "CODESIGN_CACHE", "CODESIGN_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: NAMELESS)
