import numpy as np

from codesign.progress import Silent
from codesign.run import Run, read_json
from codesign.search.pareto import ReferencePoint, nondominated
from codesign.search.worker import read_progress
from codesign.verbs.context import load_searched, recorded_request
from codesign.verbs.search import search


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


def test_baselines_are_searched_once(finished_run: Run) -> None:
    paths = sorted((finished_run.folder / "baselines").iterdir())
    assert [path.stem for path in paths] == ["random", "sequential"]
    before = [path.stat().st_mtime_ns for path in paths]
    search(finished_run, recorded_request(finished_run), baselines=True, progress=Silent())
    assert before == [path.stat().st_mtime_ns for path in paths]
