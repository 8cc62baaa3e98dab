import argparse
import contextlib
import os

import numpy as np
import pytest
import torch
from support.mutations import drive, mutated_bytes

from codesign.supernet.published.weights_file import parse_weights, read_bytes
from hw_templates.foundation.errors import StorageError


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
    with pytest.raises(StorageError, match=r"w: an unsafe pickle, refused unread: it asks for \w+\.mkdir, "):
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


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "archive"])
def test_a_checkpoint_that_holds_classes_is_unsafe_and_not_damaged(tmp_path, legacy):
    content = {"model": {"a": torch.zeros(1)}, "args": argparse.Namespace(lr=0.1)}
    with pytest.raises(StorageError, match=r"w: an unsafe pickle.* asks for argparse\.Namespace, .*state_dict\(\)"):
        parse_weights(saved(tmp_path / "w", content, _use_new_zipfile_serialization=not legacy), tmp_path / "w")


STATE = {"first.weight": torch.arange(6.0).reshape(2, 3), "first.bias": torch.arange(2.0)}
PREFIXES = ("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module.", "model.")
CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "module", "ema", "state_dict_ema")


@pytest.mark.parametrize(
    "wrapped",
    [
        *({name: STATE, "epoch": 3, "optimizer": {"lr": 0.1}} for name in CONTAINERS),
        {"model": {"state_dict": STATE}},
        {"state_dict": STATE, "state_dict_ema": {name: -tensor for name, tensor in STATE.items()}},
        *(
            {f"{prefix}{name}": tensor for name, tensor in STATE.items()}
            for prefix in (
                "module.",
                "_orig_mod.",
                "module._orig_mod.",
                "_orig_mod.module.",
                "module.module.",
                "model.",
            )
        ),
        {f"model._orig_mod.{name}": tensor for name, tensor in STATE.items()},
        {name.replace("first.", "first._orig_mod."): tensor for name, tensor in STATE.items()},
        {"n_averaged": torch.tensor(7), **{f"module.{name}": tensor for name, tensor in STATE.items()}},
        {"model": {f"module.{name}": tensor for name, tensor in STATE.items()}},
    ],
)
def test_the_wrappers_of_training_scripts_are_stripped(tmp_path, wrapped):
    read = parse_weights(saved(tmp_path / "w", wrapped), tmp_path / "w")
    assert read.keys() == STATE.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize(
    "kept",
    [
        {"module.first.weight": torch.zeros(1), "second.weight": torch.zeros(1)},
        {"module.a": torch.zeros(1), "module._orig_mod.a": torch.ones(1)},
        {"n_averaged": torch.zeros(1), "first.weight": torch.zeros(1)},
    ],
)
def test_names_that_are_no_wrappers_stay(tmp_path, kept):
    read = parse_weights(saved(tmp_path / "w", kept), tmp_path / "w")
    assert len(read) == len(kept)
    assert "second.weight" not in kept or read.keys() == kept.keys()


def test_parameters_come_back_as_plain_tensors(tmp_path):
    content = saved(tmp_path / "w", {"a": torch.nn.Parameter(torch.ones(2))})
    assert parse_weights(content, tmp_path / "w")["a"].numpy().tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(1).expand(1 << 40), "states 1,099,511,627,776 numbers and holds fewer"),
        (torch.eye(3).to_sparse(), "is no plain tensor of numbers"),
        (torch.zeros(2, dtype=torch.complex64), "is no plain tensor of numbers"),
        (torch.zeros(2, device="meta"), "is no plain tensor of numbers"),
        (torch.tensor([1e300], dtype=torch.float64), "holds what is no finite number"),
    ],
)
def test_what_is_no_plain_tensor_is_named(tmp_path, tensor, message):
    with pytest.raises(StorageError, match=f"w: a {message}"):
        parse_weights(saved(tmp_path / "w", {"a": tensor}), tmp_path / "w")


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "archive"])
def test_any_spoilt_file_is_read_or_refused_in_one_line(tmp_path, legacy):
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.arange(3)}
    whole = saved(tmp_path / "w", {"state_dict": state}, _use_new_zipfile_serialization=not legacy)
    accepted, refused = drive(lambda content: parse_weights(content, tmp_path / "w"), mutated_bytes(whole, 1_100))
    assert accepted > 10
    assert refused > 300


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
