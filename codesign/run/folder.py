"""A run: one folder with its configuration, checkpoints, study, project and report."""

import fcntl
import functools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from hw_templates.foundation import json_records
from hw_templates.foundation.atomic_file import write_text_atomically
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.lock import open_lock

RUN_FORMAT = 1
REMAKE = "delete it and run the command that makes it again"
"""Advice for a damaged file that a command makes from others."""
ANOTHER_RUN = "restore it from a copy, or name another run folder"
"""Advice for a damaged file that nothing makes again."""
P = ParamSpec("P")
T = TypeVar("T")

_MAKERS = {
    "predictor.json": "predictor RUN",
    "fronts.json": "search RUN",
    "winner.json": "winner RUN",
    "front.json": "emit RUN",
    "project/project.json": "emit RUN",
    "csim.json": "csim RUN",
    "dataflow/front.json": "emit RUN --template hls4ml",
    "dataflow/project.json": "emit RUN --template hls4ml",
    "dataflow/verification.json": "csim RUN --template hls4ml",
    "left_out.json": "calibrate fit --measurements FILE --out RUN",
}
"""Files, as they lie in their folder RUN, to the commands that make them."""


@dataclass(frozen=True)
class Run:
    """Where everything of one run lies. Nothing is created before something is written."""

    folder: Path

    @property
    def configuration(self) -> Path:
        """What each command was asked for."""
        return self.folder / "run.json"

    @property
    def checkpoint(self) -> Path:
        """The supernet, trained or in training."""
        return self.folder / "supernet.pt"

    @property
    def accuracies(self) -> Path:
        """Accuracies measured so far, one line a subnet."""
        return self.folder / "accuracies.jsonl"

    @property
    def predictor(self) -> Path:
        """The accuracy predictor."""
        return self.folder / "predictor.npz"

    @property
    def predictor_quality(self) -> Path:
        """How well the predictor ranks subnets that it was not fitted on."""
        return self.folder / "predictor.json"

    @property
    def study(self) -> Path:
        """Default storage of the study: an Optuna journal file."""
        return self.folder / "study.journal"

    @property
    def fronts(self) -> Path:
        """The Pareto fronts of the joint search and the baselines, and their hypervolumes."""
        return self.folder / "fronts.json"

    @property
    def winner(self) -> Path:
        """The winning pair of the search as it was last shown."""
        return self.folder / "winner.json"

    @property
    def measured_front(self) -> Path:
        """What is left of the joint front once its accuracies are measured."""
        return self.folder / "front.json"

    @property
    def project(self) -> Path:
        """The emitted HLS project."""
        return self.folder / "project"

    @property
    def verification(self) -> Path:
        """What the C simulation counted and compared."""
        return self.folder / "csim.json"

    @property
    def build(self) -> Path:
        """The bitstream that was built of the project, and how it compares with the prediction."""
        return self.folder / "build.json"

    @property
    def bundle(self) -> Path:
        """The project as a tar that builds on another machine."""
        return self.folder / "bundle.tar"

    @property
    def deployment(self) -> Path:
        """What the board did: accuracy, latency and energy, beside the prediction."""
        return self.folder / "deploy.json"

    @property
    def measurements(self) -> Path:
        """Every measured run on a board, one line each."""
        return self.folder / "measurements.jsonl"

    @property
    def report(self) -> Path:
        """The HTML page and its pictures."""
        return self.folder / "report"

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Keep other processes from writing into the run meanwhile; the folder is made.

        The claim ends with the process, however that ends.

        Raises:
            StorageError: another process has claimed the run, or the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = open_lock(self.folder / ".claim")
        except OSError as error:
            raise StorageError(f"{self.folder}: cannot be written ({error.strerror or error}); free it") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StorageError(
                    f"{self.folder}: another process is at work in this run; wait for it, or name another run folder"
                ) from None
            yield
        finally:
            os.close(descriptor)

    def read(self) -> dict[str, dict[str, Any]]:
        """Each command's settings; empty for a run that has not begun.

        Raises:
            StorageError: the configuration is corrupt or of another version.
        """
        if not self.configuration.exists():
            return {}
        record = json_records.read_json(self.configuration, dict[str, Any], ANOTHER_RUN)
        if record.get("format") != RUN_FORMAT:
            raise StorageError(
                f"{self.configuration}: format {record.get('format')!r}, this version reads {RUN_FORMAT}"
            )
        sections = {name: section for name, section in record.items() if name != "format"}
        for name, section in sections.items():
            if not isinstance(section, dict):
                raise StorageError(f"{self.configuration}: {name[:40]!r} must be an object; {ANOTHER_RUN}")
        return sections

    def settings(self, command: str) -> dict[str, Any]:
        """What ``command`` was asked for in this run.

        Raises:
            StorageError: it has not run here yet.
        """
        sections = self.read()
        if command not in sections:
            raise StorageError(
                f"{self.folder}: no {command} in this run yet; run `codesign {command} {self.folder}` first"
            )
        return sections[command]

    def configure(self, command: str, settings: dict[str, Any], replace: bool = False) -> None:
        """Record what ``command`` is asked for; a command that goes on must be asked for the same, unless ``replace``.

        Raises:
            InvalidValueError: a setting differs from the run's.
            StorageError: the folder cannot be written, or holds something corrupt.
        """
        sections = self.read()
        for name, value in settings.items():
            recorded = sections.get(command, {}).get(name, value)
            if recorded != value and not replace:
                was = recorded["file"] if isinstance(recorded, dict) and "file" in recorded else recorded
                raise InvalidValueError(
                    f"{command}.{name}", value, f"{was!r} as before in {self.folder}; or name another run folder"
                )
        if sections.get(command) != settings:
            write_json(self.configuration, {"format": RUN_FORMAT, **sections, command: settings})


def claiming(command: Callable[Concatenate[Run, P], None], /) -> Callable[Concatenate[Run, P], None]:
    """The command, with its run claimed from other processes meanwhile."""

    @functools.wraps(command)
    def claimed(run: Run, /, *args: P.args, **kwargs: P.kwargs) -> None:
        # A run that is not there yet is for the command to complain about.
        with run.claim() if run.folder.is_dir() else nullcontext():
            command(run, *args, **kwargs)

    return claimed


def read_json(path: Path, kind: type[T]) -> T:
    """Read a JSON file as a value of type ``kind``, most often a dataclass of :mod:`codesign.run.records`.

    Raises:
        StorageError: missing, unreadable or no ``kind``; the message says what to do.
    """
    if not path.exists():
        raise StorageError(f"{path}: is missing{_how_to_make(path)}")
    return json_records.read_json(path, kind, REMAKE)


def write_json(path: Path, record: Any) -> None:
    """Write a dataclass or a dictionary as a JSON object, atomically."""
    values = asdict(record) if is_dataclass(record) and not isinstance(record, type) else record
    write_text_atomically(path, json.dumps(values, indent=2) + "\n")


def _how_to_make(path: Path) -> str:
    """The end of a message about a missing file: which command makes it, where one does."""
    # Of several places that fit, the most exact one: front.json also lies in dataflow.
    for place in sorted(_MAKERS, key=len, reverse=True):
        if path.match(place):
            folder = path.parents[place.count("/")]
            return f"; run `codesign {_MAKERS[place].replace('RUN', str(folder))}` first"
    return ""
