"""Calibration of either implementation of the engine: planned, measured on a twin, and fitted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.boards.emitted_projects import emit_random_project
from support.recorded_progress import RecordedProgress
from support.verilog.engines import ENGINES
from support.verilog.simulated import need_verilator

from bitstreams.board.target import parse_target
from codesign.commands.calibration.campaign import opened
from codesign.commands.calibration.fit import fit_measurements, write_fit
from codesign.commands.calibration.measure import CampaignRequest, measure_plan
from codesign.commands.calibration.plan import candidates, plan_for
from codesign.emit.random_program import random_program
from codesign.progress import Silent
from cost_models.calibration.engines.conv_engine import stated_counters
from cost_models.coefficients import load_coefficients
from cost_models.engine.counts import count_program
from cost_models.engine.layer import engine_layer
from cost_models.engine.places import MapPlace, Places, ProgramStep
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import draw_mapping
from cost_models.measurements.measurement import (
    OWN_ENGINES,
    MeasuredLayer,
    Measurement,
    Percentiles,
    RunPlan,
    read_measurements,
    write_plan,
)
from cost_models.workload import Layer, Operation
from hw_templates.board import load_board
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError, StorageError

BOARD = load_board("pynq-z2")
SHAPE = ENGINES["weight port of two words"]
ACCELERATOR = ENGINES["double buffers"].accelerator


def layer(operation: Operation, channels: int = 24, size: int = 9, **fields: int | bool) -> Layer:
    shape = {"in_channels": channels, "out_channels": channels, "in_height": size, "in_width": size}
    return Layer(operation=operation, **{**shape, **fields})  # type: ignore[arg-type]


LAYERS = (
    layer(Operation.CONV, out_channels=16, kernel_height=3, kernel_width=3, padding=1),
    layer(Operation.CONV, residual=True),
    layer(Operation.DEPTHWISE, kernel_height=5, kernel_width=5, stride=2, padding=2),
    layer(Operation.MAX_POOL, kernel_height=3, kernel_width=3, stride=2, padding=1),
    layer(Operation.POOL, kernel_height=9, kernel_width=9),
    layer(Operation.SCALE),
)


def runs_of(seed: int) -> tuple[tuple[MappedLayer, ...], ...]:
    """Each layer alone, and all of them in one start."""
    rng, runs = np.random.default_rng(seed), []
    for one in LAYERS:
        mapping = draw_mapping(one, ACCELERATOR, rng)
        assert mapping is not None
        runs.append(MappedLayer(one, mapping))
    return (*((ran,) for ran in runs), tuple(runs))


OTHER = {Implementation.HLS: Implementation.RTL, Implementation.RTL: Implementation.HLS}


@pytest.fixture(scope="module", params=Implementation)
def implementation(request: pytest.FixtureRequest) -> Implementation:
    found: Implementation = request.param
    return found


@pytest.fixture(scope="module")
def project(implementation: Implementation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if implementation is Implementation.RTL:
        need_verilator()
    pytest.importorskip("pynq", reason="pynq is not installed: pip install --editable '.[board]'")
    folder = tmp_path_factory.mktemp(implementation) / "project"
    emit_random_project(folder, ACCELERATOR, seed=1, board_name="pynq-z2", implementation=implementation)
    return folder


def measure(project: Path, plan: RunPlan, folder: Path, implementation: str | None = None) -> tuple[Measurement, ...]:
    write_plan(folder / "plan.json", plan)
    request = CampaignRequest(
        target=parse_target("pynq-z2", "twin", insecure_remote=False),
        plan=folder / "plan.json",
        project=project,
        out=folder / "board.jsonl",
        implementation=implementation,
    )
    result = measure_plan(request, RecordedProgress(), lambda _: None)
    assert (result.measured, result.skipped) == (len(plan.runs), 0)
    return read_measurements([request.out])


def test_layers_of_every_operation_are_measured_with_the_references_results_and_counts(
    implementation: Implementation, project: Path, tmp_path: Path
) -> None:
    # A wrong pixel or count would skip the run.
    plan = RunPlan(board="pynq-z2", accelerator=ACCELERATOR, runs=runs_of(0), implementation=implementation)
    measured = measure(project, plan, tmp_path)
    assert {run.engine for run in measured} == {f"conv_engine_{implementation}"}
    source = {Implementation.HLS: "twin simulated by a model", Implementation.RTL: "twin simulated at RTL"}
    assert {run.source for run in measured} == {source[implementation]}
    with opened(plan, tmp_path / "board.jsonl") as campaign:
        assert campaign.todo == []
    with (
        pytest.raises(StorageError, match="holds runs of another engine or board"),
        opened(replace(plan, implementation=OTHER[implementation]), tmp_path / "board.jsonl"),
    ):
        pass


def test_a_planned_campaign_is_fitted_to_coefficients_of_its_implementation(
    implementation: Implementation, project: Path, tmp_path: Path
) -> None:
    own, other = implementation, OTHER[implementation]
    planned = plan_for(BOARD, 12, Silent(), project=project)
    assert planned.plan.implementation is own
    runs = measure(project, planned.plan, tmp_path)
    fitted = fit_measurements(runs, "mine", Silent(), implementation=own)
    assert fitted.calibration.engine == OWN_ENGINES[own]
    assert fitted.calibration.quality.mean_error < 0.25
    write_fit(tmp_path / "mine", fitted)
    assert load_coefficients(str(tmp_path / "mine"), own).measurements == 12
    with pytest.raises(InvalidValueError, match=rf"coefficients\.implementation: must be {other}, which is priced"):
        load_coefficients(str(tmp_path / "mine"), other)
    expected = f"a calibration of {OWN_ENGINES[other]}, not of {OWN_ENGINES[own]}"
    with pytest.raises(InvalidValueError, match=f"known: must be {expected}"):
        plan_for(BOARD, 3, Silent(), known=str(tmp_path / "mine"), implementation=other)


def test_a_plan_of_the_other_implementation_is_refused_before_anything_is_measured(
    implementation: Implementation, project: Path, tmp_path: Path
) -> None:
    own, other = implementation, OTHER[implementation]
    plan = RunPlan(board="pynq-z2", accelerator=ACCELERATOR, runs=runs_of(0), implementation=other)
    with pytest.raises(InvalidValueError, match=rf"plan\.implementation: must be {own}, as the project's; plan with"):
        measure(project, plan, tmp_path)
    with pytest.raises(InvalidValueError, match=rf"implementation: must be {own}, which .* was emitted for"):
        plan_for(BOARD, 3, Silent(), project=project, implementation=other)
    with pytest.raises(InvalidValueError, match=rf"implementation: must be {own}, which .* was emitted for"):
        measure(project, replace(plan, implementation=own), tmp_path, implementation=other)
    assert not (tmp_path / "board.jsonl").exists()


def test_a_plan_without_a_project_is_for_an_engine_of_the_implementation_named() -> None:
    plan = plan_for(BOARD, 3, Silent(), implementation="rtl").plan
    assert plan.implementation == Implementation.RTL
    assert plan_for(BOARD, 3, Silent()).plan.implementation == Implementation.HLS


def run_of(engine: str) -> Measurement:
    return Measurement(
        engine=engine,
        board="pynq-z2",
        campaign="one",
        source="one",
        clock_mhz=100.0,
        date="2026-01-31",
        layers=tuple(map(MeasuredLayer.of, runs_of(1)[0])),
        accelerator=ACCELERATOR,
        latency_ms=Percentiles(10.0),
    )


def test_measurements_of_both_implementations_are_not_fitted_together() -> None:
    both = [run_of(engine) for engine in OWN_ENGINES.values()] * 3
    with pytest.raises(InvalidValueError, match=r"measurement\.engine: must be conv_engine_hls like that of the other"):
        fit_measurements(both, "mixed", Silent())
    with pytest.raises(InvalidValueError, match="implementation: must be hls, as runs of conv_engine_hls are given"):
        fit_measurements(both, "mixed", Silent(), implementation="rtl")


def step_of(ran: MappedLayer, shape: EngineShape) -> ProgramStep:
    """The layer as a step; what it counts does not depend on where its maps lie."""
    tiled = TiledLayer(layer=engine_layer(ran.layer, int(ran.layer.residual)), mapping=ran.mapping, shape=shape)
    ifmap, ofmap = (
        MapPlace(word=0, pixel_words=-(-channels // shape.accelerator.axi_bytes))
        for channels in (ran.layer.in_channels, ran.layer.out_channels)
    )
    return ProgramStep(tiled=tiled, places=Places(ifmap=ifmap, ofmap=ofmap), descriptor_word=0)


def test_candidates_run_and_are_counted_as_stated() -> None:
    accelerator = SHAPE.accelerator
    shape = EngineShape(accelerator=accelerator)
    runs = candidates(accelerator)
    assert len(runs) > 100
    for layers in runs[:: len(runs) // 12]:
        assert random_program(layers, shape, 0).layer_of == tuple(range(len(layers)))
        counts = count_program([step_of(ran, shape) for ran in layers])[0]
        for name, stated in stated_counters(layers, accelerator, BOARD).items():
            assert [getattr(count.trips, name) for count in counts] == stated.tolist(), name
