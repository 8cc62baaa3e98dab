"""The closed form beside what the engine counts of compiled programs: words and iterations must agree exactly."""

import numpy as np
import pytest
from support.networks.random_networks import network_of_blocks, network_of_every_operation, random_placements

from codesign.emit.integer_reference import QuantisedNetwork
from codesign.emit.program import CompiledProgram, compile_program, engine_node
from cost_models.closed_form.estimate import map_workload
from cost_models.closed_form.layer_prices import MappedLayers
from cost_models.coefficients import load_coefficients
from cost_models.engine.counts import count_step
from cost_models.engine.places import ProgramStep
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import draw_mapping
from cost_models.mapping.placement import IN_MEMORY, Placement, band_rows
from cost_models.workload import IMAGE
from hw_templates.board import Board, board_names, load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.isa import COUNTERS, TABLE_BYTES
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import MappingError

BOARDS = tuple(load_board(name) for name in board_names())
PRIOR = load_coefficients()
COUNTED = ("iterations", "ifmap_words", "weight_words", "ofmap_words", "residual_words", "ddr_bytes")
Counts = tuple[int, ...]


def compiled(network: QuantisedNetwork, layers: list[MappedLayer], accelerator: Accelerator) -> CompiledProgram:
    """The program of a network in the tiles given, which the emitter must not change."""
    shape = EngineShape(accelerator=accelerator)
    nodes = [
        engine_node(quantised, ran.mapping, shape, ran.placement)
        for quantised, ran in zip(network.layers, layers, strict=True)
    ]
    assert [node.tiled.mapping for node in nodes] == [ran.mapping for ran in layers]
    return compile_program(nodes, {IMAGE: network.workload.nodes[0].layer.in_shape}, shape)


def counted(steps: list[ProgramStep], accelerator: Accelerator) -> Counts:
    """Of the steps of a layer: iterations, words of each port, and bytes that pass the DDR but for the counters."""
    total = np.zeros(len(COUNTED), np.int64)
    for step in steps:
        count, word = count_step(step), accelerator.axi_bytes
        trips, ports = count.trips, count.ports
        maps = (ports.ifmap.words + ports.residual.words + ports.ofmap.words) * word - COUNTERS.itemsize
        total += (
            *(trips.compute_trips, trips.ifmap_words, trips.weight_words // accelerator.weight_port_words),
            *(trips.ofmap_words, ports.residual.words, maps + ports.weights.words * accelerator.weight_port_bytes),
        )
    return tuple(map(int, total))


def stated(layers: list[MappedLayer], accelerator: Accelerator, board: Board) -> list[Counts]:
    """The same of each layer in closed form."""
    prices = MappedLayers.of(layers, [accelerator] * len(layers), board).price(PRIOR)
    return list(zip(*(map(int, getattr(prices, name)) for name in COUNTED), strict=True))


def some_in_bands(network: QuantisedNetwork, accelerator: Accelerator, rng: np.random.Generator) -> list[Placement]:
    """Ways to run the blocks of a network on chip, and some of the other layers alone in bands."""
    ways = random_placements(network.workload, accelerator, rng)
    bands = [band_rows((node.layer,), int(rng.integers(1, node.layer.out_height + 1)))[0] for node in network.workload]
    return [
        Placement(bands=rows, group_layers=1)
        if way == IN_MEMORY and not node.layer.operation.averages and rng.random() < 0.3
        else way
        for node, way, rows in zip(network.workload, ways, bands, strict=True)
    ]


def drawn(network: QuantisedNetwork, accelerator: Accelerator, rng: np.random.Generator) -> list[MappedLayer] | None:
    """The layers of a network in random mappings and ways; None where the buffers are too small for one."""
    layers = []
    ways = some_in_bands(network, accelerator, rng)
    for node, way in zip(network.workload, ways, strict=True):
        mapping = draw_mapping(node.layer, accelerator, rng)
        if mapping is None:
            return None
        layers.append(MappedLayer(node.layer, mapping, way))
    return layers


def check_counts(network: QuantisedNetwork, layers: list[MappedLayer], accelerator: Accelerator, board: Board) -> None:
    """Compare each layer of a network; where bands meet a table that is loaded already, the program leaves it out."""
    steps = compiled(network, layers, accelerator).steps
    for index, (layer, found) in enumerate(zip(layers, stated(layers, accelerator, board), strict=True)):
        own = [step for step in steps if step.layer == index]
        left_out = layer.placement.tables(layer.layer) - sum(step.load_table for step in own)
        assert left_out >= 0
        assert left_out == 0 or layer.placement.bands, layer
        expected = counted(own, accelerator)
        assert found == (*expected[:-1], expected[-1] + left_out * TABLE_BYTES), (layer, accelerator)


@pytest.mark.parametrize("seed", range(12))
def test_counts_are_those_of_the_program_for_any_mapping_and_placement(seed: int) -> None:
    rng, checked = np.random.default_rng(seed), 0
    while checked < 3:
        board = BOARDS[rng.integers(len(BOARDS))]
        network = (network_of_blocks if rng.random() < 0.5 else network_of_every_operation)(rng)
        accelerator = AcceleratorSpace(board).sample(rng, 1)[0]
        layers = drawn(network, accelerator, rng)
        if layers is not None:
            check_counts(network, layers, accelerator, board)
            checked += 1


@pytest.mark.parametrize("seed", range(6))
def test_the_emitter_takes_the_mappings_that_the_mapper_chose(seed: int) -> None:
    rng, checked = np.random.default_rng(100 + seed), 0
    while checked < 3:
        board = BOARDS[rng.integers(len(BOARDS))]
        network = (network_of_blocks if rng.random() < 0.5 else network_of_every_operation)(rng)
        accelerator = AcceleratorSpace(board).sample(rng, 1)[0]
        try:
            layers = list(map_workload(network.workload, accelerator, board, PRIOR))
        except MappingError:
            continue  # a buffer is too small
        check_counts(network, layers, accelerator, board)
        checked += 1
