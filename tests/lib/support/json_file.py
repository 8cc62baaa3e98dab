"""JSON files as plain values, for tests that look at what was written."""

import json
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def write_json(path: Path, values: object) -> None:
    """Write values as a JSON file."""
    path.write_text(json.dumps(values))
