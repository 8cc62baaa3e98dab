from pathlib import Path

from codesign.supernet.artefacts import cache_folder


def test_the_cache_is_where_the_user_wants_it(monkeypatch):
    for name in ("CODESIGN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/codesign")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/codesign")
    monkeypatch.setenv("CODESIGN_CACHE", "~/mine")
    assert cache_folder() == Path("/home/someone/mine")
