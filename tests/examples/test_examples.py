"""Each script in `examples/` runs through and prints what its docstring promises; sizes are small here."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import codesign

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a predictor and an emitted project; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("examples") / "run"
    codesign.train(folder, space="digits", schedule="digits-small")
    codesign.fit_predictor(folder, samples=30)
    codesign.search(folder, pairs=2_000)
    codesign.emit(folder)
    return folder


def example(name: str, *options: str | Path, cwd: Path) -> list[str]:
    """Return the lines that a script prints, started in ``cwd`` with this checkout's packages."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, ROOT / "examples" / name, *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_own_sampler_prints_a_front_for_each_sampler(run: Path, tmp_path: Path) -> None:
    lines = example("own_sampler.py", "--run", run, "--trials", "4", cwd=tmp_path)
    heads = [line for line in lines if " trials, " in line]
    assert [head.partition(":")[0] for head in heads] == ["codesign", "own", "NSGA-II", "TPE"]
    assert all(": 4 trials, " in head for head in heads)
    assert re.fullmatch(r" +\d+\.\d\d%  +\d\.\d{4} ms  +\d\.\d{4} mJ  PEs \d+x\d+x\d+", lines[1])


def test_own_board_prices_accelerators_that_fit_it(tmp_path: Path) -> None:
    first, fastest, _ = example("own_board.py", "--accelerators", "150", cwd=tmp_path)
    fitting = re.fullmatch(r"A board of my own, with a smaller device: (\d+) of 150 accelerators fit", first)
    assert fitting
    assert int(fitting[1]) > 0
    needed = re.search(r"with (\d+) of 80 DSP slices and (\d+) of 20800 LUT", fastest)
    assert needed
    assert int(needed[1]) <= 80
    assert int(needed[2]) <= 20800


def test_own_space_is_trained_and_searched(tmp_path: Path) -> None:
    first, *pairs = example("own_space.py", "--pairs", "2000", "--run", "mine", cwd=tmp_path)
    assert first == "my-space: 800 subnets"
    assert pairs
    assert all(re.search(r"depths \([12], [12]\)$", pair) for pair in pairs)
    assert (tmp_path / "mine/predictor.npz").exists()


def test_own_accuracies_are_searched_with(tmp_path: Path) -> None:
    first, *pairs = example("own_accuracy.py", "--run", "own", cwd=tmp_path)
    assert re.fullmatch(r"\d+ pairs on the front of \d+ trials", first)
    accuracies = [float(pair.split("%")[0]) for pair in pairs]
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] < 80
    assert (tmp_path / "own/study.journal").exists()


def test_calibration_fits_the_twin_and_searches_again(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    planned, fitted, *predicted, prior, again = example(
        "calibrate.py", "run", "--budget", "8", "--pairs", "2000", cwd=tmp_path
    )
    assert planned == "planned 8 runs"
    assert re.fullmatch(r"fitted to 8 runs: mean error of left-out runs \d+\.\d%", fitted)
    assert len(predicted) == 3
    for line in predicted:
        low_ms, high_ms, measured_ms = map(float, re.findall(r"\d+\.\d+", line))
        assert 0 < low_ms <= high_ms
        assert low_ms / 1.5 < measured_ms < high_ms * 1.5
    assert prior.startswith("prior: fastest pair ")
    assert again.startswith("run/fitted: fastest pair ")
    assert (tmp_path / "run/fitted/calibration.json").exists()
