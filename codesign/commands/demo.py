"""``codesign demo``: every command in turn on the embedded digits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codesign.commands.csim import csim
from codesign.commands.emit import emit
from codesign.commands.predictor import fit
from codesign.commands.report import report
from codesign.commands.search import search
from codesign.commands.train import train
from codesign.progress import Progress
from codesign.run.folder import Run
from codesign.run.requests import SearchRequest, TrainRequest
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True)
class Scale:
    """How much a demo does."""

    preset: str
    samples: int
    pairs: int


FULL = Scale("digits", samples=300, pairs=200_000)
SMALL = Scale("digits-small", samples=40, pairs=20_000)


def demo(run: Run, board: str, scale: Scale, workers: int, seed: int, progress: Progress) -> Iterator[tuple[str, Any]]:
    """Do the main job in ``run``, or what of it is not done yet; yield name and result of each command as it comes.

    Raises:
        InvalidValueError: the run is a demo of another scale.
        CodesignError: as the commands do.
    """
    before = run.find(TrainRequest)
    if before is not None and before.preset != scale.preset:
        expected = f"{before.preset == SMALL.preset} as before in {run.folder}; or name another run folder"
        raise InvalidValueError("small", scale == SMALL, expected)
    yield "train", train(run, TrainRequest(space="digits", preset=scale.preset, seed=seed), progress)
    yield "predictor", fit(run, scale.samples, seed, progress)
    search(run, SearchRequest(board=board, pairs=scale.pairs, workers=workers, storage=None, seed=seed), True, progress)
    emit(run, None, None, progress)
    csim(run, False, None, progress)
    report(run, progress)
