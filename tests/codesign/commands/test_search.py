import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from support.json_file import read_json

from codesign.commands.pairs import emit, winner
from codesign.commands.search import search
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.requests import EmitRequest, SearchRequest, load_trained
from codesign.run.searched import load_searched
from codesign.search.joint_search import read_progress
from codesign.search.journal import open_journal
from codesign.search.pareto import ReferencePoint, nondominated
from codesign.search.study import SearchTask, StudyLocation, open_study
from cost_models.coefficients import load_coefficients, write_coefficients
from cost_models.coefficients.fitted_range import range_of
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import ExtrapolationWarning, InvalidValueError, StorageError

ROOT = Path(__file__).parents[3]
SUPPORT = ROOT / "tests/lib"


def test_every_method_has_a_front_and_a_hypervolume_that_belong_together(finished_run: Run) -> None:
    record = read_json(finished_run.fronts)
    assert set(record["fronts"]) == set(record["hypervolumes"]) == {"joint", "random", "sequential"}
    reference = ReferencePoint(**record["reference"])
    for name, values in record["fronts"].items():
        front = np.array(values)
        assert nondominated(front).all()
        assert record["hypervolumes"][name] == reference.hypervolume(front) > 0


def test_the_study_counts_the_pairs_asked_for(finished_run: Run) -> None:
    searched = load_searched(finished_run)
    progress = read_progress(searched.task.open_study())
    assert progress.pairs >= searched.task.settings.pairs
    assert progress.candidates > 0


def test_coefficients_of_another_engine_are_warned_of_before_a_study_is_made(
    official_stand_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Accelerator(
        pe_rows=16,
        pe_cols=16,
        pe_pixels=1,
        pack=2,
        ifmap_kib=8,
        weight_kib=16,
        ofmap_kib=8,
        axi_bits=64,
        clock_mhz=100,
    )
    prior = load_coefficients()
    fitted = replace(prior, name="fitted", measurements=3, fitted_on=range_of([], [engine]))
    write_coefficients(tmp_path / "fitted", fitted)
    request = SearchRequest(
        board="kv260",
        pairs=4_000,
        workers=1,
        storage=None,
        seed=0,
        space="digits",
        accuracy="official",
        coefficients=str(tmp_path / "fitted"),
    )

    def stop(task: SearchTask) -> None:
        raise StorageError("no study yet")

    monkeypatch.setattr(SearchTask, "open_study", stop)
    with pytest.warns(ExtrapolationWarning) as caught, pytest.raises(StorageError, match="no study yet"):
        search(Run(tmp_path / "run"), request, Silent(), baselines=False)
    (line,) = (str(warning.message) for warning in caught if warning.category is ExtrapolationWarning)
    for clause in ("accelerator.pe_rows 64 is", "accelerator.weight_kib 128 is", "; clock_mhz ", "of 100 to 100"):
        assert clause in line


def test_baselines_are_searched_once(finished_run: Run) -> None:
    paths = sorted((finished_run.folder / "baselines").iterdir())
    assert [path.stem for path in paths] == ["random", "sequential"]
    before = [path.stat().st_mtime_ns for path in paths]
    search(finished_run, finished_run.settings(SearchRequest), Silent(), baselines=True)
    assert before == [path.stat().st_mtime_ns for path in paths]


def test_official_accuracies_are_searched_in_an_empty_folder_and_shown(official_stand_in: None, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    request = SearchRequest(
        board="kv260", pairs=4_000, workers=1, storage=None, seed=0, space="digits", accuracy="official"
    )
    search(run, request, Silent(), baselines=False)
    assert run.settings(SearchRequest) == request
    searched = load_searched(run)
    assert {trial.params["resolution"] for trial in searched.task.open_study().trials} <= {12, 16}
    winner(run, EmitRequest(), Silent())
    with pytest.raises(StorageError, match="weights: none in this run"):
        emit(run, EmitRequest(), Silent())
    made = {path.name for path in run.folder.iterdir() if not path.name.startswith(".")}
    assert made == {"run.json", "study.journal", "fronts.json", "winner.json"}


SEARCH = """
import sys
from pathlib import Path

sys.path.append(sys.argv[2])
from support.networks.official_stand_in import put_in_place
from support.recorded_progress import RecordedProgress
from codesign.run.folder import Run
from codesign.run.requests import SearchRequest
from codesign.commands.search import search

class Telling(RecordedProgress):
    def stage(self, name):
        print("begun", flush=True)
        return super().stage(name)

put_in_place()
request = SearchRequest(
    board="kv260", pairs=10**9, workers=1, storage=None, seed=0, space="digits", accuracy="official"
)
search(Run(Path(sys.argv[1])), request, Telling(), baselines=False)
"""


def test_of_two_searches_that_begin_in_one_new_folder_one_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "new"
    command = [sys.executable, "-c", SEARCH, str(folder), str(SUPPORT)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)
    ]
    try:
        # The one that came second ends; the other has a thousand million pairs before it.
        begun = [process.stdout.readline() for process in both if process.stdout]
        assert sorted(begun) == ["", "begun\n"]
        refused, searching = (both[begun.index(line)] for line in ("", "begun\n"))
        assert refused.wait(timeout=60) == 1
        assert refused.stderr is not None
        assert f"{folder}: another process is at work in this run" in refused.stderr.read().splitlines()[-1]
        assert searching.poll() is None
    finally:
        for process in both:
            process.kill()
            process.communicate()


def test_a_search_that_cannot_be_makes_no_folder(official_stand_in: None, tmp_path: Path) -> None:
    run = Run(tmp_path / "new")
    with pytest.raises(InvalidValueError, match=r"search\.space: must be given"):
        search(
            run,
            SearchRequest(board="kv260", pairs=100, workers=1, storage=None, seed=0, accuracy="official"),
            Silent(),
            baselines=False,
        )
    assert not run.folder.exists()


def test_another_board_is_another_study_of_the_same_run(official_stand_in: None, tmp_path: Path) -> None:
    run, names = Run(tmp_path), []
    for board in ("pynq-z2", "kv260"):
        request = SearchRequest(
            board=board, pairs=1_000, workers=1, storage=None, seed=0, space="digits", accuracy="official"
        )
        search(run, request, Silent(), baselines=False)
        names.append(load_searched(run).task.location.name)
    assert sorted(optuna.get_all_study_names(open_journal(run.study))) == sorted(names)


def test_a_pair_with_official_accuracies_is_made_of_the_runs_weights(
    finished_run: Run, official_stand_in: None, tmp_path: Path
) -> None:
    run = Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))
    search(
        run,
        SearchRequest(board="pynq-z2", pairs=4_000, workers=1, storage=None, seed=0, accuracy="official"),
        Silent(),
        baselines=False,
    )
    emit(run, EmitRequest(), Silent())
    origin = read_json(run.project / "project.json")["origin"]
    assert origin["checkpoint"] == load_trained(run).checkpoint.digest
    # The search knew two of the supernet's three resolutions.
    assert origin["subnet"]["resolution"] in (12, 16)


def test_each_implementation_has_a_study_of_its_own_in_a_run(official_stand_in: None, tmp_path: Path) -> None:
    run, found = Run(tmp_path), {}
    for implementation in Implementation:
        request = SearchRequest(
            board="pynq-z2", pairs=1_000, space="digits", accuracy="official", implementation=implementation
        )
        search(run, request, Silent(), baselines=True)
        searched = load_searched(run)
        assert searched.problem.implementation == implementation
        found[searched.study] = searched.task.open_study()
    hls, rtl = found
    assert rtl.replace("-rtl", "-hls") == hls
    assert found[rtl].user_attrs["implementation"] == "rtl"
    with pytest.raises(StorageError, match=r"its .* is .*, this search has"):
        open_study(StudyLocation(str(run.study), hls), searched.task.identity)


def test_coefficients_of_another_implementation_are_refused_before_anything_is_made(
    official_stand_in: None, tmp_path: Path
) -> None:
    write_coefficients(tmp_path / "fitted", replace(load_coefficients(), name="fitted", measurements=3))
    request = SearchRequest(
        space="digits",
        accuracy="official",
        coefficients=str(tmp_path / "fitted"),
        implementation=Implementation.RTL,
    )
    with pytest.raises(InvalidValueError, match=r"coefficients\.implementation: must be rtl, which is priced; .*'hls'"):
        search(Run(tmp_path / "run"), request, Silent(), baselines=False)
    assert not (tmp_path / "run").exists()


def test_what_was_searched_for_one_implementation_is_not_emitted_for_the_other(finished_run: Run) -> None:
    before = (finished_run.project / "project.json").read_bytes()
    expected = f"must be hls, which {finished_run.folder} was searched for; leave it out, or search with"
    with pytest.raises(InvalidValueError, match=f"implementation: {re.escape(expected)} --implementation rtl"):
        emit(finished_run, EmitRequest(), Silent(), implementation="rtl")
    assert (finished_run.project / "project.json").read_bytes() == before
