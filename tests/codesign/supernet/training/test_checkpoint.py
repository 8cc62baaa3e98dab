import dataclasses
import errno
import os

import pytest
import torch
from support.mutations import drive, mutated_bytes, mutated_fields, mutated_json
from support.networks.named_spaces import DIGITS
from support.networks.small_space import SMALL

from codesign.supernet.network.supernet import Supernet
from codesign.supernet.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from codesign.supernet.training.schedule import Augmentation, Phase, Schedule, load_schedule
from hw_templates.foundation.errors import StorageError


@pytest.fixture(scope="module")
def checkpoint():
    supernet = Supernet(DIGITS)
    optimiser = torch.optim.AdamW(supernet.parameters())
    supernet.stem.weight.sum().backward()
    optimiser.step()
    weights, schedule = supernet.state_dict(), load_schedule("digits")
    return Checkpoint(
        space=DIGITS,
        schedule=schedule,
        seed=7,
        step=2,
        losses=(1.25, 0.1),
        weights=weights,
        teacher=Supernet(DIGITS, 1).state_dict(),
        optimiser=optimiser.state_dict(),
    )


@pytest.fixture
def path(checkpoint, tmp_path):
    path = tmp_path / "supernet.pt"
    write_checkpoint(path, checkpoint)
    return path


def assert_equal(state, other):
    assert state.keys() == other.keys()
    assert all(torch.equal(state[name], other[name]) for name in state)


def test_everything_comes_back(checkpoint, path):
    read = read_checkpoint(path, DIGITS)
    for field in ("space", "schedule", "seed", "step", "losses", "digest"):
        assert getattr(read, field) == getattr(checkpoint, field)
    assert_equal(read.weights, checkpoint.weights)
    assert_equal(read.teacher, checkpoint.teacher)
    assert_equal(read.optimiser["state"][0], checkpoint.optimiser["state"][0])
    assert_equal(read.supernet().state_dict(), checkpoint.weights)
    assert not read.finished


def test_files_need_no_pickled_code(path):
    assert torch.load(path, weights_only=True)["step"] == 2


def test_digest_names_the_weights(checkpoint):
    changed = {name: tensor.clone() for name, tensor in checkpoint.weights.items()}
    assert dataclasses.replace(checkpoint, weights=changed, step=3).digest == checkpoint.digest
    changed["stem.weight"][0, 0, 0, 0] += 1e-3
    assert dataclasses.replace(checkpoint, weights=changed).digest != checkpoint.digest


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
def test_a_cut_off_checkpoint_is_named(path, keep):
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(StorageError, match=r"supernet\.pt: is corrupt .*not a whole checkpoint.*delete it"):
        read_checkpoint(path, DIGITS)


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_damaged_byte_is_noticed(path, place):
    content = bytearray(path.read_bytes())
    start = int(place * len(content))
    content[start : start + 64] = bytes(byte ^ 0x55 for byte in content[start : start + 64])
    path.write_bytes(bytes(content))
    with pytest.raises(StorageError, match="not a whole checkpoint"):
        read_checkpoint(path, DIGITS)


def test_another_file_of_torch_is_no_checkpoint(path):
    torch.save([1, 2], path)
    with pytest.raises(StorageError, match="not a whole checkpoint"):
        read_checkpoint(path, DIGITS)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"none\.pt: no such checkpoint; train"):
        read_checkpoint(tmp_path / "none.pt", DIGITS)


def test_another_space_and_another_format_are_told_apart(path):
    with pytest.raises(StorageError, match="a checkpoint of space digits, wanted other"):
        read_checkpoint(path, dataclasses.replace(DIGITS, name="other"))
    with pytest.raises(StorageError, match="another definition of space digits"):
        read_checkpoint(path, dataclasses.replace(DIGITS, final_width=64))
    content = torch.load(path, weights_only=True)
    torch.save({**content, "format": 99}, path)
    with pytest.raises(StorageError, match="format 99"):
        read_checkpoint(path, DIGITS)


def test_a_full_disk_leaves_the_old_checkpoint(checkpoint, path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_checkpoint(path, dataclasses.replace(checkpoint, seed=8))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


HOSTILE = (
    None, True, -1, 3, 10**400, 0.5, float("nan"), "", "x\ny", "{}", "[" * 100_000, "null", b"x", [], {}, [1], {"a": 1},
    {"a": torch.zeros(1)}, torch.zeros(0), torch.zeros(2), torch.tensor(float("nan")), torch.zeros(1).expand(10**9),
    *(torch.zeros(2, dtype=kind) for kind in (torch.int64, torch.complex64, torch.bfloat16)),
    torch.zeros(2).to_sparse(),
)  # fmt: skip
"""Values that a file of torch may hold without running code."""


def test_any_checkpoint_is_read_or_refused_in_one_line(tmp_path):
    path, supernet = tmp_path / "supernet.pt", Supernet(SMALL)
    schedule = Schedule(
        name="short",
        phases=(Phase(name="full", length=3, learning_rate=0.1),),
        batch_size=4,
        weight_decay=0.0,
        label_smoothing=0.0,
        distillation=0.0,
        augmentation=Augmentation(),
    )
    optimiser = torch.optim.SGD([supernet.stem.weight]).state_dict()
    state = supernet.state_dict()
    write_checkpoint(
        path,
        Checkpoint(
            space=SMALL,
            schedule=schedule,
            seed=0,
            step=2,
            losses=(0.5, 0.25),
            weights=state,
            teacher=state,
            optimiser=optimiser,
        ),
    )
    whole = path.read_bytes()
    fields = torch.load(path, weights_only=True)

    def read(content):
        # To truncate an old file waits for the disk.
        path.unlink()
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        checkpoint = read_checkpoint(path, SMALL)
        assert len(checkpoint.digest) == 16
        assert all(bool(torch.isfinite(tensor).all()) for tensor in checkpoint.supernet().state_dict().values())

    accepted, refused = drive(read, mutated_bytes(whole, 1_000))
    assert accepted + refused == 1_000
    assert refused > 900
    accepted, refused = drive(read, mutated_fields(fields, HOSTILE, 600))
    assert accepted > 20
    assert refused > 300
    schedules = mutated_json(dataclasses.asdict(schedule), 400)
    accepted, refused = drive(read, ({**fields, "schedule": text.decode(errors="replace")} for text in schedules))
    assert accepted > 20
    assert refused > 200
