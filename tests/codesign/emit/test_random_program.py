"""Random programs on the compiled engine: their results and counters beside the references that are stated for them."""

from collections.abc import Iterator

import numpy as np
import pytest
from support.boards.emitted_projects import emit_random_project
from support.boards.twins import running, served
from support.networks.random_networks import random_mapping

from bitstreams.board.driver import Engine
from codesign.emit.random_program import random_program
from cost_models.calibration.engines.conv_engine import stated_counters
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.mapping.placement import Placement, band_rows
from cost_models.measurements.measurement import MeasuredLayer
from cost_models.workload import Layer, Operation
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError

ACCELERATOR = Accelerator(8, 4, 2, 2, 16, 8, 4, 32, 150, 8, 64, 2)
LAYERS = (
    Layer(Operation.CONV, 5, 19, 9, 7, 3, 3, 2, 1),
    Layer(Operation.CONV, 12, 19, 9, 7, 1, 1, residual=True, weight_bits=4),
    Layer(Operation.DEPTHWISE, 21, 21, 8, 11, 5, 5, 1, 2),
    Layer(Operation.POOL, 12, 12, 7, 7, 7, 7),
    Layer(Operation.POOL, 12, 12, 7, 5, 2, 2, 2),
    Layer(Operation.MAX_POOL, 9, 9, 7, 7, 3, 3, 2, 1),
    Layer(Operation.SCALE, 33, 33, 6, 5),
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    pytest.importorskip("pynq", reason="pynq is not installed: pip install --editable '.[board]'")
    folder = tmp_path_factory.mktemp("random")
    emit_random_project(folder / "project", ACCELERATOR, seed=1, board_name="pynq-z2")
    with served(folder / "project") as server, running(server, folder) as engine:
        assert server.board.accelerator.clock_mhz == 150
        yield engine


def check(engine: Engine, layers: tuple[MeasuredLayer, ...], seed: int = 0) -> None:
    made = random_program(layers, ACCELERATOR, seed)
    engine.load_program(made.program)
    cycles = engine.time_engine(made.image, 1).cycles
    assert engine.result() == made.first_pixel
    assert len(set(made.first_pixel)) > len(made.first_pixel) // 3
    counted = engine.counters()
    stated = stated_counters(layers, ACCELERATOR, load_board("pynq-z2"))
    for name, values in stated.items():
        assert counted[name].tolist() == values.tolist(), name
    assert cycles is not None
    assert cycles > counted["compute_trips"].sum()


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: f"{layer.operation}{'+' * layer.residual}")
def test_a_layer_runs_as_stated_alone_and_again_and_again(layer: Layer, engine: Engine) -> None:
    rng = np.random.default_rng(3)
    first, second = (MeasuredLayer(layer, mapping=random_mapping(layer, ACCELERATOR, rng)) for _ in range(2))
    check(engine, (first,))
    check(engine, (first, second, first), seed=1)


def test_unlike_layers_run_one_after_the_other(engine: Engine) -> None:
    rng = np.random.default_rng(4)
    check(engine, tuple(MeasuredLayer(layer, mapping=random_mapping(layer, ACCELERATOR, rng)) for layer in LAYERS))


def fused_block() -> tuple[MeasuredLayer, ...]:
    """Expansion, depthwise and projection with a residual, in bands of two rows."""
    layers = (
        Layer(Operation.CONV, 6, 16, 8, 8),
        Layer(Operation.DEPTHWISE, 16, 16, 8, 8, 3, 3, 1, 1),
        Layer(Operation.CONV, 16, 6, 8, 8, residual=True),
    )
    bands = band_rows(layers, 2)
    placements = (Placement(0, 4, bands[0], 3), Placement(4, 2, bands[1]), Placement(2, 0, bands[2]))
    mappings = (
        Mapping(8, 4, 2, 4, LoopOrder.PIXELS_OUTER),
        Mapping(16, 16, 2, 8, LoopOrder.PIXELS_OUTER),
        Mapping(8, 8, 1, 8, LoopOrder.PIXELS_OUTER),
    )
    return tuple(
        MeasuredLayer(layer, mapping=mapping, placement=placement)
        for layer, mapping, placement in zip(layers, mappings, placements, strict=True)
    )


def test_layers_that_stay_on_chip_run_as_one_group(engine: Engine) -> None:
    check(engine, fused_block())


def test_equal_arguments_give_equal_bytes() -> None:
    layers = (MeasuredLayer(LAYERS[0], mapping=Mapping(8, 4, 2, 4, LoopOrder.PIXELS_OUTER)),)
    assert random_program(layers, ACCELERATOR, 7) == random_program(layers, ACCELERATOR, 7)
    assert random_program(layers, ACCELERATOR, 7).image != random_program(layers, ACCELERATOR, 8).image


def test_layers_that_are_no_program_are_refused() -> None:
    block = fused_block()
    with pytest.raises(InvalidValueError, match="layers: must be at least one"):
        random_program((), ACCELERATOR, 0)
    with pytest.raises(InvalidValueError, match="the last of which writes to memory"):
        random_program(block[:2], ACCELERATOR, 0)
    with pytest.raises(InvalidValueError, match=r"layers\[0\]\.layer: must be one that reads a map of shape None"):
        random_program(block[1:], ACCELERATOR, 0)
    with pytest.raises(
        InvalidValueError, match=r"layers\[1\]\.layer: must be one that reads a map of shape \(16, 8, 8"
    ):
        random_program((block[0], block[0], block[2]), ACCELERATOR, 0)
    with pytest.raises(InvalidValueError, match="mappings: must be one for each of the 1 layers"):
        random_program((MeasuredLayer(LAYERS[0]),), ACCELERATOR, 0)
