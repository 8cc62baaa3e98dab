"""Run an emitted Tcl script against the recorder that stands for the vendor's tools."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

RECORDER = Path(__file__).parent / "vendor_recorder.tcl"


@dataclass(frozen=True)
class Recorded:
    """What a script did: the vendor commands in order, its exit code and what it printed."""

    calls: tuple[tuple[str, ...], ...]
    code: int
    output: str

    def of(self, *names: str) -> list[tuple[str, ...]]:
        """The calls of these commands, in order."""
        return [call for call in self.calls if call[0] in names]


def run_script(project: Path, script: str, **settings: str) -> Recorded:
    """Run ``script`` in the project's folder; ``settings`` are the recorder's."""
    if shutil.which("tclsh") is None:
        pytest.skip("tclsh is not on the PATH (Debian: apt-get install tcl)")
    record = project / "calls.jsonl"
    environment = {**os.environ, **settings, "RECORD": str(record)}
    command = ["tclsh", str(RECORDER), script]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    calls = tuple(tuple(json.loads(line)) for line in record.read_text().splitlines())
    return Recorded(calls, done.returncode, done.stdout + done.stderr)


def write_rendered(files: dict[str, str], folder: Path) -> None:
    """Write what :func:`hw_templates.project.render.render` made."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
