import contextlib
import os

import numpy as np
import pytest
import torch

from codesign.supernet.weights_file import parse_weights, read_bytes
from hw_templates.errors import StorageError


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def saved(path, content, **options):
    torch.save(content, path, **options)
    return path.read_bytes()


def test_weights_come_back_by_name(tmp_path):
    state = {"a.weight": torch.randn(3, 2), "a.bias": torch.arange(3)}
    for content in (state, {"state_dict": state, "epoch": 3}):
        read = parse_weights(saved(tmp_path / "w", content), tmp_path / "w")
        assert read.keys() == state.keys()
        assert all(torch.equal(read[name], state[name]) for name in state)


def test_nothing_in_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match="no whole file of weights"):
        parse_weights(saved(tmp_path / "w", {"a": Evil()}), tmp_path / "w")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "archive"])
def test_damage_is_told_in_one_line(tmp_path, legacy):
    whole = saved(tmp_path / "w", {"a": torch.randn(50)}, _use_new_zipfile_serialization=not legacy)
    rng = np.random.default_rng(0)
    for _ in range(150):
        cut = whole[: rng.integers(len(whole))]
        with pytest.raises(StorageError, match=r"w: no whole file of weights"):
            parse_weights(cut, tmp_path / "w")
    for _ in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(300, size=4):
            damaged[place] ^= int(rng.integers(1, 256))
        # What is damaged may still read as some weights: then there is nothing to tell.
        with contextlib.suppress(StorageError):
            parse_weights(bytes(damaged), tmp_path / "w")


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"a": 3}, {"state_dict": {"a": "text"}}, torch.zeros(2)])
def test_other_contents_are_refused(tmp_path, content):
    with pytest.raises(StorageError, match="something else than weights by name"):
        parse_weights(saved(tmp_path / "w", content), tmp_path / "w")


def test_what_is_no_number_is_named(tmp_path):
    content = saved(tmp_path / "w", {"a": torch.zeros(2), "b.bias": torch.tensor([1.0, float("nan")])})
    with pytest.raises(StorageError, match=r"b\.bias holds what is no finite number"):
        parse_weights(content, tmp_path / "w")


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(StorageError, match=r"absent: no such file; fetch it"):
        read_bytes(tmp_path / "absent", "fetch it")
    with pytest.raises(StorageError, match="cannot be read"):
        read_bytes(tmp_path, "fetch it")
