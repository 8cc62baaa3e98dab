import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from support.networks.image_folder import write_image_folder
from support.networks.named_spaces import DIGITS
from support.recorded_progress import RecordedProgress
from support.tiny_run import TINY

from codesign.cli.text.run import train_lines
from codesign.commands.training import request_training, train
from codesign.run.folder import Run
from codesign.run.requests import TrainRequest, load_trained
from codesign.supernet.accuracy.measured import CALIBRATION_IMAGES
from codesign.supernet.data.data_set import Split, load_digits
from codesign.supernet.network.subnets import recalibrate
from codesign.supernet.spaces.named import SPACES
from codesign.supernet.spaces.space import Subnet
from codesign.supernet.training.checkpoint import read_checkpoint, write_checkpoint
from codesign.supernet.training.schedule import SCHEDULES, load_schedule
from hw_templates.foundation.errors import InvalidValueError, StorageError


@pytest.fixture
def trained(finished_run: Run, tmp_path: Path) -> Run:
    """A run that has done its training and nothing else."""
    for path in (finished_run.configuration, finished_run.checkpoint):
        shutil.copy(path, tmp_path)
    return Run(tmp_path)


def train_again(run: Run) -> tuple[RecordedProgress, list[str]]:
    recorder = RecordedProgress()
    result = train(run, TrainRequest(space="digits", preset=TINY.preset), recorder)
    assert result is not None
    return recorder, list(train_lines(result))


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
    assert dataclasses.asdict(finished_run.settings(TrainRequest)) == settings
    checkpoint = read_checkpoint(finished_run.checkpoint, DIGITS)
    assert checkpoint.schedule == load_schedule(TINY.preset)
    assert checkpoint.seed == 0
    assert len(checkpoint.losses) == checkpoint.step == checkpoint.schedule.steps


def test_accuracies_are_those_of_both_ends_of_the_space(trained: Run) -> None:
    _, lines = train_again(trained)
    # 3 resolutions; 9 blocks at depth 1 or 2, 9 at 1 to 3, 6 at 1 to 3.
    subnets = 3 * (9 + 9**2) * (9 + 9**2 + 9**3) * (6 + 6**2 + 6**3)
    assert f"digits: {subnets:.2g} subnets, {load_schedule(TINY.preset).steps} steps" in lines[0]
    stated = [float(number) for number in re.findall(r"([\d.]+)%", lines[1])]
    measured = [plain_accuracy(trained, subnet) for subnet in (DIGITS.largest(), DIGITS.smallest())]
    assert stated == pytest.approx([100 * accuracy for accuracy in measured], abs=0.051)
    kept = [json.loads(line) for line in trained.accuracies.read_text().splitlines()]
    assert [entry["accuracy"] for entry in kept] == pytest.approx(measured)


def test_a_finished_training_takes_no_step(trained: Run) -> None:
    before = trained.checkpoint.read_bytes()
    recorder, _ = train_again(trained)
    assert recorder.stages == ["train"]
    assert recorder.updates == []
    assert trained.checkpoint.read_bytes() == before


def test_each_step_says_how_far_it_is(trained: Run) -> None:
    whole = read_checkpoint(trained.checkpoint, DIGITS)
    steps = whole.schedule.steps
    write_checkpoint(trained.checkpoint, dataclasses.replace(whole, step=steps - 3, losses=whole.losses[:-3]))
    recorder, _ = train_again(trained)
    losses = read_checkpoint(trained.checkpoint, DIGITS).losses[-3:]
    assert recorder.updates == [
        ((steps - 2 + index) / steps, f"width, loss {loss:.2f}") for index, loss in enumerate(losses)
    ]
    assert recorder.updates[-1][0] == 1


SMALLEST = DIGITS.smallest()


def test_one_subnet_is_taken_out_and_trained_further(finished_run: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "special")
    request = request_training(None, "digits-small", 0, None, "smallest", finished_run.folder)
    assert request == TrainRequest(
        space="digits",
        preset="digits-small",
        seed=0,
        data=None,
        subnet=SMALLEST.as_dict(),
        start_from=str(finished_run.folder.resolve()),
    )
    result = train(run, request, RecordedProgress())
    space = DIGITS.only(SMALLEST)
    further = read_checkpoint(run.checkpoint, space)
    assert further.schedule == load_schedule("digits-small").for_one_subnet()
    assert result is not None
    assert (result.space, result.subnets, result.steps) == ("digits-only", 1, len(further.losses))
    lines = list(train_lines(result))
    assert re.search(r"digits-only: 1 subnets, \d+ steps", lines[0])
    assert re.fullmatch(r" +validation accuracy: [\d.]+%", lines[1])
    train(Run(tmp_path / "alone"), dataclasses.replace(request, start_from=None), RecordedProgress())
    alone = read_checkpoint(tmp_path / "alone" / "supernet.pt", space)
    assert further.losses[0] < alone.losses[0]
    images = load_digits().resized(Split.TRAIN, SMALLEST.resolution)
    with torch.no_grad():
        losses = [
            torch.nn.functional.cross_entropy(net(images, space.largest()), load_digits().labels[Split.TRAIN])
            for net in (further.supernet(), alone.supernet())
        ]
    assert losses[0] < losses[1]


def test_the_subnet_comes_from_a_name_or_a_file(finished_run: Run, tmp_path: Path) -> None:
    project = finished_run.project / "project.json"
    expected = json.loads(project.read_text())["origin"]["subnet"]
    (tmp_path / "subnet.json").write_text(json.dumps(expected))
    for name in (str(project), str(tmp_path / "subnet.json")):
        request = request_training("digits", None, 0, None, name, None)
        assert request.subnet == expected
        assert request.load_space().size() == 1
    assert request_training("digits", None, 0, None, "largest", None).subnet == DIGITS.largest().as_dict()
    (tmp_path / "other.json").write_text('{"subnet": 3}')
    for name, error, words in (
        ("middle", InvalidValueError, "subnet: must be largest, smallest, or a JSON file .*, got 'middle'"),
        (
            str(tmp_path / "other.json"),
            StorageError,
            r"other\.json: subnet: must be an object, got 3; name largest, smallest",
        ),
    ):
        with pytest.raises(error, match=words):
            request_training("digits", None, 0, None, name, None)
    with pytest.raises(InvalidValueError, match=r"subnet\.resolution: must be one of \(24, 28, 32\)"):
        dataclasses.replace(request, space="cifar10").load_space()


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten classes of random pictures."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return write_image_folder(tmp_path / "pictures", 12, lambda _: (16, 16), tuple("abcdefghij"))


def test_a_folder_of_images_trains_a_space_and_is_remembered(pictures: Path, tmp_path: Path) -> None:
    run, recorder = Run(tmp_path / "run"), RecordedProgress()
    request = request_training("cifar10-small", "digits-small", 0, pictures, "smallest", None)
    train(run, request, recorder)
    assert run.settings(TrainRequest).data == str(pictures)
    trained = load_trained(run)
    assert trained.checkpoint.finished
    assert [len(trained.data.labels[split]) for split in Split] == [110, 10, 120]


def test_a_class_too_few_is_refused_before_anything_is_made(pictures: Path, tmp_path: Path) -> None:
    for part in ("train", "test"):
        shutil.rmtree(pictures / part / "j")
    request = request_training("cifar10-small", "digits-small", 0, pictures, None, None)
    with pytest.raises(InvalidValueError, match=r"pictures\.classes: must be 10 as in space cifar10-small, got 9"):
        train(Run(tmp_path / "run"), request, RecordedProgress())
    assert not (tmp_path / "run").exists()


def test_a_preset_that_leaves_choices_untrained_is_refused(pictures: Path, tmp_path: Path) -> None:
    request = request_training("cifar10", "digits-small", 0, pictures, None, None)
    expected = r"preset: must be one with elastic weight_bits, as space cifar10 has, got 'digits-small'"
    with pytest.raises(InvalidValueError, match=expected):
        train(Run(tmp_path / "run"), request, RecordedProgress())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("preset", ["cifar10", "digits-stream", "ofa-imagenet"])
def test_a_preset_of_another_space_needs_the_space_beside_it(preset: str) -> None:
    expected = (
        rf"--preset: must be one for space digits \(digits, digits-small\) unless --space is given, too, got '{preset}'"
    )
    with pytest.raises(InvalidValueError, match=expected):
        request_training(None, preset, 0, None, None, None)
    assert request_training("digits", preset, 0, None, None, None).preset == preset


def test_a_preset_is_held_against_the_space_of_the_run_that_training_starts_from(trained: Run) -> None:
    with pytest.raises(InvalidValueError, match=r"--preset: must be one for space digits .*got 'cifar10-fine-tuning'"):
        request_training(None, "cifar10-fine-tuning", 0, None, "largest", trained.folder)
    assert request_training(None, "digits-small", 0, None, "largest", trained.folder).space == "digits"


def test_a_run_at_work_is_left_alone(trained: Run) -> None:
    with trained.claim(), pytest.raises(StorageError, match="another process is at work in this run"):
        train_again(trained)


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, Path]:
    """A space and a schedule in files, as a user begins them."""
    space, schedule = tmp_path / "mine.toml", tmp_path / "short.toml"
    space.write_text(SPACES.text("digits").replace("final_width = 128", "final_width = 64"))
    schedule.write_text(re.sub(r"length = \d+", "length = 2", SCHEDULES.text("digits-small")))
    return space, schedule


def test_own_files_train_a_run_that_outlives_them(own: tuple[Path, Path], tmp_path: Path) -> None:
    space, schedule = own
    run = Run(tmp_path / "run")
    request = request_training(str(space), str(schedule), 0, None, None, None)
    train(run, request, RecordedProgress())
    # A comment is no change.
    space.write_text("# mine\n" + space.read_text())
    train(run, request_training(str(space), str(schedule), 0, None, None, None), RecordedProgress())
    for path in own:
        path.unlink()
    trained = load_trained(run)
    assert trained.space == dataclasses.replace(DIGITS, name="mine", final_width=64)
    assert trained.checkpoint.schedule.steps == 8
    assert run.settings(TrainRequest) == request
    train(run, request, RecordedProgress())


def test_a_file_that_changed_since_is_refused(own: tuple[Path, Path], tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    train(run, request_training(str(own[0]), str(own[1]), 0, None, None, None), RecordedProgress())
    for path, before, after in zip(own, ("width = 64", "length = 2"), ("width = 72", "length = 3"), strict=True):
        content = path.read_text()
        path.write_text(content.replace(before, after))
        request = request_training(str(own[0]), str(own[1]), 0, None, None, None)
        with pytest.raises(StorageError, match=rf"{path.name}: differs from the .* that the run began with; restore"):
            train(run, request, RecordedProgress())
        with pytest.raises(StorageError, match=rf"{path.name}: differs"):
            run.settings(TrainRequest).load_schedule() if path is own[1] else load_trained(run)
        path.write_text(content)
    load_trained(run)


def test_another_space_than_the_run_began_with_is_refused_by_its_file(own: tuple[Path, Path], tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    train(run, request_training(str(own[0]), str(own[1]), 0, None, None, None), RecordedProgress())
    with pytest.raises(InvalidValueError, match=rf"train\.space: must be '{own[0]}' as before in .*, got 'digits'"):
        train(run, request_training("digits", str(own[1]), 0, None, None, None), RecordedProgress())


def test_an_own_space_needs_a_schedule(own: tuple[Path, Path]) -> None:
    with pytest.raises(InvalidValueError, match="--preset: must be given, as no schedule is called mine, got None"):
        request_training(str(own[0]), None, 0, None, None, None)


def test_weights_of_another_space_are_refused(finished_run: Run, own: tuple[Path, Path], tmp_path: Path) -> None:
    request = request_training(str(own[0]), str(own[1]), 0, None, None, finished_run.folder)
    with pytest.raises(InvalidValueError, match=r"start_from: must be a run of space mine, or .*\(space digits\)"):
        train(Run(tmp_path / "run"), request, RecordedProgress())
    assert not (tmp_path / "run").exists()
