"""Subnets in files of the user's."""

import json
from pathlib import Path

import pytest
from support.mutations import drive, from_file, mutated_json
from support.networks.named_spaces import DIGITS, OFA_RESNET50D

from codesign.run.requests import named_subnet
from codesign.supernet.spaces.space import Space
from hw_templates.foundation.errors import StorageError


@pytest.mark.parametrize("wrap", [lambda table: table, lambda table: {"origin": {"subnet": table}}])
@pytest.mark.parametrize("space", [DIGITS, OFA_RESNET50D], ids=lambda space: space.name)
def test_any_file_of_a_subnet_is_read_or_refused_in_one_line(space: Space, wrap, tmp_path: Path) -> None:
    path = tmp_path / "subnet.json"

    def read() -> None:
        space.encode(named_subnet(space, str(path)))

    accepted, refused = drive(from_file(path, read), mutated_json(wrap(space.largest().as_dict()), 700))
    assert accepted > 5
    assert refused > 400


@pytest.mark.parametrize("resolution", ['"12"', "12.0", "true", "1e999", "[" * 100_000, "null"])
def test_a_resolution_that_is_no_whole_number_is_named(resolution: str, tmp_path: Path) -> None:
    path, table = tmp_path / "subnet.json", {**DIGITS.largest().as_dict(), "resolution": "here"}
    path.write_text(json.dumps(table).replace('"here"', resolution))
    with pytest.raises(StorageError, match=r"subnet\.json: .*; name largest, smallest, or a JSON file"):
        named_subnet(DIGITS, str(path))
