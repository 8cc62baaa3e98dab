"""A run: one folder with its configuration, checkpoints, study, project and report."""

import functools
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Concatenate, ParamSpec, TypeVar

from codesign.run.choices import DEFAULT_TEMPLATE
from hw_templates.foundation import json_records
from hw_templates.foundation.atomic_file import write_text_atomically
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import check_record, parse_json, reading, without_format
from hw_templates.foundation.lock import exclusive
from hw_templates.project.record import PROJECT_FILE

RUN_FORMAT = 1
REMAKE = "delete it and run the command that makes it again"
"""Advice for a damaged file that a command makes from others."""
ANOTHER_RUN = "restore it from a copy, or name another run folder"
"""Advice for a damaged file that nothing makes again."""
P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="Settings")

_MAKERS = {
    "baselines/*.json": "search",
    "project/project.json": "emit",
    "predictor.json": "predictor",
    "fronts.json": "search",
    "winner.json": "winner",
    "front.json": "emit",
    "emitted.json": "emit",
    "losses.json": "search",
    "csim.json": "csim",
    "check.json": "check",
    "left_out.json": "calibrate fit --measurements FILE --out",
}
"""Files, as they lie in their folder, to the commands that make them when followed by the folder.

Where several places fit a file, the first one counts.
"""


@dataclass(frozen=True)
class Settings:
    """Base of a dataclass with what a command is asked for, which a run folder records.

    Attributes:
        SECTION: name of its section in ``run.json``, and of the command.
    """

    SECTION: ClassVar[str]


class _Inside:
    """A path inside a run folder."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: "Run", _: type["Run"]) -> Path:
        return run.folder / self._name


@dataclass(frozen=True)
class Run:
    """Paths of everything in one run folder. Nothing is created before something is written."""

    folder: Path

    configuration = _Inside("run.json")
    """Settings of each command."""
    checkpoint = _Inside("supernet.pt")
    """Supernet, trained or in training."""
    accuracies = _Inside("accuracies.jsonl")
    """Accuracies measured so far, one line a subnet."""
    predictor = _Inside("predictor.npz")
    """Accuracy predictor."""
    predictor_quality = _Inside("predictor.json")
    """Predictor's quality on subnets that it was not fitted on."""
    study = _Inside("study.journal")
    """Default storage of the study, an Optuna journal file."""
    fronts = _Inside("fronts.json")
    """Pareto fronts and hypervolumes of the joint search and the baselines."""
    winner = _Inside("winner.json")
    """Winning pair of the search as it was last shown."""
    measured_front = _Inside("front.json")
    """Pairs that the winner was chosen from."""
    project = _Inside("project")
    """Emitted project."""
    verification = _Inside("csim.json")
    """Outcome of the simulation of the project."""
    checks = _Inside("check.json")
    """What was checked of the project, and what came out."""
    emitted = _Inside("emitted.json")
    """Pair that was emitted, and the accuracy of its project."""
    losses = _Inside("losses.json")
    """Accuracy that the template's arithmetic costs."""
    build = _Inside("build.json")
    """Record of the bitstream that was built of the project."""
    bundle = _Inside("bundle.tar")
    """Project as a tar that builds on another machine."""
    deployment = _Inside("deploy.json")
    """What the board did."""
    measurements = _Inside("measurements.jsonl")
    """All measured runs on boards, one line each."""
    report = _Inside("report")
    """HTML page and its pictures."""

    def of_template(self, name: str) -> "Run":
        """Return where the results of a template lie: the run itself for the default one, else a folder in it."""
        return self if name == DEFAULT_TEMPLATE else Run(self.folder / name)

    @property
    def argument(self) -> str:
        """The run as commands take it: its folder, and the template whose results these are."""
        whole = self.folder.parent
        return f"{whole} --template {self.folder.name}" if (whole / "run.json").exists() else str(self.folder)

    def claim(self) -> AbstractContextManager[None]:
        """Keep other processes from writing into the run meanwhile; the folder is made.

        The claim ends with the process, however that ends.

        Raises:
            StorageError: another process has claimed the run, or the folder cannot be written.
        """
        return exclusive(
            self.folder / ".claim",
            StorageError(
                f"{self.folder}: another process is at work in this run; wait for it, or name another run folder"
            ),
        )

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
            raise StorageError(
                f"{self.folder}: no {kind.SECTION} in this run yet; run `codesign {kind.SECTION} {self.argument}` first"
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
        for field, recorded in () if before is None or replace else vars(before).items():
            value = getattr(settings, field)
            if recorded != value:
                was = getattr(recorded, "file", recorded)  # an own file is recorded with its content
                expected = f"{was!r} as before in {self.folder}; or name another run folder"
                raise InvalidValueError(f"{name}.{field}", value, expected)
        sections = {"format": RUN_FORMAT, **self._sections(), name: asdict(settings)}
        write_text_atomically(self.configuration, json.dumps(sections, indent=2) + "\n")

    def _sections(self) -> dict[str, object]:
        """Return the settings by the name of their section; none for a run that has not begun."""
        if not self.configuration.exists():
            return {}
        with reading(self.configuration, ANOTHER_RUN):
            record = parse_json(self.configuration.read_bytes(), dict[str, object], "run")
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
    makers = (
        f"`codesign {command} {Run(path.parents[place.count('/')]).argument}`"
        for place, command in _MAKERS.items()
        if path.match(place)
    )
    maker = next(makers, "`codesign emit`" if path.name == PROJECT_FILE else "")
    if not path.exists():
        raise StorageError(f"{path}: is missing" + (f"; run {maker} first" if maker else ""))
    return json_records.read_json(path, kind, f"delete it and run {maker or 'the command that makes it'} again")
