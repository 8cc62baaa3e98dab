import dataclasses
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from support.networks.named_spaces import DIGITS
from support.networks.short_training import SHORT, StoppedError, assert_same, environment, train_in_small_steps
from support.networks.small_families import SMALL_RESNET

from codesign.supernet.data.batches import Batches
from codesign.supernet.data.data_set import UNCHANGED, Split, StoredImages, load_digits
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.mobile import BlockChoice, MobileSubnet
from codesign.supernet.training.checkpoint import read_checkpoint
from codesign.supernet.training.processes import ALONE
from codesign.supernet.training.schedule import Phase, load_schedule
from codesign.supernet.training.shrinking import begin_with, train
from hw_templates.foundation.errors import InvalidValueError, StorageError


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture(scope="module")
def uninterrupted(digits, tmp_path_factory):
    return train(DIGITS, digits, SHORT, tmp_path_factory.mktemp("run") / "supernet.pt", seed=1)


@pytest.mark.parametrize("stop", [1, 3, 4, 6, 9, 10])
def test_a_run_stopped_after_any_step_ends_as_one_that_was_not(digits, uninterrupted, tmp_path, stop):
    path = tmp_path / "supernet.pt"

    def on_step(progress):
        if progress.step == stop:
            raise StoppedError

    with pytest.raises(StoppedError):
        train_in_small_steps(DIGITS, digits, SHORT, path, seed=1, on_step=on_step)
    assert path.exists() == (stop > 1)
    resumed = []
    assert_same(train(DIGITS, digits, SHORT, path, seed=1, on_step=resumed.append), uninterrupted)
    assert [progress.step for progress in resumed] == list(range(stop, SHORT.steps + 1))


def test_weights_may_have_their_first_gradient_late_in_a_phase(digits, tmp_path):
    descent = dataclasses.replace(SHORT, optimiser="sgd", smallest_share=0)
    path = tmp_path / "supernet.pt"
    whole = train(DIGITS, digits, descent, tmp_path / "whole.pt")

    def on_step(progress):
        if progress.step == 8:
            raise StoppedError

    with pytest.raises(StoppedError):
        train_in_small_steps(DIGITS, digits, descent, path, on_step=on_step)
    assert_same(train(DIGITS, digits, descent, path), whole)


SCRIPT = """
import sys, time
from pathlib import Path
from support.networks.short_training import SHORT, train_in_small_steps
from codesign.supernet.data.data_set import load_digits
from support.networks.named_spaces import DIGITS

def on_step(progress):
    if progress.step == 8:
        time.sleep(3600)

train_in_small_steps(DIGITS, load_digits(), SHORT, Path(sys.argv[1]), seed=1, on_step=on_step)
"""


def test_a_killed_run_goes_on_where_it_was(digits, uninterrupted, tmp_path):
    path = tmp_path / "supernet.pt"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(path)], env=environment())
    try:
        while not (path.exists() and read_checkpoint(path, DIGITS).step == 7):
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert read_checkpoint(path, DIGITS).step == 7
    assert_same(train(DIGITS, digits, SHORT, path, seed=1), uninterrupted)


def test_a_finished_run_is_not_trained_again(digits, tmp_path):
    path = tmp_path / "supernet.pt"
    schedule = dataclasses.replace(SHORT, phases=SHORT.phases[:1])
    first = train(DIGITS, digits, schedule, path)
    steps = []
    assert_same(train(DIGITS, digits, schedule, path, on_step=steps.append), first)
    assert steps == []


def test_training_does_not_depend_on_the_number_of_threads_and_leaves_it(digits, uninterrupted, tmp_path):
    before = torch.get_num_threads()
    other = 1 if before > 1 else 2
    torch.set_num_threads(other)
    try:
        assert_same(train(DIGITS, digits, SHORT, tmp_path / "supernet.pt", seed=1), uninterrupted)
        assert torch.get_num_threads() == other
    finally:
        torch.set_num_threads(before)


def test_progress_and_losses_cover_every_step(digits, tmp_path):
    seen = []
    checkpoint = train(DIGITS, digits, SHORT, tmp_path / "supernet.pt", seed=1, on_step=seen.append)
    assert [progress.step for progress in seen] == list(range(1, 11))
    assert [progress.phase for progress in seen] == ["full"] * 3 + ["kernel"] * 2 + ["depth"] * 2 + ["width"] * 3
    assert tuple(progress.loss for progress in seen) == checkpoint.losses
    assert {progress.steps for progress in seen} == {10}


def trained_subnets(digits, path, monkeypatch, **changes):
    """Phase to the subnets that ran in its steps, in order."""
    ran, by_phase = [], {}
    forward = Supernet.forward

    def spy(self, images, subnet, *rest):
        ran.append(subnet)
        return forward(self, images, subnet, *rest)

    def on_step(progress):
        by_phase.setdefault(progress.phase, []).append(tuple(ran))
        ran.clear()

    monkeypatch.setattr(Supernet, "forward", spy)
    train(DIGITS, digits, dataclasses.replace(SHORT, **changes), path, on_step=on_step)
    return by_phase


def at(subnet, resolution):
    return dataclasses.replace(subnet, resolution=resolution)


def test_phases_free_kinds_of_genes_in_turn_and_are_taught_by_the_full_net(digits, tmp_path, monkeypatch):
    steps = trained_subnets(digits, tmp_path / "a.pt", monkeypatch, smallest_share=1.0, largest_share=0.0)
    full = DIGITS.largest()
    for subnets in steps["full"]:
        assert subnets == (at(full, subnets[0].resolution),)
    smallest = {
        "kernel": tuple(tuple(BlockChoice(3, 4) for _ in blocks) for blocks in full.stages),
        "depth": ((BlockChoice(3, 4),),) * 3,
        "width": ((BlockChoice(3, 1),),) * 3,
    }
    for phase, stages in smallest.items():
        for teacher, first, other in steps[phase]:
            assert teacher == at(full, teacher.resolution)
            assert first == MobileSubnet(teacher.resolution, stages)
            assert other.resolution == teacher.resolution
            assert phase != "kernel" or other.depths == full.depths
            assert phase == "width" or {block.expand for blocks in other.stages for block in blocks} == {4}


def test_choices_open_from_the_largest_down(digits, tmp_path, monkeypatch):
    phases = (
        SHORT.phases[0],
        Phase(
            name="depth 1",
            length=6,
            learning_rate=1e-3,
            subnets_per_step=4,
            elastic=("kernel", "depth"),
            open_choices=(("depth", 2), ("kernel", 1)),
        ),
    )
    steps = trained_subnets(
        digits, tmp_path / "a.pt", monkeypatch, phases=phases, smallest_share=1.0, largest_share=0.0
    )
    for _, first, *others in steps["depth 1"]:
        # Depths are 1 or 2 in the first stage, 1 to 3 in the others.
        assert first.depths == (1, 2, 2)
        for subnet in others:
            assert all(low <= depth for low, depth in zip((1, 2, 2), subnet.depths, strict=True))
            kernels = [max(block.kernel for block in blocks) for blocks in subnet.stages]
            assert kernels == [min(block.kernel for block in blocks) for blocks in subnet.stages] == [7, 7, 5]


def test_a_sandwich_has_both_ends_and_can_be_taught_by_its_own_full_net(digits, tmp_path, monkeypatch):
    changes = {"smallest_share": 0.0, "largest_share": 0.0, "sandwich": True}
    for teacher, others in (("first phase", 1), ("same step", 0)):
        path = tmp_path / f"{teacher}.pt"
        steps = trained_subnets(digits, path, monkeypatch, **changes, teacher=teacher)
        for subnets in steps["width"]:
            largest, smallest = subnets[others:]
            assert largest == at(DIGITS.largest(), largest.resolution)
            assert smallest == at(DIGITS.smallest(), largest.resolution)
            assert subnets[:others] == (largest,) * others
        assert [len(subnets) for subnets in steps["full"]] == [1, 1, 1]


def test_everything_can_be_elastic_from_the_start(digits, tmp_path, monkeypatch):
    phases = (dataclasses.replace(SHORT.phases[-1], length=SHORT.steps),)
    steps = trained_subnets(digits, tmp_path / "a.pt", monkeypatch, phases=phases)
    assert [len(subnets) for subnets in steps["width"]] == [2] * SHORT.steps


def test_widths_between_blocks_are_sorted_before_they_are_elastic(digits, tmp_path):
    space = dataclasses.replace(SMALL_RESNET, image_channels=1, resolutions=(32,))
    still = {"learning_rate": 1e-12, "elastic": ("width",)}
    phases = (
        SHORT.phases[0],
        Phase(name="width 1", length=1, open_choices=(("width", 2),), **still),
        Phase(name="width 2", length=1, **still),
    )
    ends = [
        train(space, digits, dataclasses.replace(SHORT, phases=phases[:count]), tmp_path / f"{count}.pt").supernet()
        for count in (1, 2, 3)
    ]
    full = space.largest()
    batch = digits.resized(Split.VALIDATION, 32)[:16]
    with torch.no_grad():
        before, *after = [end(batch, full) for end in ends]
    assert all(torch.allclose(logits, before, rtol=1e-3, atol=1e-4) for logits in after)
    readers = [(end.classifier.weight, end.blocks[-1].reduce.convolution.weight) for end in ends]
    falling = [bool((sum(one.abs().sum((0, 2, 3)) for one in both).diff() <= 1e-5).all()) for both in readers]
    assert falling == [False, True, True]


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_optimisers_go_on_where_they_were(digits, tmp_path, optimiser):
    schedule = dataclasses.replace(SHORT, phases=SHORT.phases[:2], optimiser=optimiser)
    whole = train(DIGITS, digits, schedule, tmp_path / "whole.pt", seed=1)

    def stop(progress):
        if progress.step == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        train_in_small_steps(DIGITS, digits, schedule, tmp_path / "parts.pt", seed=1, on_step=stop)
    assert_same(train(DIGITS, digits, schedule, tmp_path / "parts.pt", seed=1), whole)


def test_sgd_is_that_of_torch_with_nesterovs_momentum(digits, tmp_path):
    """One subnet at one size for three steps, beside a loop written out."""
    space = DIGITS.only(DIGITS.smallest())
    phase = Phase(name="all", length=3, learning_rate=0.1, warm_up=0)
    schedule = dataclasses.replace(SHORT, phases=(phase,), optimiser="sgd", weight_decay=0.0)
    checkpoint = train(space, digits, schedule, tmp_path / "supernet.pt", seed=1)
    network = Supernet(space, seed=1)
    optimiser = torch.optim.SGD(network.parameters(), momentum=0.9, nesterov=True)
    losses = []
    stream = Batches(data=digits, schedule=schedule, resolutions=space.resolutions, seed=1, processes=ALONE)
    for step, batch in enumerate(stream.since(0)):
        images, labels = batch.groups[0]
        loss = torch.nn.functional.cross_entropy(network(images, space.largest()), labels, label_smoothing=0.1)
        optimiser.param_groups[0]["lr"] = 0.1 * 0.5 * (1 + np.cos(np.pi * step / 3))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses == pytest.approx(checkpoint.losses, rel=1e-5)


def test_training_starts_from_given_weights(digits, uninterrupted, tmp_path):
    schedule = dataclasses.replace(SHORT, phases=(Phase(name="all", length=1, learning_rate=1e-9),))
    path = tmp_path / "supernet.pt"
    begin_with(uninterrupted.weights, DIGITS, digits, schedule, path)
    further = train(DIGITS, digits, schedule, path)
    before = path.read_bytes()
    begin_with(Supernet(DIGITS).state_dict(), DIGITS, digits, schedule, path)
    assert path.read_bytes() == before
    for name, tensor in further.weights.items():
        torch.testing.assert_close(tensor, uninterrupted.weights[name], rtol=0, atol=1e-6)


def test_the_full_net_can_take_part_in_every_step(digits, tmp_path, monkeypatch):
    steps = trained_subnets(digits, tmp_path / "a.pt", monkeypatch, smallest_share=0.0, largest_share=1.0)
    assert all(first == teacher for teacher, first, _ in steps["width"])


def test_the_first_loss_is_that_of_guessing(uninterrupted):
    """With a nearly silent classifier every class is equally likely: the loss is log(10)."""
    assert uninterrupted.losses[0] == pytest.approx(np.log(10), abs=0.15)


def test_training_learns(digits, tmp_path):
    schedule = load_schedule("digits-small")
    checkpoint = train(DIGITS, digits, schedule, tmp_path / "supernet.pt")
    full = DIGITS.largest()
    supernet = checkpoint.supernet()
    with torch.no_grad():
        logits = supernet(digits.resized(Split.VALIDATION, full.resolution), full)
    assert (logits.argmax(1) == digits.labels[Split.VALIDATION]).double().mean() > 0.5


@dataclasses.dataclass(frozen=True)
class SpoiledImages(StoredImages):
    """Images of which the fifth batch is not a number."""

    calls: list = dataclasses.field(default_factory=list)

    def resized(self, rows, resolution, changes=UNCHANGED):
        self.calls.append(changes)
        images = super().resized(rows, resolution, changes)
        return images * float("nan") if len(self.calls) == 5 else images


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(digits, tmp_path):
    path = tmp_path / "supernet.pt"
    steps = []
    train_part = digits.images[Split.TRAIN]
    images = {**digits.images, Split.TRAIN: SpoiledImages(train_part.pixels, train_part.labels)}
    bad = dataclasses.replace(digits, images=images)
    batch_seed = np.random.default_rng([1, 1, 4]).integers(2**62)
    with pytest.raises(
        InvalidValueError, match=rf"training\.loss: .*step 5 \(phase kernel, batch seed {batch_seed}\).*got nan"
    ):
        train_in_small_steps(DIGITS, bad, SHORT, path, seed=1, on_step=lambda done: steps.append(done.step))
    assert steps == [1, 2, 3, 4]
    assert read_checkpoint(path, DIGITS).step == 4


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_spoiled(digits, tmp_path, monkeypatch):
    path = tmp_path / "supernet.pt"
    norms = []

    def total_norm(gradients):
        norms.append(gradients)
        return torch.tensor(float("inf") if len(norms) == 3 else 1.0)

    monkeypatch.setattr("codesign.supernet.training.shrinking.get_total_norm", total_norm)
    with pytest.raises(
        InvalidValueError, match=r"training\.gradient: .*step 3 \(phase full, batch seed \d+\).*got inf"
    ):
        train_in_small_steps(DIGITS, digits, SHORT, path, seed=1)
    kept = read_checkpoint(path, DIGITS)
    assert kept.step == 2
    assert all(tensor.isfinite().all() for tensor in kept.weights.values())


def test_another_schedule_or_seed_is_refused(digits, uninterrupted, tmp_path):
    path = tmp_path / "supernet.pt"
    train(DIGITS, digits, dataclasses.replace(SHORT, phases=SHORT.phases[:1]), path, seed=1)
    before = path.read_bytes()
    for schedule, seed in ((SHORT, 1), (dataclasses.replace(SHORT, phases=SHORT.phases[:1]), 2)):
        with pytest.raises(StorageError, match=r"trained by schedule short and seed 1"):
            train(DIGITS, digits, schedule, path, seed=seed)
    assert path.read_bytes() == before


def test_data_that_do_not_fit_the_space_are_refused(digits, tmp_path):
    path = tmp_path / "supernet.pt"
    for changes, field in (({"image_channels": 3}, "digits.channels"), ({"num_classes": 9}, "digits.classes")):
        with pytest.raises(InvalidValueError) as error:
            train(dataclasses.replace(DIGITS, **changes), digits, SHORT, path)
        assert error.value.field == field
    assert not path.exists()


def test_an_unwritable_folder_is_named(digits, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        train(DIGITS, digits, dataclasses.replace(SHORT, phases=SHORT.phases[:1]), tmp_path / "file" / "supernet.pt")


def test_initial_weights_are_those_of_the_seed(uninterrupted):
    start = Supernet(DIGITS, seed=1).state_dict()
    assert start.keys() == uninterrupted.weights.keys()
    moved = [name for name in start if not torch.equal(start[name], uninterrupted.weights[name])]
    assert "stem.weight" in moved
    assert "classifier.weight" in moved
