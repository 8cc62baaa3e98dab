"""The layers of bottleneck networks."""

from functools import partial

from codesign.supernet.lowering.segments import Chain, Segment, Values, halved
from codesign.supernet.spaces.resnet import BottleneckPosition, ResNetSpace, bottleneck_channels
from cost_models.workload import Activation, Node, Operation

_RELU = Activation.RELU


def resnet_segments(space: ResNetSpace) -> tuple[Segment, ...]:
    """Return stem, blocks and head of a space, in the order they run.

    Nodes are named ``stem.first``, ``stem.residual``, ``stem.last``, ``stem.pool``, ``stage1.block1.reduce``
    (``convolve``, ``pool``, ``shortcut``, ``project``), ``pool`` and ``classifier``.
    """
    blocks = []
    for position in space.positions:
        # A stage's first block reads what the stage before it, or the stem, has made.
        before = f"stage{position.stage}.width" if position.stage else "stem.width"
        widths = (before,) if position.block == 0 else ()
        names = ("resolution", *widths, f"stage{position.stage + 1}.width", f"{position.name}.expand")
        blocks.append(Segment(names, partial(_block_nodes, space, position), position.name))
    stem = Segment(("resolution", "stem.depth", "stem.mid_width", "stem.width"), partial(_stem_nodes, space))
    head = Segment(("resolution", f"stage{len(space.stages)}.width"), partial(_head_nodes, space))
    return stem, *blocks, head


def _stem_nodes(space: ResNetSpace, values: Values, ifmap: str) -> list[Node]:
    middle, width = space.stem_mid_channels(values["stem.mid_width"]), space.stem_channels(values["stem.width"])
    chain = Chain(ifmap, space.image_channels, int(values["resolution"]), "stem.")
    chain.add("first", Operation.CONV, middle, 3, 2, activation=_RELU)
    if values["stem.depth"]:
        chain.add("residual", Operation.CONV, middle, 3, activation=_RELU, residual=chain.ifmap, adds_last=True)
    chain.add("last", Operation.CONV, width, 3, activation=_RELU)
    chain.add("pool", Operation.MAX_POOL, kernel=3, stride=2)
    return chain.nodes


def _block_nodes(space: ResNetSpace, position: BottleneckPosition, values: Values, ifmap: str) -> list[Node]:
    name, stage, stride = position.name, position.stage, position.stride
    channels = space.stage_channels(stage, values[f"stage{stage + 1}.width"])
    middle = bottleneck_channels(channels, values[f"{name}.expand"])
    size = halved(int(values["resolution"]), position.halvings)
    in_channels, residual = channels, ifmap
    if position.downsamples:
        before = values[f"stage{stage}.width"] if stage else values["stem.width"]
        in_channels = space.stage_channels(stage - 1, before) if stage else space.stem_channels(before)
    chain = Chain(ifmap, in_channels, size, f"{name}.")
    if position.downsamples:
        if stride == 2:
            chain.add("pool", Operation.POOL, kernel=2, stride=2)
        chain.add("shortcut", Operation.CONV, channels)
        residual = chain.ifmap
        chain.read(ifmap, in_channels, size)
    chain.add("reduce", Operation.CONV, middle, activation=_RELU)
    chain.add("convolve", Operation.CONV, middle, 3, stride, activation=_RELU)
    chain.add("project", Operation.CONV, channels, activation=_RELU, residual=residual)
    return chain.nodes


def _head_nodes(space: ResNetSpace, values: Values, ifmap: str) -> list[Node]:
    stage = len(space.stages)
    width = space.stage_channels(stage - 1, values[f"stage{stage}.width"])
    chain = Chain(ifmap, width, halved(int(values["resolution"]), space.halvings))
    chain.add("pool", Operation.POOL, kernel=chain.size)
    chain.add("classifier", Operation.CONV, space.num_classes)
    return chain.nodes
