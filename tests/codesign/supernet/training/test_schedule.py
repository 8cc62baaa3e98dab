import dataclasses
import itertools

import pytest

from codesign.supernet.training.named import load_schedule
from codesign.supernet.training.schedule import Augmentation, Phase, Schedule
from hw_templates.foundation.errors import InvalidValueError


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


def test_at_once_opens_everything_for_as_long():
    schedule = load_schedule("digits")
    at_once = schedule.at_once()
    assert (at_once.steps, len(at_once.phases)) == (schedule.steps, 1)
    assert at_once.phases[0].elastic == schedule.phases[-1].elastic


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
        (lambda: Schedule.from_dict({"name": "x"}), "schedule.phases"),
    ],
)
def test_bad_schedules_are_refused(make, field):
    with pytest.raises(InvalidValueError) as error:
        make()
    assert error.value.field == field
