"""Whole networks as programs: beside the reference of quantisation, and on the engine's Verilog."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.networks.random_networks import (
    integer_maps,
    network_of_blocks,
    network_of_every_operation,
    random_mapped_layers,
    random_placements,
)
from support.verilog.engines import ENGINES, simulation_of
from support.verilog.program_walk import walk_program
from support.verilog.random_engine_chains import Chain
from support.verilog.random_engine_layers import random_data, randomly_tiled
from support.verilog.simulated import run

from codesign.emit.engine_reference import EngineNode, engine_result, run_engine
from codesign.emit.integer_reference import QuantisedNetwork
from codesign.emit.program import compile_program, engine_node, pack_map
from cost_models.engine.layer import EngineLayer, engine_layer
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.workload import IMAGE, Shape
from hw_templates.conv_engine.engine_shape import EngineShape, Limits
from hw_templates.foundation.errors import MappingError, UnsupportedLayerError
from hw_templates.operations import Operation

ENGINE, ENGINE_WITH_MAPS = "double buffers", "maps on chip, more rows"
WITH_MAPS = [name for name, shape in ENGINES.items() if shape.accelerator.map_kib]
SHAPE = ENGINES[ENGINE]
ACCELERATOR = SHAPE.accelerator
SIMULATED_NETWORKS = 3


def nodes_of(network: QuantisedNetwork, rng: np.random.Generator) -> list[EngineNode]:
    """The layers of a network in random tiles."""
    nodes = []
    for quantised in network.layers:
        tiled = randomly_tiled(rng, engine_layer(quantised.node.layer), SHAPE)
        assert tiled is not None, quantised.node.layer
        nodes.append(engine_node(quantised, tiled.mapping, SHAPE))
    return nodes


def given_of(image: np.ndarray) -> dict[str, Shape]:
    """The shape of the image by its name."""
    channels, height, width = image.shape
    return {IMAGE: (channels, height, width)}


def random_network(seed: int) -> tuple[list[EngineNode], QuantisedNetwork, np.ndarray]:
    """Nodes of a network that uses every operation, the network, and an image for it."""
    rng = np.random.default_rng(seed)
    network = network_of_every_operation(rng)
    image = rng.integers(-128, 128, network.workload.nodes[0].layer.in_shape).astype(np.int8)
    return nodes_of(network, rng), network, image


@pytest.mark.parametrize("seed", range(10))
def test_maps_equal_those_of_the_integer_reference_but_where_a_map_is_added(seed: int) -> None:
    nodes, network, image = random_network(seed)
    before = integer_maps(network, image[None])
    for node in nodes:
        # Each layer reads what the reference made, so that differences do not add up.
        maps = {IMAGE: image[None]} | before
        gate, residual = (None if name is None else maps[name] for name in (node.gate, node.residual))
        result = engine_result(
            node.tiled.layer, node.data, maps[node.ifmap], None if gate is None else gate[:, :, 0, 0], residual
        )
        off = np.abs(result.astype(int) - before[node.name])
        if node.residual is None:
            assert not off.any(), node.tiled.layer
        else:
            # The added map is rounded by itself: one step, which a steep table may widen.
            assert (off != 0).mean() < 0.05, node.tiled.layer


def placed_network(seed: int, shape: EngineShape) -> tuple[list[EngineNode], QuantisedNetwork, np.ndarray]:
    """Nodes of a network of inverted residuals, whose maps stay on chip in ways that the mapper knows, and an image."""
    rng = np.random.default_rng(seed)
    network = network_of_blocks(rng)
    placements = random_placements(network.workload, shape.accelerator, rng)
    mapped = random_mapped_layers(network, shape.accelerator, rng, placements)
    nodes = [
        engine_node(quantised, ran.mapping, shape, ran.placement)
        for quantised, ran in zip(network.layers, mapped, strict=True)
    ]
    return nodes, network, rng.integers(-128, 128, network.workload.nodes[0].layer.in_shape).astype(np.int8)


@pytest.mark.parametrize("name", WITH_MAPS)
def test_networks_run_in_every_way_that_the_mapper_knows(name: str) -> None:
    rings = bands = 0
    for seed in range(10):
        nodes, _, image = placed_network(seed, ENGINES[name])
        chain = Chain(shape=ENGINES[name], nodes=tuple(nodes), given=given_of(image))
        compiled = chain.compiled()
        walk_program(chain, compiled)
        rings += sum(step.places.ofmap.ring is not None for step in compiled.steps)
        bands += len(compiled.steps) - len(nodes)
    assert rings > 50
    assert bands > 50


@pytest.mark.parametrize("name", [ENGINE, ENGINE_WITH_MAPS])
def test_whole_networks_are_bit_exact_on_verilog(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    simulation, shape = simulation_of(name, tmp_path_factory), ENGINES[name]
    for seed in range(SIMULATED_NETWORKS):
        nodes, network, image = random_network(seed) if name == ENGINE else placed_network(seed, shape)
        program = compile_program(nodes, given_of(image), shape).program
        folder = tmp_path / f"network{seed}"
        folder.mkdir()
        (folder / "arena.bin").write_bytes(program.arena + pack_map(image[None], shape.accelerator).tobytes())
        layout = program.layout() | shape.program_sizes()
        (folder / "program.txt").write_text("".join(f"{name} {value}\n" for name, value in layout.items()))
        run(simulation, str(folder), "--results", str(folder / "results.bin"))
        expected = run_engine(network.workload, nodes, image[None])
        results = np.frombuffer((folder / "results.bin").read_bytes(), np.int8)
        got = results[(program.logits_word - program.counter_word) * program.axi_bytes :][: expected.size]
        assert np.array_equal(got, expected.reshape(-1)), f"seed {seed}"


def test_what_the_engine_cannot_run_is_refused_with_layer_field_and_limit() -> None:
    nodes, _, image = random_network(0)
    first = nodes[0]
    small = EngineShape(accelerator=ACCELERATOR, limits=Limits(max_kernel=1, max_stride=1))
    cut = replace(first, tiled=replace(first.tiled, shape=small))
    with pytest.raises(
        UnsupportedLayerError, match=rf"^{first.name}\.(kernel|stride): the engine has at most 1, got \d"
    ):
        compile_program([cut], given_of(image), SHAPE)
    wide = {IMAGE: (image.shape[0], 4096, 4096)}
    far = replace(first, tiled=replace(first.tiled, layer=replace(first.tiled.layer, in_width=5000)))
    with pytest.raises(UnsupportedLayerError, match=rf"^{first.name}\.in_width: the engine has 1 to 4095, got 5000$"):
        compile_program([far], wide, SHAPE)
    tall = replace(first.tiled.mapping, tile_out_channels=8 * 1024, tile_height=1)
    big = replace(first.tiled.layer, out_channels=2048, residual=0)
    with pytest.raises(
        MappingError, match=rf"^{first.name}: a tile needs \d+ words of a bank of the \w+ buffer, it has \d+$"
    ):
        compile_program([replace(first, tiled=replace(first.tiled, layer=big, mapping=tall))], given_of(image), SHAPE)


def test_an_image_ends_with_its_last_map_whatever_the_weight_port_can_read() -> None:
    wide = EngineShape(accelerator=replace(ACCELERATOR, weight_port_words=2, pe_rows=16))
    layer = EngineLayer(operation=Operation.CONV, in_channels=8, in_height=3, in_width=3, out_channels=16)
    order = LoopOrder.PIXELS_OUTER
    mapping = Mapping(tile_out_channels=16, tile_in_channels=8, tile_height=3, tile_width=3, loop_order=order)
    tiled = TiledLayer(layer=layer, mapping=mapping, shape=wide)
    node = EngineNode(name="layer", tiled=tiled, data=random_data(np.random.default_rng(0), layer), ifmap="image")
    program = compile_program([node], {"image": (8, 3, 3)}, wide).program
    assert program.image_words == 9
    assert program.logits_word == program.image_word + 10


def test_maps_lie_pixel_by_pixel_in_whole_words() -> None:
    images = np.arange(2 * 3 * 2 * 2, dtype=np.int8).reshape(2, 3, 2, 2)
    packed = pack_map(images, ENGINES[ENGINE].accelerator).reshape(2, 2, 2, 8)
    for n, c, h, w in np.ndindex(images.shape):
        assert packed[n, h, w, c] == images[n, c, h, w]
    assert not packed[..., 3:].any()
