"""The layers of bottleneck networks."""

from functools import partial

from codesign.supernet.lowering.segments import Segment, Values, convolution, global_pool, halved
from codesign.supernet.spaces.resnet import BottleneckPosition, ResNetSpace, bottleneck_channels
from cost_models.workload import Activation, Layer, Node, Operation


def resnet_segments(space: ResNetSpace) -> tuple[Segment, ...]:
    """Stem, blocks and head of a space, in the order they run.

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
    resolution, relu = int(values["resolution"]), Activation.RELU
    middle, width = space.stem_mid_channels(values["stem.mid_width"]), space.stem_channels(values["stem.width"])
    size = halved(resolution, 1)
    nodes = [
        Node(
            name="stem.first",
            layer=convolution(space.image_channels, middle, resolution, 3, 2),
            ifmap=ifmap,
            activation=relu,
        )
    ]
    if values["stem.depth"]:
        layer = convolution(middle, middle, size, 3, residual=True)
        nodes.append(
            Node(
                name="stem.residual",
                layer=layer,
                ifmap="stem.first",
                activation=relu,
                residual="stem.first",
                adds_last=True,
            )
        )
    return [
        *nodes,
        Node(name="stem.last", layer=convolution(middle, width, size, 3), ifmap=nodes[-1].name, activation=relu),
        Node(
            name="stem.pool",
            layer=Layer(
                operation=Operation.MAX_POOL,
                in_channels=width,
                out_channels=width,
                in_height=size,
                in_width=size,
                kernel_height=3,
                kernel_width=3,
                stride=2,
                padding=1,
            ),
            ifmap="stem.last",
        ),
    ]


def _block_nodes(space: ResNetSpace, position: BottleneckPosition, values: Values, ifmap: str) -> list[Node]:
    name, stage, stride = position.name, position.stage, position.stride
    channels = space.stage_channels(stage, values[f"stage{stage + 1}.width"])
    middle = bottleneck_channels(channels, values[f"{name}.expand"])
    size = halved(int(values["resolution"]), position.halvings)
    out_size = halved(size, int(stride == 2))
    in_channels, residual, nodes = channels, ifmap, []
    if position.downsamples:
        before = values[f"stage{stage}.width"] if stage else values["stem.width"]
        in_channels = space.stage_channels(stage - 1, before) if stage else space.stem_channels(before)
        if stride == 2:
            pool = Layer(
                operation=Operation.POOL,
                in_channels=in_channels,
                out_channels=in_channels,
                in_height=size,
                in_width=size,
                kernel_height=2,
                kernel_width=2,
                stride=2,
            )
            nodes.append(Node(name=f"{name}.pool", layer=pool, ifmap=ifmap))
        shortcut = convolution(in_channels, channels, out_size)
        nodes.append(Node(name=f"{name}.shortcut", layer=shortcut, ifmap=nodes[-1].name if nodes else ifmap))
        residual = f"{name}.shortcut"
    relu = Activation.RELU
    project = convolution(middle, channels, out_size, residual=True)
    return [
        *nodes,
        Node(name=f"{name}.reduce", layer=convolution(in_channels, middle, size), ifmap=ifmap, activation=relu),
        Node(
            name=f"{name}.convolve",
            layer=convolution(middle, middle, size, 3, stride),
            ifmap=f"{name}.reduce",
            activation=relu,
        ),
        Node(name=f"{name}.project", layer=project, ifmap=f"{name}.convolve", activation=relu, residual=residual),
    ]


def _head_nodes(space: ResNetSpace, values: Values, ifmap: str) -> list[Node]:
    stage = len(space.stages)
    size = halved(int(values["resolution"]), space.halvings)
    width = space.stage_channels(stage - 1, values[f"stage{stage}.width"])
    classifier = convolution(width, space.num_classes, 1)
    return [
        Node(name="pool", layer=global_pool(width, size), ifmap=ifmap),
        Node(name="classifier", layer=classifier, ifmap="pool"),
    ]
