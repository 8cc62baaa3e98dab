"""The layers of inverted-residual networks."""

from functools import partial

from codesign.supernet.lowering.segments import Chain, Segment, Values, halved
from codesign.supernet.spaces.mobile import MobileSpace, Position, squeezed_channels
from cost_models.workload import Activation, Node, Operation


def mobile_segments(space: MobileSpace) -> tuple[Segment, ...]:
    """Return stem, blocks and head of a space, in the order they run.

    Nodes are named ``stem``, ``stage1.block1.expand`` (``depthwise``, ``pool``, ``squeeze``, ``excite``, ``scale``,
    ``project``), ``final``, ``pool``, ``mix`` and ``classifier``.
    """
    blocks = []
    for position in space.positions:
        names = ("resolution", *(f"{position.name}.{kind}" for kind in ("kernel", "expand", "weight_bits")))
        blocks.append(Segment(names, partial(_block_nodes, space, position), position.name))
    stem, head = partial(_stem_nodes, space), partial(_head_nodes, space)
    return Segment(("resolution",), stem), *blocks, Segment(("resolution",), head)


def _stem_nodes(space: MobileSpace, values: Values, ifmap: str) -> list[Node]:
    stem, chain = space.stem, Chain(ifmap, space.image_channels, int(values["resolution"]))
    chain.add("stem", Operation.CONV, stem.width, stem.kernel, stem.stride, activation=stem.activation)
    return chain.nodes


def _block_nodes(space: MobileSpace, position: Position, values: Values, ifmap: str) -> list[Node]:
    stage, name = space.stages[position.stage], position.name
    kernel, expand, bits = (int(values[f"{name}.{kind}"]) for kind in ("kernel", "expand", "weight_bits"))
    size = halved(int(values["resolution"]), position.halvings)
    chain = Chain(ifmap, position.in_channels, size, f"{name}.")
    if stage.expanding:
        channels = position.expanded_channels(expand)
        chain.add("expand", Operation.CONV, channels, bits=bits, activation=stage.activation)
    strided = {"kernel": kernel, "stride": position.stride, "bits": bits}
    chain.add("depthwise", Operation.DEPTHWISE, **strided, activation=stage.activation)
    if stage.squeeze_excite:
        _add_squeeze_excite(chain)
    residual = ifmap if position.residual else None
    chain.add("project", Operation.CONV, position.out_channels, bits=bits, residual=residual)
    return chain.nodes


def _add_squeeze_excite(chain: Chain) -> None:
    gated = chain.ifmap, chain.channels, chain.size
    chain.add("pool", Operation.POOL, kernel=chain.size)
    chain.add("squeeze", Operation.CONV, squeezed_channels(chain.channels), activation=Activation.RELU)
    chain.add("excite", Operation.CONV, gated[1], activation=Activation.HSIGMOID)
    gate = chain.ifmap
    chain.read(*gated)
    chain.add("scale", Operation.SCALE, gate=gate)


def _head_nodes(space: MobileSpace, values: Values, ifmap: str) -> list[Node]:
    chain = Chain(ifmap, space.stages[-1].width, halved(int(values["resolution"]), space.halvings))
    chain.add("final", Operation.CONV, space.final_width, activation=space.final_activation)
    chain.add("pool", Operation.POOL, kernel=chain.size)
    if space.mix_width is not None:
        chain.add("mix", Operation.CONV, space.mix_width, activation=space.final_activation)
    chain.add("classifier", Operation.CONV, space.num_classes)
    return chain.nodes
