"""Programs in steps: bands, rings of rows on chip, and what is fetched beside the last store of the step before."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.verilog.descriptor_walk import WalkError
from support.verilog.engines import ENGINES
from support.verilog.program_walk import walk_program
from support.verilog.random_engine_chains import Chain, bands_of, random_chain
from support.verilog.random_engine_layers import random_data

from codesign.emit import overlap
from codesign.emit.engine_reference import EngineNode
from codesign.emit.plan import plan_steps
from codesign.emit.program import CompiledProgram
from cost_models.engine.layer import EngineLayer
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Shape
from hw_templates.conv_engine import isa
from hw_templates.foundation.errors import CodesignError, InvalidValueError, MappingError, UnsupportedLayerError
from hw_templates.operations import Operation

WITH_MAPS = [name for name, shape in ENGINES.items() if shape.accelerator.map_kib]
SHAPE = ENGINES[WITH_MAPS[0]]
GROUPS = 4
CONV, DEPTHWISE, SCALE = Operation.CONV, Operation.DEPTHWISE, Operation.SCALE


def node_of(
    name: str, ifmap: str, *, tile_height: int = 99, order: LoopOrder = LoopOrder.PIXELS_OUTER, **given: Any
) -> EngineNode:
    """A node in tiles of some rows; others of its fields, or of its layer, are as given."""
    own = {each: given.pop(each) for each in ("gate", "residual", "placement") if each in given}
    sizes = {"in_channels": 16, "in_height": 9, "in_width": 5, "out_channels": 16, "operation": CONV}
    layer = EngineLayer(**{**sizes, **given, "residual": int("residual" in own)})
    unit = 16
    mapping = Mapping(
        tile_out_channels=unit,
        tile_in_channels=16,
        tile_height=min(tile_height, layer.out_height),
        tile_width=layer.out_width,
        loop_order=order,
    )
    data = random_data(np.random.default_rng(len(name) + sum(name.encode())), layer, borders=False)
    return EngineNode(
        name=name, tiled=TiledLayer(layer=layer, mapping=mapping, shape=SHAPE), data=data, ifmap=ifmap, **own
    )


def chain_of(*nodes: EngineNode, **given: Shape) -> Chain:
    """A chain of nodes that read the given maps, besides ``image``."""
    return Chain(shape=SHAPE, nodes=nodes, given={"image": (16, 9, 5), **given})


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each step begin as early as it may, whether that takes fewer cycles or not."""
    monkeypatch.setattr(overlap, "_cycles", lambda _before, _step, choice: -choice.early)


def begins(chain: Chain) -> list[tuple[int, int]]:
    """What of each step is early, and what waits."""
    return [(step.early, step.waits) for step in chain.compiled().steps]


def group(height: int, *rings: int) -> list[EngineNode]:
    """An expansion, a depthwise layer of 3x3 and a projection that run together, band by band."""
    nodes = [
        node_of("expand", "image"),
        node_of("depthwise", "expand", operation=DEPTHWISE, kernel=(3, 3), padding=(1, 1, 1, 1)),
        node_of("project", "depthwise"),
    ]
    bands = bands_of([node.tiled.layer for node in nodes], height)
    places = [
        Placement(ifmap_ring=read, ofmap_ring=made, bands=its_bands, group_layers=0 if index else 3)
        for index, (read, made, its_bands) in enumerate(zip((0, *rings), (*rings, 0), bands, strict=True))
    ]
    return [replace(node, placement=place) for node, place in zip(nodes, places, strict=True)]


def test_bands_of_a_group_follow_each_other_and_each_is_a_layer_of_its_rows() -> None:
    compiled = chain_of(*group(4, 6, 4)).compiled()
    steps = compiled.steps
    assert [step.layer for step in steps] == [0, 1, 2, 0, 1, 2, 1, 2]
    # Bands of 4, 4 and 1 rows: the depthwise layer reads a row above and one below, of which the expansion makes what
    # is new; in the last band that is nothing.
    sizes = [(step.tiled.layer.in_height, step.tiled.layer.out_height) for step in steps]
    assert sizes == [(5, 5), (5, 4), (4, 4), (4, 4), (6, 4), (4, 4), (2, 1), (1, 1)]
    depthwise = [step.tiled.layer.padding for step in steps if step.layer == 1]
    assert depthwise == [(1, 1, 0, 1), (0, 1, 0, 1), (0, 1, 1, 1)]
    rows = 5
    lines = [step.places.ifmap.word for step in steps if step.layer == 1]
    # The expanded map is in half 1: rows 0, 3 and 7 of it, in a ring of 6.
    assert lines == [SHAPE.accelerator.map_depth + rows * row for row in (0, 3, 7 % 6)]
    assert {step.places.weight_word for step in steps if step.layer == 0} == {steps[0].places.weight_word}
    assert len({step.places.counter_word for step in steps}) == len(steps)


def plain_rows(chain: Chain, compiled: CompiledProgram) -> None:
    """Check by the fields of the descriptors alone that each row that is read was made, and is still there."""
    records = np.frombuffer(compiled.program.arena, isa.DESCRIPTOR, compiled.program.layer_count)
    held: dict[tuple[str, int], tuple[str, int]] = {}
    image = compiled.program.image_word
    word, port = SHAPE_OF[chain.shape]
    for name, (channels, height, width) in chain.given.items():
        pixel = -(-channels // word)
        for row in range(height):
            held |= {("memory", image + (row * width) * pixel + at): (name, row) for at in range(width * pixel)}
        image += -(-height * width * pixel // port) * port
    done = dict.fromkeys((node.name for node in chain.nodes), 0)
    for step, record in zip(compiled.steps, records, strict=True):
        field = {name: int(record[name]) for name, _, _ in isa.FIELDS}
        node = chain.nodes[step.layer]
        layer, begin = node.tiled.layer, done[node.name]

        def lines(
            prefix: str, place: str, rows: int, maps: str, field: dict[str, int] = field
        ) -> list[tuple[str, range]]:
            """Where each of some rows lies."""
            on_chip = maps and field[f"map_{maps}"]
            found = []
            for row in range(rows):
                at = field[f"{place}_word"] + row * field[f"{prefix}_row_step"]
                if on_chip and at >= field[f"map_{maps}_end"]:
                    at -= field[f"map_{maps}_ring"]
                if on_chip:
                    assert field[f"map_{maps}_end"] - field[f"map_{maps}_ring"] <= at
                    assert at + field[f"{prefix}_row_step"] <= field[f"map_{maps}_end"]
                found.append(("chip" if on_chip else "memory", range(at, at + field[f"{prefix}_row_step"])))
            return found

        # Behind the last window there may be rows that nobody reads.
        reach = (field["out_height"] - 1) * field["stride_height"] + (field["kernel_height"] - 1) * field[
            "dilation_height"
        ]
        halves = 1 + field["repeat"]
        in_rows = -(-min(field["in_height"], reach + 1 - field["pad_top"]) // halves)
        first = max(0, begin * layer.stride[0] - layer.padding[0]) // halves
        reads = [(node.ifmap, first, lines("in", "ifmap", in_rows, "in"))]
        if node.residual is not None:
            reads.append((node.residual, begin, lines("res", "residual", field["out_height"], "")))
        for name, row, where in reads:
            for offset, (memory, places) in enumerate(where):
                assert {held[memory, at] for at in places} == {(name, row + offset)}, f"{node.name}: {name}"
        for offset, (memory, places) in enumerate(lines("out", "ofmap", field["out_height"], "out")):
            held |= {(memory, at): (node.name, begin + offset) for at in places}
        done[node.name] = begin + field["out_height"]
    for node in chain.nodes:
        assert done[node.name] == node.tiled.layer.out_height or node.placement.ofmap_ring


SHAPE_OF = {shape: (shape.accelerator.axi_bytes, shape.accelerator.weight_port_words) for shape in ENGINES.values()}


@given(name=st.sampled_from(list(ENGINES)), seed=st.integers(0, 1 << 32))
@settings(max_examples=150, deadline=None)
def test_each_row_that_a_step_reads_was_made_and_is_not_overwritten(name: str, seed: int) -> None:
    chain = random_chain(ENGINES[name], GROUPS, seed)
    plain_rows(chain, chain.compiled())


@given(name=st.sampled_from(WITH_MAPS), seed=st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None)
def test_a_ring_that_is_a_row_too_small_is_refused_or_is_still_large_enough(name: str, seed: int) -> None:
    chain = random_chain(ENGINES[name], GROUPS, seed)
    nodes = list(chain.nodes)
    for index, node in enumerate(nodes):
        if node.placement.ofmap_ring > 1:
            ring = node.placement.ofmap_ring - 1
            nodes[index] = replace(node, placement=replace(node.placement, ofmap_ring=ring))
            for reader, other in enumerate(nodes):
                if other.ifmap == node.name and other.placement.ifmap_ring:
                    nodes[reader] = replace(other, placement=replace(other.placement, ifmap_ring=ring))
    smaller = replace(chain, nodes=tuple(nodes))
    try:
        compiled = smaller.compiled()
    except MappingError:
        return
    plain_rows(smaller, compiled)


@pytest.mark.parametrize("name", ENGINES)
def test_programs_make_of_every_map_what_they_must_even_where_memory_is_slow(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for seed in range(25):
        chain = random_chain(ENGINES[name], GROUPS, seed)
        walk_program(chain, chain.compiled())
        with monkeypatch.context() as patched:
            patched.setattr(overlap, "_cycles", lambda *_: rng.random())
            walk_program(chain, chain.compiled())


@pytest.mark.usefixtures("eager")
def test_what_waits_must_and_what_is_not_early_could_not_be_for_the_most_part() -> None:
    caught, free = Counter[str](), Counter[str]()

    def walk(chain: Chain, compiled: CompiledProgram, kind: str, index: int, **fields: int) -> None:
        try:
            walk_program(chain, compiled, {index: fields})
            free[kind] += 1
        except WalkError:
            caught[kind] += 1

    for name in ENGINES:
        for seed in range(100, 106):
            chain = random_chain(ENGINES[name], GROUPS, seed)
            compiled = chain.compiled()
            for index, step in enumerate(compiled.steps):
                if index and step.early < 2:
                    kind = f"early {step.early + 1}"
                    walk(chain, compiled, kind, index, early=step.early + 1, waits=7)
                for bit in (1, 2, 4):
                    if step.waits & bit:
                        walk(chain, compiled, f"waits {bit}", index, waits=step.waits - bit)
    # Rows, columns and channels of a map's last tile are told apart, not its pixels, and of a gate nothing; and a wait
    # for one map may be behind that for another one.
    for early in (1, 2):
        assert caught[f"early {early}"] > 2 * free[f"early {early}"]
        assert caught[f"early {early}"] > 10
    for bit, least in ((1, 10), (2, 1), (4, 10)):
        assert caught[f"waits {bit}"] >= max(least, free[f"waits {bit}"])


def check_rule(chain: Chain, *expected: tuple[int, int]) -> None:
    """Check what of each step is early and waits, that no wait can be left out, and that one more early is too much."""
    assert begins(chain) == list(expected)
    compiled = chain.compiled()
    walk_program(chain, compiled)
    for index, step in enumerate(compiled.steps):
        changes = [{"waits": step.waits - bit} for bit in (1, 2, 4) if step.waits & bit]
        if index and step.early < 2:
            changes.append({"early": step.early + 1, "waits": 7})
        for change in changes:
            with pytest.raises(WalkError):
                walk_program(chain, compiled, {index: change})


@pytest.mark.usefixtures("eager")
def test_a_gate_is_fetched_before_the_first_slot_but_not_beside_the_step_that_makes_it() -> None:
    gate = node_of("gate", "squeezed", in_height=1, in_width=1)
    scale = node_of("scale", "image", operation=SCALE, gate="gate")
    between = node_of("between", "image")
    check_rule(chain_of(gate, scale, squeezed=(16, 1, 1)), (0, 0), (0, 4))
    check_rule(chain_of(gate, between, scale, squeezed=(16, 1, 1)), (0, 0), (2, 0), (2, 4))


@pytest.mark.usefixtures("eager")
def test_a_gate_waits_where_no_map_from_memory_does() -> None:
    kept = node_of("kept", "image", placement=Placement(ofmap_ring=9))
    gate = node_of("gate", "squeezed", in_height=1, in_width=1)
    other = node_of("other", "kept", placement=Placement(ifmap_ring=9))
    scale = node_of("scale", "kept", operation=SCALE, gate="gate", placement=Placement(ifmap_ring=9))
    check_rule(chain_of(kept, gate, other, scale, squeezed=(16, 1, 1)), (0, 0), (2, 0), (2, 0), (2, 4))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("order", list(LoopOrder))
def test_a_map_that_was_just_made_waits_for_its_last_tile_before_the_second_is_fetched(order: LoopOrder) -> None:
    first = node_of("first", "image", tile_height=3, order=order, out_channels=32)
    check_rule(chain_of(first, node_of("second", "first", tile_height=3, in_channels=32)), (0, 0), (2, 1))
    # All rows at once: of a tile of channels those are there, if sums of others are not stored with them.
    whole = node_of("second", "first", in_channels=32)
    check_rule(chain_of(first, whole), (0, 0), (1 if order is LoopOrder.INPUTS_OUTER else 2, 1))


@pytest.mark.usefixtures("eager")
def test_a_part_of_a_map_that_is_fetched_later_than_the_second_tile_waits_before_slot_1() -> None:
    first = node_of("first", "image", tile_height=3)
    # Two tiles of output channels read the first part; the next one is fetched in slot 2.
    check_rule(chain_of(first, node_of("second", "first", tile_height=3, out_channels=32)), (0, 0), (2, 3))


@pytest.mark.usefixtures("eager")
def test_a_map_that_is_added_waits_before_the_second_slot() -> None:
    first = node_of("first", "image", tile_height=3)
    check_rule(chain_of(first, node_of("second", "image", residual="first")), (0, 0), (2, 2))
    # Its own input is waited for anyhow.
    assert begins(chain_of(first, node_of("second", "first", tile_height=3, residual="first"))) == [(0, 0), (2, 1)]
    # Where the first tile needs a row of the last one, the step waits before it, and needs no wait behind it.
    check_rule(chain_of(first, node_of("second", "first", tile_height=7, residual="first")), (0, 0), (1, 1))


@pytest.mark.usefixtures("eager")
def test_an_older_map_waits_once() -> None:
    nodes = node_of("first", "image"), node_of("second", "image"), node_of("third", "first"), node_of("last", "first")
    check_rule(chain_of(*nodes), (0, 0), (2, 0), (2, 1), (2, 0))


@pytest.mark.usefixtures("eager")
def test_a_map_on_chip_is_not_fetched_while_its_last_tile_is_stored() -> None:
    kept = node_of("kept", "image", placement=Placement(ofmap_ring=9))
    reader = node_of("reader", "kept", placement=Placement(ifmap_ring=9))
    check_rule(chain_of(kept, reader), (0, 0), (1, 0))
    tiled = node_of("kept", "image", tile_height=3, placement=Placement(ofmap_ring=9))
    first_rows = node_of("reader", "kept", tile_height=3, placement=Placement(ifmap_ring=9))
    check_rule(chain_of(tiled, first_rows), (0, 0), (2, 0))


@pytest.mark.usefixtures("eager")
def test_bands_begin_early_where_they_read_what_is_older() -> None:
    # Each expansion reads the image; the others read what the step before has just made on chip.
    check_rule(chain_of(*group(3, 5, 3)), (0, 0), (1, 0), (1, 0), (2, 0), (1, 0), (1, 0), (2, 0), (1, 0), (1, 0))


def test_a_table_is_loaded_unless_the_step_before_has_the_same() -> None:
    same = np.arange(-128, 128, dtype=np.int8)
    nodes = [replace(node, data=replace(node.data, table=same)) for node in group(4, 6, 4)]
    assert [step.load_table for step in chain_of(*nodes).compiled().steps] == [True, *[False] * 7]
    nodes[1] = replace(nodes[1], data=replace(nodes[1].data, table=same[::-1]))
    # Of the steps of layers 0, 1, 2, 0, 1, 2, 1, 2.
    loads = [True, True, True, False, True, True, True, True]
    assert [step.load_table for step in chain_of(*nodes).compiled().steps] == loads


def test_weights_are_fetched_early_only_where_that_takes_fewer_cycles() -> None:
    # A long last store hides weights that take longer than the ifmap; else both come faster side by side.
    first = node_of("first", "image", in_width=31, in_height=3)
    second = node_of("second", "first", in_width=31, in_height=3, tile_height=1, kernel=(1, 7), padding=(0, 3, 0, 3))
    chain = replace(chain_of(first, second), given={"image": (16, 3, 31)})
    assert begins(chain) == [(0, 0), (1, 1)]
    short = node_of("first", "image", tile_height=1), node_of("second", "first")
    assert begins(chain_of(*short)) == [(0, 0), (0, 1)]


@pytest.mark.usefixtures("eager")
def test_weights_could_be_fetched_early_there() -> None:
    first, second = node_of("first", "image", tile_height=1), node_of("second", "first")
    assert begins(chain_of(first, second)) == [(0, 0), (1, 1)]


def refused(*nodes: EngineNode) -> str:
    """The message with which a program is refused."""
    with pytest.raises(CodesignError) as error:
        plan_steps(nodes, {"image": (16, 9, 5)})
    assert isinstance(error.value, InvalidValueError | MappingError | UnsupportedLayerError)
    return str(error.value)


def placed(node: EngineNode, **changes: Any) -> EngineNode:
    """The node with another placement."""
    return replace(node, placement=replace(node.placement, **changes))


def test_what_does_not_go_together_is_refused() -> None:
    expand, depthwise, project = group(4, 6, 4)
    kept = node_of("kept", "image", placement=Placement(ofmap_ring=9))
    plan_steps((expand, depthwise, project), {"image"})
    assert refused(placed(expand, group_layers=4), depthwise, project).startswith(
        "expand.group_layers: must be at most 3"
    )
    assert refused(expand, placed(depthwise, group_layers=2), project).startswith("depthwise.group_layers: must be 0")
    assert refused(expand, placed(depthwise, bands=((0, 9),)), project).startswith("depthwise.bands: must be 3 bands")
    assert refused(expand, depthwise, placed(project, bands=((0, 4), (5, 8), (8, 9)))).startswith(
        "project.bands: must be"
    )
    assert refused(expand, depthwise, placed(project, bands=((0, 4), (4, 8), (8, 8)))).startswith(
        "project.bands: must be"
    )
    assert refused(placed(expand, ofmap_ring=4), placed(depthwise, ifmap_ring=4), project) == (
        "expand.ofmap_ring: must be at least the 5 rows of a band, got 4"
    )
    assert refused(placed(expand, ofmap_ring=5), placed(depthwise, ifmap_ring=5), project) == (
        "depthwise.ifmap_ring: row 3 of expand is not in the map memory when rows (4, 8) are made; 5 rows stay there"
    )
    assert (
        refused(kept, node_of("reader", "kept")) == "reader: row 0 of kept is not in memory when rows (0, 9) are made"
    )
    assert refused(kept, node_of("reader", "image", residual="kept")).startswith(
        "reader: row 0 of kept is not in memory"
    )
    assert refused(node_of("reader", "later"), node_of("later", "image")).startswith("reader: row 0 of later is not in")
    assert refused(node_of("reader", "image", placement=Placement(ifmap_ring=9))).startswith(
        "reader.ifmap_ring: must be 0"
    )
    assert refused(placed(kept, ofmap_ring=10)).startswith("kept.ofmap_ring: must be at most the 9 rows of the map")
    added = node_of("added", "image", residual="image", placement=Placement(ofmap_ring=9))
    assert refused(added) == "added.ofmap_ring: must be 0 where a map is added, got 9"
    wide = node_of("wide", "image", in_width=400, placement=Placement(ofmap_ring=9))
    assert refused(wide) == "wide.ofmap_ring: 9 rows on chip take a map_kib of 57, the engine has 16"
    repeated = node_of("twice", "kept", in_height=18, in_width=10, repeat=True, placement=Placement(ifmap_ring=9))
    assert refused(kept, repeated) == "twice.ifmap_ring: must be 0 where the map is repeated, got 9"
    halves = ((0, 9), (9, 18))
    repeated = node_of("twice", "image", in_height=18, in_width=10, repeat=True, placement=Placement(bands=halves))
    assert refused(repeated).startswith("twice.bands: must be one band in a layer of a repeated map")
    pool = node_of("pool", "image", operation=Operation.POOL, placement=Placement(bands=((0, 4), (4, 9))))
    pool = replace(pool, data=replace(pool.data, edges=(1, 0, 0, 0)))
    assert refused(pool).startswith("pool.bands: must be one band in a layer of an average pool with border classes")
    last = placed(project, bands=())
    assert last.placement.bands == IN_MEMORY.bands
    padded = node_of(
        "padded", "image", kernel=(3, 3), padding=(0, 1, 4, 1), placement=Placement(bands=((0, 9), (9, 11)))
    )
    assert refused(padded) == "padded: rows (9, 11) read no row of its input map, but padding alone"


def test_the_last_map_of_a_program_is_in_memory() -> None:
    with pytest.raises(InvalidValueError, match=r"^kept.ofmap_ring: must be 0 for the last layer of a program, got 9$"):
        chain_of(node_of("kept", "image", placement=Placement(ofmap_ring=9))).compiled()
