"""Random programs on the compiled engine: their results and counters beside the references that are stated for them."""

from collections.abc import Iterator

import numpy as np
import pytest
from support.boards.emitted_projects import FUSING, emit_random_project
from support.boards.twins import running, served
from support.networks.random_networks import random_mapping

from bitstreams.board.driver import Engine
from codesign.emit.random_program import RandomProgram, random_program
from cost_models.calibration.engines.conv_engine import stated_counters
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.mapping.placement import Placement, band_rows
from cost_models.workload import Layer, Operation
from hw_templates.board import load_board
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.foundation.errors import InvalidValueError

LAYERS = (
    Layer(
        operation=Operation.CONV,
        in_channels=5,
        out_channels=19,
        in_height=9,
        in_width=7,
        kernel_height=3,
        kernel_width=3,
        stride=2,
        padding=1,
    ),
    Layer(
        operation=Operation.CONV,
        in_channels=12,
        out_channels=19,
        in_height=9,
        in_width=7,
        kernel_height=1,
        kernel_width=1,
        residual=True,
        weight_bits=4,
    ),
    Layer(
        operation=Operation.DEPTHWISE,
        in_channels=21,
        out_channels=21,
        in_height=8,
        in_width=11,
        kernel_height=5,
        kernel_width=5,
        stride=1,
        padding=2,
    ),
    Layer(
        operation=Operation.POOL,
        in_channels=12,
        out_channels=12,
        in_height=7,
        in_width=7,
        kernel_height=7,
        kernel_width=7,
    ),
    Layer(
        operation=Operation.POOL,
        in_channels=12,
        out_channels=12,
        in_height=7,
        in_width=5,
        kernel_height=2,
        kernel_width=2,
        stride=2,
    ),
    Layer(
        operation=Operation.MAX_POOL,
        in_channels=9,
        out_channels=9,
        in_height=7,
        in_width=7,
        kernel_height=3,
        kernel_width=3,
        stride=2,
        padding=1,
    ),
    Layer(operation=Operation.SCALE, in_channels=33, out_channels=33, in_height=6, in_width=5),
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    pytest.importorskip("pynq", reason="pynq is not installed: pip install --editable '.[board]'")
    folder = tmp_path_factory.mktemp("random")
    emit_random_project(folder / "project", FUSING, seed=1, board_name="pynq-z2")
    with served(folder / "project") as server, running(server, folder) as engine:
        assert server.board.accelerator.clock_mhz == 150
        yield engine


def drawn(layers: tuple[MappedLayer, ...], seed: int) -> RandomProgram:
    """A program of layers for the engine of the tests."""
    return random_program(layers, EngineShape(accelerator=FUSING), seed)


def check(engine: Engine, layers: tuple[MappedLayer, ...], seed: int = 0) -> None:
    made = drawn(layers, seed)
    engine.load_program(made.program)
    cycles = engine.measure(made.image, 1).cycles
    assert engine.result() == made.first_pixel
    assert len(set(made.first_pixel)) > len(made.first_pixel) // 3
    counted = engine.counters()
    stated = stated_counters(layers, FUSING, load_board("pynq-z2"))
    for name, values in stated.items():
        of_layers = np.bincount(made.layer_of, counted[name], len(layers))
        assert of_layers.tolist() == values.tolist(), name
    assert cycles is not None
    assert cycles > counted["compute_trips"].sum()


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: f"{layer.operation}{'+' * layer.residual}")
def test_a_layer_runs_as_stated_alone_and_again_and_again(layer: Layer, engine: Engine) -> None:
    rng = np.random.default_rng(3)
    first, second = (MappedLayer(layer, random_mapping(layer, FUSING, rng)) for _ in range(2))
    check(engine, (first,))
    check(engine, (first, second, first), seed=1)


def test_unlike_layers_run_one_after_the_other(engine: Engine) -> None:
    rng = np.random.default_rng(4)
    check(engine, tuple(MappedLayer(layer, random_mapping(layer, FUSING, rng)) for layer in LAYERS))


def fused_block() -> tuple[MappedLayer, ...]:
    """Expansion, depthwise and projection with a residual, in bands of two rows."""
    layers = (
        Layer(operation=Operation.CONV, in_channels=6, out_channels=16, in_height=8, in_width=8),
        Layer(
            operation=Operation.DEPTHWISE,
            in_channels=16,
            out_channels=16,
            in_height=8,
            in_width=8,
            kernel_height=3,
            kernel_width=3,
            stride=1,
            padding=1,
        ),
        Layer(operation=Operation.CONV, in_channels=16, out_channels=6, in_height=8, in_width=8, residual=True),
    )
    bands = band_rows(layers, 2)
    placements = (Placement(0, 4, bands[0], 3), Placement(4, 2, bands[1]), Placement(2, 0, bands[2]))
    mappings = (
        Mapping(
            tile_out_channels=8, tile_in_channels=4, tile_height=2, tile_width=4, loop_order=LoopOrder.PIXELS_OUTER
        ),
        Mapping(
            tile_out_channels=16, tile_in_channels=16, tile_height=2, tile_width=8, loop_order=LoopOrder.PIXELS_OUTER
        ),
        Mapping(
            tile_out_channels=8, tile_in_channels=8, tile_height=1, tile_width=8, loop_order=LoopOrder.PIXELS_OUTER
        ),
    )
    return tuple(
        MappedLayer(layer, mapping, placement)
        for layer, mapping, placement in zip(layers, mappings, placements, strict=True)
    )


def test_layers_that_stay_on_chip_run_as_one_group(engine: Engine) -> None:
    check(engine, fused_block())


def test_equal_arguments_give_equal_bytes() -> None:
    layers = (
        MappedLayer(
            LAYERS[0],
            Mapping(
                tile_out_channels=8, tile_in_channels=4, tile_height=2, tile_width=4, loop_order=LoopOrder.PIXELS_OUTER
            ),
        ),
    )
    assert drawn(layers, 7) == drawn(layers, 7)
    assert drawn(layers, 7).image != drawn(layers, 8).image


def test_layers_that_are_no_program_are_refused() -> None:
    block = fused_block()
    with pytest.raises(InvalidValueError, match="layers: must be at least one"):
        drawn((), 0)
    with pytest.raises(InvalidValueError, match="the last of which writes to memory"):
        drawn(block[:2], 0)
    with pytest.raises(InvalidValueError, match=r"layers\[0\]\.layer: must be one that reads a map of shape None"):
        drawn(block[1:], 0)
    with pytest.raises(
        InvalidValueError, match=r"layers\[1\]\.layer: must be one that reads a map of shape \(16, 8, 8"
    ):
        drawn((block[0], block[0], block[2]), 0)
