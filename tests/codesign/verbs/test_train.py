import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from recorded_progress import RecordedProgress
from tiny_run import TINY

from codesign.run import Run
from codesign.supernet.accuracy import CALIBRATION_IMAGES
from codesign.supernet.checkpoint import read_checkpoint, write_checkpoint
from codesign.supernet.data import Split, load_digits
from codesign.supernet.network import recalibrate
from codesign.supernet.schedules import load_schedule
from codesign.supernet.space import Subnet
from codesign.supernet.spaces import DIGITS
from codesign.verbs.context import TrainRequest
from codesign.verbs.train import train


@pytest.fixture
def trained(finished_run: Run, tmp_path: Path) -> Run:
    """A run that has done its training and nothing else."""
    for path in (finished_run.configuration, finished_run.checkpoint):
        shutil.copy(path, tmp_path)
    return Run(tmp_path)


def train_again(run: Run) -> RecordedProgress:
    recorder = RecordedProgress()
    train(run, TrainRequest("digits", TINY.preset), recorder)
    return recorder


def plain_accuracy(run: Run, subnet: Subnet) -> float:
    """Share of the validation images that the subnet tells, its batch norms taken from training images."""
    supernet, data = read_checkpoint(run.checkpoint, DIGITS).supernet(), load_digits()
    calibration = data.resized(Split.TRAIN, subnet.resolution)[:CALIBRATION_IMAGES]
    with torch.no_grad():
        statistics = recalibrate(supernet, subnet, calibration)
        answers = supernet(data.resized(Split.VALIDATION, subnet.resolution), subnet, statistics).argmax(1)
    return float((answers == data.labels[Split.VALIDATION]).double().mean())


def test_the_checkpoint_is_what_was_asked_for(finished_run: Run) -> None:
    settings = {"space": "digits", "preset": TINY.preset, "seed": 0, "data": None, "subnet": None, "start_from": None}
    assert finished_run.settings("train") == settings
    checkpoint = read_checkpoint(finished_run.checkpoint, DIGITS)
    assert checkpoint.schedule == load_schedule(TINY.preset)
    assert checkpoint.seed == 0
    assert len(checkpoint.losses) == checkpoint.step == checkpoint.schedule.steps


def test_accuracies_are_those_of_both_ends_of_the_space(trained: Run) -> None:
    recorder = train_again(trained)
    # 3 resolutions; 9 blocks at depth 1 or 2, 9 at 1 to 3, 6 at 1 to 3.
    subnets = 3 * (9 + 9**2) * (9 + 9**2 + 9**3) * (6 + 6**2 + 6**3)
    assert f"digits: {subnets:.2g} subnets, {load_schedule(TINY.preset).steps} steps" in recorder.lines[0]
    stated = [float(number) for number in re.findall(r"([\d.]+)%", recorder.lines[1])]
    measured = [plain_accuracy(trained, subnet) for subnet in (DIGITS.largest(), DIGITS.smallest())]
    assert stated == pytest.approx([100 * accuracy for accuracy in measured], abs=0.051)
    kept = [json.loads(line) for line in trained.accuracies.read_text().splitlines()]
    assert [entry["accuracy"] for entry in kept] == pytest.approx(measured)


def test_a_finished_training_takes_no_step(trained: Run) -> None:
    before = trained.checkpoint.read_bytes()
    recorder = train_again(trained)
    assert recorder.stages == ["train"]
    assert recorder.updates == []
    assert trained.checkpoint.read_bytes() == before


def test_each_step_says_how_far_it_is(trained: Run) -> None:
    whole = read_checkpoint(trained.checkpoint, DIGITS)
    steps = whole.schedule.steps
    write_checkpoint(trained.checkpoint, dataclasses.replace(whole, step=steps - 3, losses=whole.losses[:-3]))
    recorder = train_again(trained)
    losses = read_checkpoint(trained.checkpoint, DIGITS).losses[-3:]
    assert recorder.updates == [
        ((steps - 2 + index) / steps, f"width, loss {loss:.2f}") for index, loss in enumerate(losses)
    ]
    assert recorder.updates[-1][0] == 1
