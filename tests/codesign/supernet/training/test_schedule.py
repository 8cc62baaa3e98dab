import dataclasses
import itertools
import json

import pytest
from support.networks.named_spaces import OFA_RESNET50D

from codesign.supernet.spaces.named import load_space, space_names
from codesign.supernet.spaces.space import kind_of
from codesign.supernet.training.schedule import (
    SCHEDULES,
    Augmentation,
    Phase,
    Schedule,
    load_schedule,
    schedule_names,
)
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import check_record, parse_json


def test_steps_are_located_in_their_phases():
    schedule = dataclasses.replace(
        load_schedule("digits"),
        phases=(Phase(name="a", length=2, learning_rate=1.0), Phase(name="b", length=3, learning_rate=1.0)),
    )
    assert [schedule.locate(step) for step in range(schedule.steps)] == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    for step in (-1, 5):
        with pytest.raises(InvalidValueError, match="step"):
            schedule.locate(step)


def test_learning_rate_rises_and_falls():
    phase = Phase(name="a", length=100, learning_rate=0.5)
    rates = [phase.learning_rate_at(step) for step in range(100)]
    assert rates[:3] == [0.05, 0.1, pytest.approx(0.15)]
    assert rates[9] == rates[10] == 0.5
    assert rates[55] == pytest.approx(0.25)
    assert 0 < rates[99] < 0.001
    assert all(after < before for before, after in itertools.pairwise(rates[10:]))


def test_epochs_become_steps_of_whole_batches():
    """ImageNet without its validation part: 1,271,167 images are 620 whole batches of 2,048."""
    schedule = load_schedule("ofa-imagenet").in_steps(1_271_167)
    assert schedule.unit == "steps"
    assert [phase.length for phase in schedule.phases] == [620 * epochs for epochs in (180, 125, 25, 125, 25, 125)]
    assert schedule.steps == 620 * 605
    assert schedule.in_steps(5) == schedule


def test_one_subnet_takes_as_long_as_all_of_them():
    schedule = load_schedule("digits")
    alone = schedule.for_one_subnet()
    assert (alone.steps, len(alone.phases)) == (schedule.steps, 1)
    assert alone.phases[0].learning_rate == schedule.phases[0].learning_rate


def test_groups_share_out_the_images_of_a_step():
    schedule = load_schedule("ofa-imagenet")
    assert [schedule.groups(images) for images in (10**6, 2048, 200, 20)] == [32, 32, 3, 1]
    assert load_schedule("digits").groups(1000) == 1


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Phase(name="a", length=0, learning_rate=1.0), "phase.length"),
        (lambda: Phase(name="a", length=1, learning_rate=float("nan")), "phase.learning_rate"),
        (lambda: Phase(name="a", length=1, learning_rate=1.0, elastic=("bits",)), "phase.elastic"),
        (
            lambda: Phase(
                name="a",
                length=1,
                learning_rate=1.0,
                subnets_per_step=1,
                elastic=("kernel",),
                open_choices=(("depth", 2),),
            ),
            "phase.open_choices",
        ),
        (lambda: Phase(name="a", length=1, learning_rate=1.0, warm_up=1), "phase.warm_up"),
        (lambda: Augmentation(degrees=-1), "augmentation.degrees"),
        (lambda: Augmentation(least_area=0), "augmentation.least_area"),
        (lambda: dataclasses.replace(load_schedule("digits"), optimiser="adam"), "schedule.optimiser"),
        (lambda: dataclasses.replace(load_schedule("digits"), group_size=48), "schedule.group_size"),
        (lambda: dataclasses.replace(load_schedule("digits"), teacher="same step"), "schedule.teacher"),
        (lambda: dataclasses.replace(load_schedule("ofa-imagenet"), sandwich=True), "schedule.subnets_per_step"),
        (lambda: load_schedule("ofa-imagenet").steps, "schedule.unit"),
        (lambda: dataclasses.replace(load_schedule("digits"), phases=()), "schedule.phases"),
        (lambda: dataclasses.replace(load_schedule("digits"), batch_size=1), "schedule.batch_size"),
        (lambda: check_record({"name": "x"}, Schedule, "schedule"), "schedule.phases"),
    ],
)
def test_bad_schedules_are_refused(make, field):
    with pytest.raises(InvalidValueError) as error:
        make()
    assert error.value.field == field


@pytest.mark.parametrize("name", schedule_names())
def test_schedules_survive_json(name):
    schedule = load_schedule(name)
    assert schedule.name == name
    text = json.dumps(dataclasses.asdict(schedule))
    assert parse_json(text, Schedule, "schedule") == schedule


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
    for before, after in itertools.pairwise(phases):
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
        ("length = 60", "length = 0", r"schedule\.phases\[0\]\.length: must be a positive number, got 0"),
        ("learning_rate = 0.004", "learning_rate = nan", r"schedule\.phases\[0\]\.learning_rate: must be a positive"),
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
