import dataclasses
import json
from itertools import pairwise

import pytest

from codesign.supernet.spaces.named import OFA_RESNET50D, load_space, space_names
from codesign.supernet.spaces.space import kind_of
from codesign.supernet.training.named import SCHEDULES, load_schedule, schedule_names
from codesign.supernet.training.schedule import Schedule
from hw_templates.foundation.errors import InvalidValueError, StorageError


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


@pytest.mark.parametrize("name", schedule_names())
def test_every_schedule_begins_one_of_your_own(name, tmp_path):
    (tmp_path / "mine.toml").write_text(SCHEDULES.text(name))
    assert load_schedule(str(tmp_path / "mine.toml")) == dataclasses.replace(load_schedule(name), name="mine")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("batch_size = 128", "", r"schedule\.batch_size: must be given, got None"),
        ("batch_size", "batchsize", r"schedule\.batchsize: must be given as batch_size, got 128"),
        ("sandwich = true", "sandwitch = true", r"schedule\.sandwitch: must be given as sandwich, got True"),
        ('unit = "epochs"', 'unit = "hours"', r"schedule\.unit: must be .*'hours'"),
        ("length = 60", "length_epochs = 60", r"schedule\.phases\[0\]\.length: must be given, got None"),
        ("length = 60", "length = 0", r"phase\.length: must be positive, got 0"),
        ("learning_rate = 0.004", "learning_rate = nan", r"phase\.learning_rate: must be a number, got nan"),
        ('"kernel"]', '"kernels"]', r"phase\.elastic: must be chosen from depth, .*, got \('kernels',\)"),
        ('["cifar10", ', "[1, ", r"schedule\.spaces\[0\]: must be text, got 1"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_by_its_field(before, after, message, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SCHEDULES.text("cifar10").replace(before, after, 1))
    with pytest.raises(StorageError, match=rf"mine\.toml: {message}") as error:
        load_schedule(str(path))
    assert "\n" not in str(error.value)
