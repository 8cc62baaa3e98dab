import getpass
from pathlib import Path

import pytest
from support.nameless import become_nameless

from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.user import user_folder, user_name


def folder() -> Path:
    return user_folder("CODESIGN_CACHE", "XDG_CACHE_HOME", ".cache", "codesign/nets")


def test_a_user_without_a_name_is_known_by_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_name() == getpass.getuser()
    become_nameless(monkeypatch)
    assert user_name() == "user 54321"
    monkeypatch.setenv("USER", "me")
    assert user_name() == "me"


def test_a_folder_is_named_by_its_variable_or_lies_below_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    become_nameless(monkeypatch)
    monkeypatch.setenv("HOME", "/home/me")
    assert folder() == Path("/home/me/.cache/codesign/nets")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/caches")
    assert folder() == Path("/home/me/caches/codesign/nets")
    monkeypatch.setenv("CODESIGN_CACHE", "~/mine")
    assert folder() == Path("/home/me/mine")


def test_without_a_home_the_message_names_the_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    become_nameless(monkeypatch)
    expected = (
        r"^CODESIGN_CACHE: must name a folder, for user 54321 has no home \(neither HOME nor an entry in passwd\)$"
    )
    for value in (None, "~/mine"):
        if value is not None:
            monkeypatch.setenv("CODESIGN_CACHE", value)
        with pytest.raises(StorageError, match=expected):
            folder()
    monkeypatch.setenv("CODESIGN_CACHE", "/somewhere")
    assert folder() == Path("/somewhere")
    monkeypatch.delenv("CODESIGN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert folder() == Path("/caches/codesign/nets")
