"""``codesign calibrate plan``: which layers and mappings to measure on a board.

They are chosen among candidates: single layers, one layer several times, and blocks whose feature maps stay on chip.

Single layers alone cannot separate the cost of a start from that of a layer, nor that of a layer from that of its
slots. A start that runs a layer several times, and blocks that are set up anew for each band, can. Small layers show
the costs paid once, large ones those paid a word.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.progress import Progress
from codesign.run.implementation import parse_implementation, read_project
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.named import load_space
from cost_models.calibration.engines import engine_model
from cost_models.calibration.planning import plan as choose
from cost_models.calibration.posterior import prior_of
from cost_models.calibration.record import load_calibration
from cost_models.coefficients.fitted_range import range_of, warn_outside
from cost_models.mapping.block import Block, find_blocks, partitions_of
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import draw_mapping
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.measurements.measurement import OWN_ENGINES, EngineRun, MeasuredLayer, RunPlan
from cost_models.resources import estimate_resources, excess
from cost_models.workload import Layer
from hw_templates.board import Board, board_record
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import InvalidValueError, MappingError

_ACCELERATORS = 4000
_SPACES, _SUBNETS = ("ofa-mbv3-w1.0", "digits"), 12
_LAYERS, _MAPPINGS, _STACKS, _BLOCKS, _WAYS = 60, 3, 20, 60, 2
_STACKED, _STACKED_MACS = 8, 5_000_000
"""How often a start runs one layer, and the multiplications that such a layer has at most."""

Layers = tuple[MappedLayer, ...]


@dataclass(frozen=True)
class PlannedRuns:
    """Runs that were chosen to be measured.

    Attributes:
        plan: the runs.
        candidates: how many they were chosen from.
        sampled: whether the accelerator was sampled, so that no project of it exists yet.
    """

    plan: RunPlan
    candidates: int
    sampled: bool


def plan_for(
    board: Board,
    budget: int,
    progress: Progress,
    *,
    project: Path | None = None,
    known: str | None = None,
    implementation: str | None = None,
) -> PlannedRuns:
    """Choose runs as :func:`plan_runs` does, for the engine of an emitted project where there is one.

    Args:
        board: where they are to run.
        budget: how many to choose.
        progress: shows how the choice gets on.
        project: folder of the project; None for the largest engine sampled that fits the board.
        known: calibration of the engine to start from; None for the prior.
        implementation: name of the engine's, which must be the project's; None for that one, or for ``hls``.

    Raises:
        InvalidValueError: the project is of another implementation, and as :func:`plan_runs`.
        StorageError: the project or the calibration cannot be read.
    """
    if project is None:
        own = parse_implementation(implementation or Implementation.HLS)
        return plan_runs(board, budget, progress, known=known, implementation=own)
    record = read_project(project, implementation)
    return plan_runs(
        board,
        budget,
        progress,
        accelerator=record.accelerator,
        known=known,
        implementation=record.implementation,
    )


def plan_runs(
    board: Board,
    budget: int,
    progress: Progress,
    *,
    accelerator: Accelerator | None = None,
    known: str | None = None,
    implementation: Implementation = Implementation.HLS,
) -> PlannedRuns:
    """Choose the runs whose latencies would teach most about the coefficients.

    Args:
        board: where they are to run.
        budget: how many to choose.
        progress: shows how the choice gets on.
        accelerator: the engine on the board; None for the largest engine sampled that fits it.
        known: calibration of the engine to start from; None for the prior.
        implementation: of the engine.

    Raises:
        InvalidValueError: unknown calibration, or more runs than candidates.
        StorageError: the calibration cannot be read.
    """
    own = OWN_ENGINES[implementation]
    model, engine = engine_model(own), accelerator or _largest(board, implementation)
    if known is None:
        posterior = prior_of(model)
    else:
        calibration = load_calibration(known)
        if calibration.engine != own:
            raise InvalidValueError("known", known, f"a calibration of {own}, not of {calibration.engine}")
        warn_outside(calibration.name, calibration.fitted_on, range_of([], [engine]))
        posterior = calibration.posterior
    with progress.stage("plan") as update:
        layers = candidates(engine)
        update(0.1, f"{len(layers)} candidates")
        runs = [
            EngineRun(
                engine=own,
                board=board_record(board),
                clock_mhz=engine.clock_mhz,
                layers=tuple(map(MeasuredLayer.of, each)),
                accelerator=engine,
            )
            for each in layers
        ]
        chosen = choose(model, runs, posterior, budget)
    plan = RunPlan(
        board=board_record(board),
        accelerator=engine,
        implementation=implementation,
        runs=tuple(layers[index] for index in chosen.chosen),
        deviations=chosen.deviations,
    )
    return PlannedRuns(plan, len(layers), accelerator is None)


def _largest(board: Board, implementation: Implementation) -> Accelerator:
    """Return the sampled engine that fits the board and multiplies most a second."""
    columns = AcceleratorSpace(board).sample(np.random.default_rng(0), _ACCELERATORS)
    over = excess(estimate_resources(columns, board, implementation), board).values()
    fits = np.all([np.asarray(count) <= 0 for count in over], axis=0)
    rate = columns.pe_rows * columns.pe_cols * columns.pe_pixels * columns.clock_mhz
    return columns[int(np.where(fits, rate, -1).argmax())]


def candidates(accelerator: Accelerator) -> list[Layers]:
    """Return runs of layers and blocks of random subnets with random mappings, each once.

    Equal arguments give equal runs.
    """
    rng = np.random.default_rng(0)
    found: dict[Layers, None] = {}
    for name in _SPACES:
        space = load_space(name)
        subnets = [space.largest(), space.smallest(), *(space.sample(rng) for _ in range(_SUBNETS))]
        workloads = [lower(space, subnet) for subnet in subnets]
        layers = list(dict.fromkeys(layer for workload in workloads for layer in workload.layers))
        chosen = [layers[index] for index in rng.permutation(len(layers))[:_LAYERS]]
        blocks = list(dict.fromkeys(block for workload in workloads for _, block in find_blocks(workload.graph)))
        found |= dict.fromkeys((ran,) for layer in chosen for ran in _mapped(layer, accelerator, rng, _MAPPINGS))
        small = [layer for layer in chosen if layer.macs <= _STACKED_MACS][:_STACKS]
        found |= dict.fromkeys((ran,) * _STACKED for layer in small for ran in _mapped(layer, accelerator, rng, 1))
        if accelerator.map_kib:
            for index in rng.permutation(len(blocks))[:_BLOCKS]:
                found |= dict.fromkeys(_fused(blocks[index], accelerator, rng))
    return list(found)


def _mapped(
    layer: Layer, accelerator: Accelerator, rng: np.random.Generator, most: int, placement: Placement = IN_MEMORY
) -> list[MappedLayer]:
    drawn = dict.fromkeys(draw_mapping(layer, accelerator, rng) for _ in range(most))
    return [MappedLayer(layer, mapping, placement) for mapping in drawn if mapping is not None]


def _fused(block: Block, accelerator: Accelerator, rng: np.random.Generator) -> Iterator[Layers]:
    """Yield layers of a block that run together from memory to memory, in a few ways whose feature maps fit."""
    ways = [
        (layers, option)
        for partition in partitions_of(block)
        for layers, options in partition
        for option in options
        if option[0].group_layers and not (option[0].ifmap_ring or option[-1].ofmap_ring)
        if _fits(layers, option, accelerator)
    ]
    for index in rng.permutation(len(ways))[:_WAYS]:
        pairs = zip(*ways[index], strict=True)
        ran = [_mapped(layer, accelerator, rng, 1, placement) for layer, placement in pairs]
        if all(ran):
            yield tuple(each[0] for each in ran)


def _fits(layers: tuple[Layer, ...], option: tuple[Placement, ...], accelerator: Accelerator) -> bool:
    try:
        for layer, placement in zip(layers, option, strict=True):
            placement.check(layer, accelerator)
    except MappingError:
        return False
    return True
