import json
from itertools import pairwise

import pytest

from codesign.supernet.spaces.named import OFA_RESNET50D, load_space, space_names
from codesign.supernet.spaces.space import kind_of
from codesign.supernet.training.schedule import Schedule
from codesign.supernet.training.schedules import load_schedule, schedule_names
from hw_templates.foundation.errors import InvalidValueError


@pytest.mark.parametrize("name", schedule_names())
def test_schedules_survive_json(name):
    schedule = load_schedule(name)
    assert schedule.name == name
    assert Schedule.from_dict(json.loads(json.dumps(schedule.as_dict()))) == schedule


def test_every_schedule_is_made_for_a_space_and_every_space_has_one_that_trains_all_its_choices():
    assert {name for space in space_names() for name in schedule_names(space)} == set(schedule_names())
    for space in space_names():
        choices = {kind_of(name) for name, _ in load_space(space).genes} - {"resolution"}
        assert any(
            choices <= {kind for phase in load_schedule(name).phases for kind in phase.elastic}
            for name in schedule_names(space)
        )


def test_the_published_schedule_opens_one_choice_after_the_other():
    """The tasks of train_ofa_net.py: choices, subnets a step and rates of one GPU of 64 images."""
    published = {
        "kernel": ({}, 1, 3e-2),
        "depth 1": ({"depth": 2}, 2, 2.5e-3),
        "depth 2": ({}, 2, 7.5e-3),
        "width 1": ({"expand": 2}, 4, 2.5e-3),
        "width 2": ({}, 4, 7.5e-3),
    }
    schedule = load_schedule("ofa-imagenet")
    gpus = schedule.batch_size / schedule.group_size
    found = {
        phase.name: (dict(phase.open_choices), phase.subnets_per_step, pytest.approx(phase.learning_rate / gpus))
        for phase in schedule.phases[1:]
    }
    assert found == published


def test_an_unknown_schedule_is_refused():
    with pytest.raises(
        InvalidValueError, match=r"schedule: must be one of cifar10, cifar10-fine-tuning, .*got 'imaginary'"
    ):
        load_schedule("imaginary")


def test_resnets_open_all_their_choices():
    kinds = {kind_of(name) for name, _ in OFA_RESNET50D.genes} - {"resolution"}
    phases = load_schedule("ofa-resnet50d").phases
    assert set(phases[-1].elastic) == kinds
    for before, after in pairwise(phases):
        assert set(before.elastic) <= set(after.elastic)
