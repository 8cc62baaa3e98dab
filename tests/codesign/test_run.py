from pathlib import Path

import pytest

from codesign.run import Run, read_json, write_json
from hw_templates.errors import InvalidValueError, StorageError


def test_nothing_is_created_by_looking(tmp_path: Path) -> None:
    run = Run(tmp_path / "new")
    assert run.read() == {}
    with pytest.raises(StorageError, match="no train in this run yet; run `codesign train"):
        run.settings("train")
    assert not run.folder.exists()


def test_a_verb_goes_on_only_with_the_settings_it_began_with(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.configure("train", {"space": "digits", "seed": 0})
    run.configure("train", {"space": "digits", "seed": 0})
    run.configure("search", {"board": "pynq-z2"})
    with pytest.raises(InvalidValueError, match=r"train\.seed: must be 0 as before in .*, got 1"):
        run.configure("train", {"space": "digits", "seed": 1})
    assert run.settings("train") == {"space": "digits", "seed": 0}
    run.configure("search", {"board": "kv260"}, replace=True)
    assert run.settings("search") == {"board": "kv260"}


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 99}', "\x00"])
def test_a_corrupt_or_foreign_configuration_is_named(tmp_path: Path, content: str) -> None:
    run = Run(tmp_path)
    run.configuration.write_text(content)
    with pytest.raises(StorageError, match=r"run\.json: (is corrupt|format 99)"):
        run.read()
    assert run.configuration.read_text() == content


def test_json_round_trips_and_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [1, 2]})
    assert read_json(tmp_path / "x.json") == {"a": [1, 2]}
    with pytest.raises(StorageError, match="is missing; run the verb that makes it first"):
        read_json(tmp_path / "y.json")
