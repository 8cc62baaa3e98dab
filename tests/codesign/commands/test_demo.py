import shutil
from pathlib import Path

import pytest
from support.json_file import read_json
from support.tiny_run import TINY, make_tiny_run

from codesign.commands.demo import FULL, SMALL
from codesign.run.folder import Run
from codesign.run.requests import load_trained
from codesign.run.searched import load_searched
from codesign.supernet.accuracy.predictor import read_predictor
from codesign.supernet.training.schedule import load_schedule


@pytest.fixture
def run(finished_run: Run, tmp_path: Path) -> Run:
    """A copy of the finished run, to go on with."""
    return Run(Path(shutil.copytree(finished_run.folder, tmp_path / finished_run.folder.name)))


def test_every_command_is_asked_for_what_the_scale_says(finished_run: Run) -> None:
    record = read_json(finished_run.configuration)
    assert record.pop("format") == 1
    assert list(record) == ["train", "predictor", "search", "emit"]
    from_scratch = {"data": None, "subnet": None, "start_from": None}
    assert record["train"] == {"space": "digits", "preset": TINY.preset, "seed": 0, **from_scratch}
    assert record["predictor"] == {"samples": TINY.samples, "seed": 0}
    search = {"board": "pynq-z2", "pairs": TINY.pairs, "workers": 1, "storage": None, "seed": 0}
    assert record["search"] == {
        **search,
        "coefficients": "prior",
        "space": None,
        "accuracy": "predictor",
        "implementation": "hls",
    }
    assert record["emit"] == dict.fromkeys(("max_latency_ms", "min_accuracy", "within", "rule"))


def test_every_command_works_on_what_the_one_before_made(finished_run: Run) -> None:
    trained, searched = load_trained(finished_run), load_searched(finished_run)
    digest = trained.checkpoint.digest
    read_predictor(finished_run.predictor, trained.space, digest)
    study = searched.task.location.name
    assert read_json(finished_run.fronts)["study"] == read_json(finished_run.measured_front)["study"] == study
    project = read_json(finished_run.project / "project.json")
    assert project["origin"]["checkpoint"] == digest
    assert read_json(finished_run.verification)["program_sha256"] == project["program_sha256"]
    assert f"{project['predicted']['latency_ms']:.4f} ms" in (finished_run.report / "index.html").read_text()


def contents(run: Run) -> dict[str, bytes]:
    """All files of the run but what a compiler made."""
    files = {path.relative_to(run.folder): path for path in run.folder.rglob("*") if path.is_file()}
    return {str(name): path.read_bytes() for name, path in files.items() if "build" not in name.parts}


def test_what_is_missing_is_made_again_and_nothing_else(run: Run) -> None:
    before = contents(run)
    trained = run.checkpoint.stat().st_mtime_ns
    shutil.rmtree(run.project)
    shutil.rmtree(run.report)
    run.verification.unlink()
    make_tiny_run(run)
    after = contents(run)
    assert after.keys() == before.keys()
    assert [name for name in before if after[name] != before[name]] == []
    assert run.checkpoint.stat().st_mtime_ns == trained


def test_the_small_demo_does_less_of_everything() -> None:
    assert load_schedule(SMALL.preset).steps < load_schedule(FULL.preset or "digits").steps
    assert SMALL.samples < FULL.samples
    assert SMALL.pairs < FULL.pairs
