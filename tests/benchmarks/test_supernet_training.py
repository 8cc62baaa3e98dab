"""What the benchmark of training changes of schedules and data."""

from pathlib import Path

import pytest
import torch

from codesign.supernet.data.data_set import Split, load_digits
from codesign.supernet.training.schedule import load_schedule


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import supernet_training

    return supernet_training


def test_at_once_opens_everything_for_as_long(benchmark):
    schedule = load_schedule("digits")
    opened = benchmark.at_once(schedule)
    assert (opened.steps, len(opened.phases)) == (schedule.steps, 1)
    assert opened.phases[0].elastic == schedule.phases[-1].elastic


def test_the_first_images_are_a_data_set_too(benchmark):
    digits = load_digits()
    few, all_of_them = (benchmark.with_training_images(digits, count) for count in (5, 10_000))
    assert torch.equal(few.resized(Split.TRAIN, 8), digits.resized(Split.TRAIN, 8, slice(5)))
    assert [len(few.labels[split]) for split in Split] == [5, 360, 359]
    assert [len(all_of_them.labels[split]) for split in Split] == [1078, 360, 359]
