import dataclasses

import numpy as np
import pytest
import torch

from codesign.supernet.data.augmentation import change, draw_changes
from codesign.supernet.data.batches import draw_step, open_batches
from codesign.supernet.data.data_set import Split, load_digits
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


def made(digits, schedule, steps=(0,), processes=ALONE, resolutions=(8, 12)):
    with open_batches(digits, schedule, resolutions, 3, processes) as batches:
        return [batches.groups(step) for step in steps]


def test_a_batch_is_made_of_what_its_step_draws(digits):
    """1,078 training images are 3 batches of 270 an epoch; what is left over waits for the next permutation."""
    ((images, labels),) = made(digits, SCHEDULE, (4,))[0]
    draws = draw_step(3, 4, (8, 12))
    rows = np.random.default_rng([3, 0, 1]).permutation(1078)[270:540]
    generator = torch.Generator().manual_seed(draws.batch_seed)
    part = digits.images[Split.TRAIN]
    changed = change(part.pixels[rows], draw_changes(SCHEDULE.augmentation, 270, generator), draws.resolution)
    assert torch.equal(images, digits.normalise(changed))
    assert torch.equal(labels, part.labels[rows])


def test_resolutions_vary_from_step_to_step(digits):
    sides = [groups[0][0].shape[-1] for groups in made(digits, SCHEDULE, range(8))]
    assert set(sides) == {8, 12}


def test_batches_do_not_depend_on_which_were_asked_for_before(digits):
    in_order = made(digits, SCHEDULE, range(4))
    for step in (3, 1):
        (alone,) = made(digits, SCHEDULE, (step,))
        assert torch.equal(alone[0][0], in_order[step][0][0])
    jumping = made(digits, SCHEDULE, (0, 3, 2))
    assert torch.equal(jumping[2][0][0], in_order[2][0][0])


def test_groups_are_the_batch_in_parts_whoever_computes_them(digits):
    whole = made(digits, SCHEDULE)[0][0]
    groups = made(digits, IN_GROUPS)[0]
    assert [len(labels) for _, labels in groups] == [90, 90, 90]
    torch.testing.assert_close(torch.cat([images for images, _ in groups]), whole[0])
    first, second = (made(digits, IN_GROUPS, processes=Processes(rank, 2))[0] for rank in (0, 1))
    assert [len(first), len(second)] == [2, 1]
    for group, same in zip((first[0], second[0], first[1]), groups, strict=True):
        assert torch.equal(group[0], same[0])
        assert torch.equal(group[1], same[1])


def test_small_data_sets_make_small_batches(digits):
    few = digits.first({Split.TRAIN: 100})
    ((images, _),) = made(few, IN_GROUPS, (5,))[0]
    assert len(images) == 100
