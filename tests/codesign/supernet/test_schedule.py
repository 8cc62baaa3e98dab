import dataclasses
import itertools
import json

import pytest

from codesign.supernet.schedule import Phase, Schedule, load_schedule, schedule_names
from hw_templates.errors import InvalidValueError


@pytest.mark.parametrize("name", schedule_names())
def test_schedules_survive_json(name):
    schedule = load_schedule(name)
    assert schedule.name == name
    assert Schedule.from_dict(json.loads(json.dumps(schedule.as_dict()))) == schedule


def test_steps_are_located_in_their_phases():
    schedule = dataclasses.replace(load_schedule("digits"), phases=(Phase("a", 2, 1.0), Phase("b", 3, 1.0)))
    assert [schedule.locate(step) for step in range(schedule.steps)] == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    for step in (-1, 5):
        with pytest.raises(InvalidValueError, match="step"):
            schedule.locate(step)


def test_learning_rate_rises_and_falls():
    phase = Phase("a", 100, 0.5)
    rates = [phase.learning_rate_at(step) for step in range(100)]
    assert rates[:3] == [0.05, 0.1, pytest.approx(0.15)]
    assert rates[9] == rates[10] == 0.5
    assert rates[55] == pytest.approx(0.25)
    assert 0 < rates[99] < 0.001
    assert all(after < before for before, after in itertools.pairwise(rates[10:]))


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Phase("a", 0, 1.0), "phase.steps"),
        (lambda: Phase("a", 1, float("nan")), "phase.learning_rate"),
        (lambda: Phase("a", 1, 1.0, elastic=("bits",)), "phase.elastic"),
        (lambda: dataclasses.replace(load_schedule("digits"), phases=()), "schedule.phases"),
        (lambda: dataclasses.replace(load_schedule("digits"), batch_size=1), "schedule.batch_size"),
        (lambda: Schedule.from_dict({"name": "x"}), "schedule"),
        (lambda: load_schedule("imaginary"), "schedule"),
    ],
)
def test_bad_schedules_are_refused(make, field):
    with pytest.raises(InvalidValueError) as error:
        make()
    assert error.value.field == field
