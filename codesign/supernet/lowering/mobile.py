"""The layers of inverted-residual networks."""

from functools import partial

from codesign.supernet.lowering.segments import Segment, Values, convolution, global_pool, halved
from codesign.supernet.spaces.mobile import MobileSpace, Position, squeezed_channels
from cost_models.workload import Activation, Layer, Node, Operation


def mobile_segments(space: MobileSpace) -> tuple[Segment, ...]:
    """Stem, blocks and head of a space, in the order they run.

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
    stem = space.stem
    layer = convolution(space.image_channels, stem.width, int(values["resolution"]), stem.kernel, stem.stride)
    return [Node(name="stem", layer=layer, ifmap=ifmap, activation=stem.activation)]


def _squeeze_excite_nodes(name: str, channels: int, size: int) -> list[Node]:
    squeezed = squeezed_channels(channels)
    scale = Layer(operation=Operation.SCALE, in_channels=channels, out_channels=channels, in_height=size, in_width=size)
    return [
        Node(name=f"{name}.pool", layer=global_pool(channels, size), ifmap=f"{name}.depthwise"),
        Node(
            name=f"{name}.squeeze",
            layer=convolution(channels, squeezed, 1),
            ifmap=f"{name}.pool",
            activation=Activation.RELU,
        ),
        Node(
            name=f"{name}.excite",
            layer=convolution(squeezed, channels, 1),
            ifmap=f"{name}.squeeze",
            activation=Activation.HSIGMOID,
        ),
        Node(name=f"{name}.scale", layer=scale, ifmap=f"{name}.depthwise", gate=f"{name}.excite"),
    ]


def _block_nodes(space: MobileSpace, position: Position, values: Values, ifmap: str) -> list[Node]:
    stage, name, stride = space.stages[position.stage], position.name, position.stride
    kernel, expand, bits = (int(values[f"{name}.{kind}"]) for kind in ("kernel", "expand", "weight_bits"))
    channels = position.expanded_channels(expand)
    size = halved(int(values["resolution"]), position.halvings)
    out_size = halved(size, int(stride == 2))
    nodes = []
    if stage.expanding:
        layer = convolution(position.in_channels, channels, size, weight_bits=bits)
        nodes.append(Node(name=f"{name}.expand", layer=layer, ifmap=ifmap, activation=stage.activation))
    depthwise = Layer(
        operation=Operation.DEPTHWISE,
        in_channels=channels,
        out_channels=channels,
        in_height=size,
        in_width=size,
        kernel_height=kernel,
        kernel_width=kernel,
        stride=stride,
        padding=kernel // 2,
        weight_bits=bits,
    )
    nodes.append(
        Node(
            name=f"{name}.depthwise",
            layer=depthwise,
            ifmap=nodes[-1].name if nodes else ifmap,
            activation=stage.activation,
        )
    )
    if stage.squeeze_excite:
        nodes += _squeeze_excite_nodes(name, channels, out_size)
    residual = ifmap if position.residual else None
    project = convolution(channels, position.out_channels, out_size, residual=residual is not None, weight_bits=bits)
    return [*nodes, Node(name=f"{name}.project", layer=project, ifmap=nodes[-1].name, residual=residual)]


def _head_nodes(space: MobileSpace, values: Values, ifmap: str) -> list[Node]:
    size, width = halved(int(values["resolution"]), space.halvings), space.final_width
    final = convolution(space.stages[-1].width, width, size)
    nodes = [
        Node(name="final", layer=final, ifmap=ifmap, activation=space.final_activation),
        Node(name="pool", layer=global_pool(width, size), ifmap="final"),
    ]
    if space.mix_width is not None:
        nodes.append(
            Node(
                name="mix",
                layer=convolution(width, space.mix_width, 1),
                ifmap="pool",
                activation=space.final_activation,
            )
        )
    classifier = convolution(space.mix_width or width, space.num_classes, 1)
    return [*nodes, Node(name="classifier", layer=classifier, ifmap=nodes[-1].name)]
