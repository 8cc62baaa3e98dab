import dataclasses

import pytest

from codesign.run import Run, read_json
from codesign.supernet.checkpoint import read_checkpoint, write_checkpoint
from codesign.supernet.spaces import DIGITS, load_space
from codesign.verbs.context import load_data, load_searched, load_trained
from hw_templates.errors import InvalidValueError, StorageError


def test_what_the_verbs_wrote_is_read_back(finished_run: Run) -> None:
    searched = load_searched(finished_run)
    settings = read_json(finished_run.configuration)["search"]
    assert searched.board.name == settings["board"]
    assert searched.task.settings.pairs == settings["pairs"]
    assert searched.accuracies.trained.checkpoint.finished
    assert searched.task.location.storage == str(finished_run.study)


def test_a_study_is_named_after_what_it_depends_on(finished_run: Run, tmp_path) -> None:
    name = load_searched(finished_run).task.location.name
    assert name.startswith("digits-pynq-z2-")
    other = Run(tmp_path / "other")
    for path in ("run.json", "supernet.pt", "predictor.npz"):
        (other.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (other.folder / path).write_bytes((finished_run.folder / path).read_bytes())
    assert load_searched(other).task.location.name == name
    other.configure("search", {**other.settings("search"), "board": "kv260"}, replace=True)
    assert load_searched(other).task.location.name == name.replace("pynq-z2", "kv260")


def test_an_unfinished_training_says_how_to_finish_it(finished_run: Run, tmp_path) -> None:
    run = Run(tmp_path)
    run.configure("train", finished_run.settings("train"))
    whole = read_checkpoint(finished_run.checkpoint, load_space("digits"))
    write_checkpoint(run.checkpoint, dataclasses.replace(whole, step=3, losses=whole.losses[:3]))
    with pytest.raises(StorageError, match=r"training stopped at step 3 of \d+; run `codesign train"):
        load_trained(run)


def test_a_space_without_data_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"train\.space: must be digits"):
        load_data(dataclasses.replace(DIGITS, name="other"))
