"""A run: one folder with its configuration, checkpoints, study, project and report."""

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar, cast

from hw_templates.foundation import json_records
from hw_templates.foundation.atomic_file import write_text_atomically
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import check_record, reading, without_format
from hw_templates.foundation.lock import exclusive

RUN_FORMAT = 1
REMAKE = "delete it and run the command that makes it again"
"""Advice for a damaged file that a command makes from others."""
ANOTHER_RUN = "restore it from a copy, or name another run folder"
"""Advice for a damaged file that nothing makes again."""
P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Settings")

_MAKERS = {
    "predictor.json": "predictor RUN",
    "fronts.json": "search RUN",
    "baselines/*.json": "search RUN",
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


class Settings:
    """Base of a dataclass with what a command is asked for, which a run folder records.

    Attributes:
        SECTION: name of its section in ``run.json``.
        COMMAND: command that records it in the run RUN, where it is not called as the section.
    """

    SECTION: ClassVar[str]
    COMMAND: ClassVar[str] = ""


@dataclass(frozen=True)
class Run:
    """Paths of everything in one run folder. Nothing is created before something is written."""

    folder: Path

    @property
    def configuration(self) -> Path:
        """Return the path of the settings of each command."""
        return self.folder / "run.json"

    @property
    def checkpoint(self) -> Path:
        """Return the path of the supernet, trained or in training."""
        return self.folder / "supernet.pt"

    @property
    def accuracies(self) -> Path:
        """Return the path of the accuracies measured so far, one line a subnet."""
        return self.folder / "accuracies.jsonl"

    @property
    def predictor(self) -> Path:
        """Return the path of the accuracy predictor."""
        return self.folder / "predictor.npz"

    @property
    def predictor_quality(self) -> Path:
        """Return the path of the predictor's quality on subnets that it was not fitted on."""
        return self.folder / "predictor.json"

    @property
    def study(self) -> Path:
        """Return the path of the default storage of the study, an Optuna journal file."""
        return self.folder / "study.journal"

    @property
    def fronts(self) -> Path:
        """Return the path of the Pareto fronts and hypervolumes of the joint search and the baselines."""
        return self.folder / "fronts.json"

    @property
    def winner(self) -> Path:
        """Return the path of the winning pair of the search as it was last shown."""
        return self.folder / "winner.json"

    @property
    def measured_front(self) -> Path:
        """Return the path of the pairs that the winner was chosen from."""
        return self.folder / "front.json"

    @property
    def project(self) -> Path:
        """Return the folder of the emitted HLS project."""
        return self.folder / "project"

    @property
    def verification(self) -> Path:
        """Return the path of the outcome of the C simulation."""
        return self.folder / "csim.json"

    @property
    def build(self) -> Path:
        """Return the path of the record of the bitstream that was built of the project."""
        return self.folder / "build.json"

    @property
    def bundle(self) -> Path:
        """Return the path of the project as a tar that builds on another machine."""
        return self.folder / "bundle.tar"

    @property
    def deployment(self) -> Path:
        """Return the path of what the board did."""
        return self.folder / "deploy.json"

    @property
    def measurements(self) -> Path:
        """Return the path of all measured runs on boards, one line each."""
        return self.folder / "measurements.jsonl"

    @property
    def report(self) -> Path:
        """Return the folder of the HTML page and its pictures."""
        return self.folder / "report"

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Keep other processes from writing into the run meanwhile; the folder is made.

        The claim ends with the process, however that ends.

        Raises:
            StorageError: another process has claimed the run, or the folder cannot be written.
        """
        busy = StorageError(
            f"{self.folder}: another process is at work in this run; wait for it, or name another run folder"
        )
        with exclusive(self.folder / ".claim", busy):
            yield

    def find(self, kind: type[S]) -> S | None:
        """Return what a command was asked for in this run; None where it has not run here.

        Raises:
            StorageError: the configuration is corrupt or of another format.
        """
        with reading(self.configuration, ANOTHER_RUN):
            section = self._sections().get(kind.SECTION)
            return None if section is None else check_record(section, kind, kind.SECTION)

    def settings(self, kind: type[S]) -> S:
        """Return what a command was asked for in this run.

        Raises:
            StorageError: it has not run here yet, or the configuration is corrupt or of another format.
        """
        found = self.find(kind)
        if found is None:
            command = kind.COMMAND or f"{kind.SECTION} RUN"
            raise StorageError(
                f"{self.folder}: no {command.replace('RUN ', '').removesuffix(' RUN')} in this run yet; "
                f"run `codesign {command.replace('RUN', str(self.folder))}` first"
            )
        return found

    def configure(self, settings: Settings, replace: bool = False) -> None:
        """Record what a command is asked for; one that resumes must be asked for the same, unless ``replace``.

        Raises:
            InvalidValueError: a setting differs from the run's.
            StorageError: the folder cannot be written, or its configuration is corrupt or of another format.
        """
        name, before = settings.SECTION, self.find(type(settings))
        if before == settings:
            return
        for field in () if before is None or replace else fields(cast(Any, settings)):
            recorded, value = getattr(before, field.name), getattr(settings, field.name)
            if recorded != value:
                was = recorded["file"] if isinstance(recorded, dict) and "file" in recorded else recorded
                raise InvalidValueError(
                    f"{name}.{field.name}",
                    value,
                    f"{was!r} as before in {self.folder}; or name another run folder",
                )
        sections = {"format": RUN_FORMAT, **self._sections(), name: asdict(cast(Any, settings))}
        write_text_atomically(self.configuration, json.dumps(sections, indent=2) + "\n")

    def _sections(self) -> dict[str, object]:
        """Return the settings by the name of their section; none for a run that has not begun."""
        if not self.configuration.exists():
            return {}
        record = json_records.read_json(self.configuration, dict[str, object], ANOTHER_RUN)
        with reading(self.configuration, ANOTHER_RUN):
            return without_format(record, RUN_FORMAT, "run")


def claiming(command: Callable[Concatenate[Run, P], T], /) -> Callable[Concatenate[Run, P], T]:
    """Return the command, which then claims its run from other processes while it runs."""

    @functools.wraps(command)
    def claimed(run: Run, /, *args: P.args, **kwargs: P.kwargs) -> T:
        # A run that is not there yet is for the command to complain about.
        with run.claim() if run.folder.is_dir() else nullcontext():
            return command(run, *args, **kwargs)

    return claimed


def read_json(path: Path, kind: type[T]) -> T:
    """Read a JSON file as a value of type ``kind``, most often a dataclass of :mod:`codesign.run.records`.

    Raises:
        StorageError: missing, unreadable or no ``kind``; the message says what to do.
    """
    if not path.exists():
        raise StorageError(f"{path}: is missing" + (f"; run {maker} first" if (maker := _maker(path)) else ""))
    return json_records.read_json(path, kind, f"delete it and run {_maker(path) or 'the command that makes it'} again")


def _maker(path: Path) -> str:
    """Return the command that makes a file of a run folder; nothing where none does."""
    # Of several places that fit, the most exact one: front.json also lies in dataflow.
    for place in sorted(_MAKERS, key=len, reverse=True):
        if path.match(place):
            folder = path.parents[place.count("/")]
            return f"`codesign {_MAKERS[place].replace('RUN', str(folder))}`"
    return ""
