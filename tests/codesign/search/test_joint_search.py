import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing.process import BaseProcess

import numpy as np
import optuna
import pytest
from support.paused_accuracy import PausedAccuracy
from support.pricing.capacity_accuracy import TINY

from codesign.search.joint_search import joint_search, read_progress
from codesign.search.joint_space import JointSpace
from codesign.search.pareto import nondominated
from codesign.search.study import StudyLocation
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import InfeasibleError

# Pairs of a round of the plan.
BATCH = 16 * 8


def test_a_search_fills_a_study_anyone_can_read(make_task):
    task = make_task(12 * BATCH)
    seen = []
    result = joint_search(task, seen.append)
    assert result.progress.pairs >= 12 * BATCH
    assert result.progress == seen[-1]
    assert [progress.rounds for progress in seen] == list(range(1, len(seen) + 1))
    study = task.open_study()
    feasible = [trial for trial in study.trials if max(trial.constraints.values()) <= 0]
    assert 0 < len(feasible) < len(study.trials)
    # Optuna's own front honours the constraints and is the front of the search.
    best = {tuple(trial.values) for trial in study.best_trials}
    assert best == {tuple(values) for values in result.front.values}
    assert {trial.number for trial in study.best_trials} <= {trial.number for trial in feasible}
    board = task.problem.joint.accelerators.board
    for trial in study.trials:
        assert trial.constraints["dsp"] == trial.user_attrs["dsp"] - board.dsp
        assert trial.params["pe_rows"] % (trial.params["axi_bits"] // 8) == 0


def test_nothing_is_done_or_written_once_the_budget_is_spent(make_task, tmp_path):
    task = make_task(3 * BATCH)
    first = joint_search(task)
    before = (tmp_path / "a.journal").read_bytes()
    again = joint_search(task, lambda progress: pytest.fail(str(progress)))
    assert np.array_equal(first.front.values, again.front.values)
    assert (tmp_path / "a.journal").read_bytes() == before


def test_ctrl_c_at_any_round_changes_nothing_but_the_time(make_task):
    straight = joint_search(make_task(12 * BATCH, "straight"))
    task = make_task(12 * BATCH, "interrupted")

    def interrupt(progress):
        if progress.rounds in (1, 4, 6):
            raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            joint_search(task, interrupt)
    resumed = joint_search(task)
    assert resumed.progress.rounds == straight.progress.rounds
    assert np.array_equal(resumed.front.rows, straight.front.rows)
    assert np.array_equal(resumed.front.values, straight.front.values)


SCRIPT = """
import sys
from support.pricing.capacity_accuracy import TINY, CapacityAccuracy
from codesign.search import joint_search as module
from codesign.templates.engine.breeding import RoundPlan
from codesign.templates.engine.problem import EngineProblem
from codesign.search.study import SearchTask
from codesign.search.joint_search import joint_search
from codesign.search.joint_space import JointSpace
from codesign.search.study import StudyLocation
from codesign.search.problem import SearchSettings
from cost_models.coefficients import load_coefficients
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.board import load_board

module._FLUSH_S = 0.0
joint = JointSpace(TINY, AcceleratorSpace(load_board("pynq-z2")))
settings = SearchSettings(10**9, 0, 1)
plan = RoundPlan(
    subnets=16, accelerators=8, new_accelerators=8, new_period=4, first_accelerators=24, screened=1
)
task = SearchTask(
    location=StudyLocation(sys.argv[1], "search"),
    problem=EngineProblem(joint, load_coefficients(), plan),
    oracle=CapacityAccuracy(TINY),
    accuracy_name="capacity",
    settings=settings,
)
joint_search(task, lambda progress: print(progress.rounds, flush=True))
"""


def test_kill_9_loses_one_round_and_the_search_goes_on(make_task, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "tests/lib")
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "a.journal")], stdout=subprocess.PIPE, text=True
    ) as process:
        rounds = 0
        while rounds < 5:
            rounds = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.wait()
    task = make_task(14 * BATCH)
    written = read_progress(task.open_study())
    assert written.rounds >= rounds - 1
    trials = len(task.open_study().trials)
    assert trials > 0
    result = joint_search(task)
    assert 14 * BATCH <= result.progress.pairs < 16 * BATCH
    assert result.progress.rounds > written.rounds
    params = [tuple(sorted(t.params.items())) for t in task.open_study().trials if max(t.constraints.values()) <= 0]
    assert len(params) == len(set(params)) >= trials


def test_two_workers_share_a_study(make_task):
    task = make_task(16 * BATCH, workers=2)
    seen = []
    result = joint_search(task, seen.append)
    assert 16 * BATCH <= result.progress.pairs <= 20 * BATCH
    trials = task.open_study().trials
    assert {trial.user_attrs["worker"] for trial in trials} == {0, 1}
    assert nondominated(result.front.values).all()
    # Each continues where it was, and one more joins.
    more = joint_search(replace(task, settings=replace(task.settings, pairs=24 * BATCH, workers=3)))
    assert more.progress.pairs >= 24 * BATCH
    assert {trial.user_attrs["worker"] for trial in task.open_study().trials} == {0, 1, 2}
    for value in result.front.values:
        assert ((more.front.values[:, 0] >= value[0]) & (more.front.values[:, 1:] <= value[1:]).all(axis=1)).any()


def test_ctrl_c_stops_the_workers_too(make_task):
    def interrupt(progress):
        if progress.pairs:
            raise KeyboardInterrupt

    task = make_task(10**7, workers=2)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        joint_search(task, interrupt)
    assert time.monotonic() - start < 30
    assert not multiprocessing.active_children()
    assert read_progress(task.open_study()).rounds >= 2


INTERRUPTED = """
import sys
import optuna
import typer
from support.pricing.capacity_accuracy import TINY
from codesign.cli.console import session
from codesign.templates.engine.breeding import RoundPlan
from codesign.templates.engine.problem import EngineProblem
from codesign.search.study import SearchTask
from codesign.search.joint_search import joint_search
from codesign.search.joint_space import JointSpace
from codesign.search.study import StudyLocation
from codesign.search.problem import SearchSettings
from cost_models.coefficients import load_coefficients
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.board import load_board
from support.paused_accuracy import PausedAccuracy

journal, place, gate = sys.argv[1:]
sys.argv[1:] = []

def search(context: typer.Context) -> None:
    with session(context):
        joint_search(task, lambda progress: progress.pairs and print("running", flush=True))

optuna.logging.set_verbosity(optuna.logging.WARNING)
joint = JointSpace(TINY, AcceleratorSpace(load_board("pynq-z2")))
settings = SearchSettings(10**9, 0, 2)
plan = RoundPlan(
    subnets=16, accelerators=8, new_accelerators=8, new_period=4, first_accelerators=24, screened=1
)
oracle = PausedAccuracy(TINY, place, gate)
task = SearchTask(
    location=StudyLocation(journal, "search"),
    problem=EngineProblem(joint, load_coefficients(), plan),
    oracle=oracle,
    accuracy_name="capacity",
    settings=settings,
)
typer.run(search)
"""


@pytest.mark.parametrize("place", ["sending", "starting", "running"])
def test_ctrl_c_in_a_terminal_says_one_line_wherever_the_workers_are(tmp_path, monkeypatch, place):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["tests/lib", os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, "-c", INTERRUPTED, tmp_path / "a.journal", place, tmp_path / "gate"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout.readline() == ("running\n" if place == "running" else "paused\n")
            os.killpg(process.pid, signal.SIGINT)
            (tmp_path / "gate").touch()
            _, errors = process.communicate(timeout=120)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert errors == "codesign: stopped; the same command goes on from here\n"
    assert process.returncode == 130


def test_another_ctrl_c_ends_workers_that_do_not_stop(make_task, tmp_path, monkeypatch):
    join, calls = BaseProcess.join, []

    def interrupted_join(self, timeout=None):
        calls.append(self)
        if len(calls) == 1:
            raise KeyboardInterrupt
        join(self, timeout)

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(BaseProcess, "join", interrupted_join)
    # Nothing opens the gate: the workers never come to look whether they are to stop.
    task = replace(make_task(100, workers=2), oracle=PausedAccuracy(TINY, "starting", str(tmp_path / "gate")))
    with pytest.raises(KeyboardInterrupt):
        joint_search(task, interrupt)
    assert not multiprocessing.active_children()
    assert {process.exitcode for process in calls} == {-signal.SIGTERM}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_board_where_nothing_fits(make_task, joint, workers):
    board = replace(joint.accelerators.board, bram_18k=10)
    joint = JointSpace(joint.space, AcceleratorSpace(board))
    with pytest.raises(InfeasibleError, match=r"fits pynq-z2: the nearest needs \d+ bram_18k of 10"):
        joint_search(make_task(100, joint=joint, workers=workers))


def test_sqlite_works_too(make_task, tmp_path):
    task = make_task(2 * BATCH)
    task = replace(task, location=StudyLocation(f"sqlite:///{tmp_path}/s.db", "search"))
    front = joint_search(task).front
    assert np.array_equal(joint_search(make_task(2 * BATCH, "b")).front.values, front.values)
    assert optuna.load_study(study_name="search", storage=f"sqlite:///{tmp_path}/s.db").metric_names == [
        "accuracy",
        "latency_ms",
        "energy_mj",
    ]
