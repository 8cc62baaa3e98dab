"""A study of the joint search opens in optuna-dashboard with names a reader knows."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec

import pytest

from codesign.search.joint_search import joint_search
from codesign.search.problem import SearchSettings
from codesign.search.study import SearchTask, StudyLocation
from codesign.templates.engine.breeding import RoundPlan
from codesign.templates.engine.problem import EngineProblem
from cost_models.coefficients import load_coefficients

SERVE = "import sys; from optuna_dashboard._cli import main; sys.argv[0] = 'optuna-dashboard'; main()"


def fetch(url, process, patience_s=40):
    end = time.monotonic() + patience_s
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.read().decode()
        except urllib.error.URLError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.2)


@pytest.mark.skipif(find_spec("optuna_dashboard") is None, reason="optuna-dashboard is not installed")
def test_the_dashboard_shows_the_study(tmp_path, joint, oracle):
    path = tmp_path / "study.journal"
    plan = RoundPlan(subnets=16, accelerators=8, new_accelerators=8, new_period=2, first_accelerators=24, screened=1)
    location = StudyLocation(str(path), "digits on pynq-z2")
    task = SearchTask(
        location=location,
        problem=EngineProblem(joint, load_coefficients(), plan),
        oracle=oracle,
        accuracy_name="capacity",
        settings=SearchSettings(400),
    )
    result = joint_search(task)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVE, str(path), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            page = fetch(f"http://127.0.0.1:{port}/dashboard", process)
            studies = json.loads(fetch(f"http://127.0.0.1:{port}/api/studies", process))["study_summaries"]
            number = studies[0]["study_id"]
            study = json.loads(fetch(f"http://127.0.0.1:{port}/api/studies/{number}", process))
        finally:
            process.terminate()
            process.wait()
    assert "<title>Optuna Dashboard</title>" in page
    assert [one["study_name"] for one in studies] == ["digits on pynq-z2"]
    assert study["directions"] == ["maximize", "minimize", "minimize"]
    assert study["objective_names"] == ["accuracy", "latency_ms", "energy_mj"]
    assert len(study["trials"]) == len(task.open_study().trials)
    names = {parameter["name"] for parameter in study["union_search_space"]}
    assert names == set(joint.distributions)
    best = {tuple(trial["values"]) for trial in study["best_trials"]}
    assert best == {tuple(values) for values in result.front.values}
