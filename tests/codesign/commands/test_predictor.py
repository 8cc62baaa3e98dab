import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.json_file import read_json
from support.recorded_progress import RecordedProgress
from support.tiny_run import TINY

from codesign.cli.text.run import predictor_lines
from codesign.commands.training import SPLITS, fit
from codesign.run.folder import Run


@pytest.fixture
def run(finished_run: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))


def test_the_quality_is_told_with_its_interval_over_splits(run: Run) -> None:
    result = fit(run, TINY.samples, 0, RecordedProgress())
    record, said = read_json(run.predictor_quality), " ".join(predictor_lines(result))
    assert f"{SPLITS} splits" in said
    for name, key, factor in (("Kendall tau", "kendall_tau", 1), ("Spearman", "spearman", 1), ("RMSE", "rmse", 100)):
        found = re.search(rf"{name} (-?[\d.]+) \((-?[\d.]+) to (-?[\d.]+)\)", said)
        assert found is not None, said
        values = factor * np.array(record[key])
        assert len(values) == SPLITS
        mean, low, high = map(float, found.groups())
        assert mean == pytest.approx(values.mean(), abs=0.006)
        assert values.min() - 0.006 <= low <= mean <= high <= values.max() + 0.006
