"""``codesign demo``: every command in turn on the embedded digits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codesign.commands.check import check
from codesign.commands.pairs import csim, emit
from codesign.commands.report import report
from codesign.commands.search import search
from codesign.commands.training import fit, train
from codesign.progress import Progress
from codesign.run.choices import DEFAULT_TEMPLATE
from codesign.run.folder import Run
from codesign.run.requests import EmitRequest, SearchRequest, TrainRequest
from codesign.templates.registry import load_template
from codesign.templates.template import Template
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True)
class Scale:
    """Amount of work of a demo; without a preset it trains by the one called as the space."""

    preset: str | None
    samples: int
    pairs: int


FULL = Scale(None, samples=300, pairs=200_000)
SMALL = Scale("digits-small", samples=40, pairs=20_000)


def demo(
    run: Run,
    progress: Progress,
    *,
    board: str = "pynq-z2",
    scale: Scale = FULL,
    workers: int = 1,
    seed: int = 0,
    template: str | Template = DEFAULT_TEMPLATE,
) -> Iterator[tuple[str, Any]]:
    """Do the main job in ``run``, or what of it is not done yet; yield name and result of each command as it comes.

    Args:
        run: the run.
        progress: shows progress.
        board, workers, seed: as in :class:`SearchRequest`.
        scale: how much to do.
        template: kind of hardware.

    Raises:
        InvalidValueError: the run is a demo of another scale.
        VerificationError: a check of the project failed.
        CodesignError: as the commands do.
    """
    template = load_template(template)
    space = template.demo_space
    preset = scale.preset or space
    if (before := run.find(TrainRequest)) and before.preset != preset:
        expected = f"{before.preset == SMALL.preset} as before in {run.folder}; or name another run folder"
        raise InvalidValueError("small", scale == SMALL, expected)
    yield "train", train(run, TrainRequest(space=space, preset=preset, seed=seed), progress)
    yield "predictor", fit(run, scale.samples, seed, progress)
    request = SearchRequest(board=board, pairs=scale.pairs, workers=workers, seed=seed)
    yield "search", search(run, request, progress, template=template)
    yield "emit", emit(run, EmitRequest(), progress, template=template)
    yield "csim", csim(run, progress, template=template)
    checked = check(run, progress, template=template)
    yield "check", checked
    yield "report", report(run, progress, template=template)
    checked.require()
