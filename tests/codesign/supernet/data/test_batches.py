import dataclasses

import numpy as np
import pytest
import torch

from codesign.supernet.data.batches import Batches
from codesign.supernet.data.data_set import ChosenImages, Split, change, draw_changes, load_digits
from codesign.supernet.training.processes import ALONE, Processes
from codesign.supernet.training.schedule import Augmentation, Phase, Schedule

SCHEDULE = Schedule(
    name="short",
    phases=(Phase(name="full", length=8, learning_rate=1e-3),),
    batch_size=270,
    weight_decay=0.0,
    label_smoothing=0.0,
    distillation=0.0,
    augmentation=Augmentation(shift=0.1, flip=True),
)
IN_GROUPS = dataclasses.replace(SCHEDULE, group_size=90)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def made(digits, schedule, first=0, processes=ALONE, resolutions=(8, 12)):
    stream = Batches(data=digits, schedule=schedule, resolutions=resolutions, seed=3, processes=processes)
    return list(stream.since(first))


def test_a_batch_is_made_of_what_its_step_draws(digits):
    """1,078 training images are 3 batches of 270 an epoch; what is left over waits for the next permutation."""
    batch = made(digits, SCHEDULE, 4)[0]
    ((images, labels),) = batch.groups
    rows = np.random.default_rng([3, 0, 1]).permutation(1078)[270:540]
    rng = np.random.default_rng([3, 1, 4])
    assert (batch.seed, batch.resolution) == (rng.integers(2**62), rng.choice((8, 12)))
    assert batch.rng.random() == rng.random()
    generator = torch.Generator().manual_seed(batch.seed)
    part = digits.images[Split.TRAIN]
    changed = change(part.pixels[rows], batch.resolution, draw_changes(SCHEDULE.augmentation, 270, generator))
    assert torch.equal(images, digits.normalise(changed))
    assert torch.equal(labels, part.labels[rows])


def test_resolutions_vary_from_step_to_step(digits):
    sides = [batch.groups[0][0].shape[-1] for batch in made(digits, SCHEDULE)]
    assert len(sides) == 8
    assert set(sides) == {8, 12}


def test_batches_do_not_depend_on_which_were_asked_for_before(digits):
    in_order = made(digits, SCHEDULE)
    for step in (3, 1):
        later = made(digits, SCHEDULE, step)
        assert len(later) == 8 - step
        assert torch.equal(later[0].groups[0][0], in_order[step].groups[0][0])
        assert torch.equal(later[-1].groups[0][0], in_order[-1].groups[0][0])
    assert made(digits, SCHEDULE, 8) == []


def test_groups_are_the_batch_in_parts_whoever_computes_them(digits):
    whole = made(digits, SCHEDULE)[0].groups[0]
    groups = made(digits, IN_GROUPS)[0].groups
    assert [len(labels) for _, labels in groups] == [90, 90, 90]
    torch.testing.assert_close(torch.cat([images for images, _ in groups]), whole[0])
    first, second = (made(digits, IN_GROUPS, processes=Processes(rank, 2))[0].groups for rank in (0, 1))
    assert [len(first), len(second)] == [2, 1]
    for group, same in zip((first[0], second[0], first[1]), groups, strict=True):
        assert torch.equal(group[0], same[0])
        assert torch.equal(group[1], same[1])


def test_small_data_sets_make_small_batches(digits):
    few = ChosenImages(digits.images[Split.TRAIN], torch.arange(100))
    few = dataclasses.replace(digits, images={**digits.images, Split.TRAIN: few})
    ((images, _),) = made(few, IN_GROUPS, 5)[0].groups
    assert len(images) == 100
