from dataclasses import replace

import numpy as np
from support.networks.named_spaces import DIGITS

from codesign.supernet.lowering.workloads import lower
from cost_models.mapping.block import Block, find_blocks, partitions_of
from cost_models.mapping.placement import check_groups, map_halves
from cost_models.workload import IMAGE, Layer, Node, Operation, Workload, graph_of

EXPAND = Layer(operation=Operation.CONV, in_channels=8, out_channels=32, in_height=14, in_width=14)
DEPTHWISE = Layer(
    operation=Operation.DEPTHWISE,
    in_channels=32,
    out_channels=32,
    in_height=14,
    in_width=14,
    kernel_height=5,
    kernel_width=5,
    stride=2,
    padding=2,
)
PROJECT = Layer(operation=Operation.CONV, in_channels=32, out_channels=8, in_height=7, in_width=7)
SQUEEZE = (
    Layer(
        operation=Operation.POOL,
        in_channels=32,
        out_channels=32,
        in_height=7,
        in_width=7,
        kernel_height=7,
        kernel_width=7,
    ),
    Layer(operation=Operation.CONV, in_channels=32, out_channels=8, in_height=1, in_width=1),
    Layer(operation=Operation.CONV, in_channels=8, out_channels=32, in_height=1, in_width=1),
    Layer(operation=Operation.SCALE, in_channels=32, out_channels=32, in_height=7, in_width=7),
)


def nodes_of(block: Block) -> tuple[Node, ...]:
    """The block as a network."""
    names, nodes = ["expand", "depthwise", "pool", "squeeze", "excite", "scale", "project"], []
    depthwise = block.index(DEPTHWISE)
    kinds = [*names[1 - depthwise : 2], *(names[2:6] if len(block) > 4 else ()), "project"]
    last = IMAGE
    for kind, layer in zip(kinds, block, strict=True):
        gate = "excite" if kind == "scale" else None
        nodes.append(Node(name=kind, layer=layer, ifmap="depthwise" if kind == "scale" else last, gate=gate))
        last = kind
    return tuple(nodes)


def test_blocks_of_every_kind_are_found() -> None:
    for expand in ((EXPAND,), ()):
        for squeeze in ((), SQUEEZE):
            block = (*expand, DEPTHWISE, *squeeze, PROJECT)
            nodes = nodes_of(block)
            assert find_blocks(graph_of(nodes)) == [(tuple(node.name for node in nodes), block)]


def test_what_another_layer_reads_is_no_block() -> None:
    nodes = nodes_of((EXPAND, DEPTHWISE, PROJECT))
    again = replace(nodes[2], name="again")
    assert find_blocks(graph_of((*nodes, again))) == []
    nodes = nodes_of((EXPAND, DEPTHWISE, *SQUEEZE, PROJECT))
    assert find_blocks(graph_of((*nodes[:-1], replace(nodes[-1], ifmap="depthwise")))) == []


def test_the_blocks_of_a_network_are_its_stages() -> None:
    workload = lower(DIGITS, DIGITS.largest())
    found = find_blocks(workload.graph)
    inside = {name for names, _ in found for name in names}
    assert len(found) == sum("depthwise" in node.name for node in workload)
    assert {node.name.split(".")[0] for node in workload if node.name not in inside} <= {
        *("stem", "final", "pool", "mix", "classifier"),
    }


def test_every_option_of_every_plan_can_run() -> None:
    rng = np.random.default_rng(0)
    for expand in ((EXPAND,), ()):
        for squeeze in ((), SQUEEZE):
            block = (*expand, DEPTHWISE, *squeeze, PROJECT)
            workload = Workload(nodes_of(block))
            for partition in partitions_of(block):
                assert [layer for layers, _ in partition for layer in layers] == [*block]
                for layers, options in partition:
                    assert len(set(options)) == len(options)
                    assert all(len(option) == len(layers) for option in options)
                for _ in range(30):
                    chosen = [options[int(rng.integers(len(options)))] for _, options in partition]
                    placements = [placement for some in chosen for placement in some]
                    check_groups(workload.nodes, placements)
                    map_halves(workload.nodes, placements)


def test_the_depthwise_map_stays_for_all_readers_or_for_none() -> None:
    partitions = partitions_of((EXPAND, DEPTHWISE, *SQUEEZE, PROJECT))
    for partition, rows in zip(partitions, (0, 7), strict=True):
        head, gate, tail = (options for _, options in partition)
        assert {option[-1].ofmap_ring for option in head} == {rows}
        assert {option[0].ifmap_ring for option in (*gate, *tail)} == {rows}


def test_a_layer_before_is_part_of_one_block_alone() -> None:
    # The projection of the first block is all that the second depthwise layer reads.
    first, narrow = nodes_of((EXPAND, DEPTHWISE, PROJECT)), replace(DEPTHWISE, in_channels=8, out_channels=8)
    second = (
        Node(name="again", layer=replace(narrow, in_height=7, in_width=7), ifmap="project"),
        Node(name="end", layer=replace(PROJECT, in_channels=8, in_height=4, in_width=4), ifmap="again"),
    )
    assert [names for names, _ in find_blocks(Workload((*first, *second)).graph)] == [
        ("expand", "depthwise", "project"),
        ("again", "end"),
    ]


def test_layers_that_do_not_run_one_after_the_other_are_no_block() -> None:
    expand, depthwise, project = nodes_of((EXPAND, DEPTHWISE, PROJECT))
    between = Node(name="between", layer=EXPAND, ifmap=IMAGE)
    assert find_blocks(graph_of((expand, depthwise, between, project))) == []
    # Both branches are blocks where each runs at a time.
    others = [replace(node, name=f"other.{node.name}") for node in (expand, depthwise, project)]
    others[1:] = [replace(node, ifmap=f"other.{node.ifmap}") for node in others[1:]]
    assert len(find_blocks(graph_of((expand, depthwise, project, *others)))) == 2
