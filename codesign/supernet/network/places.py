"""Where the weights of each layer of a network lie: in the supernets here, and in the reference implementation."""

from collections.abc import Iterator
from dataclasses import dataclass

from codesign.supernet.lowering.workloads import nodes_of
from codesign.supernet.spaces.mobile import MobileSpace
from codesign.supernet.spaces.space import Space
from cost_models.workload import Node

# Role of a block's node: module of the block here, and in the reference implementation (the ``ofa`` package).
_MOBILE = {
    "expand": ("expand", "inverted_bottleneck"),
    "depthwise": ("depthwise", "depth_conv"),
    "squeeze": ("squeeze_excite.squeeze", "depth_conv.se.fc.reduce"),
    "excite": ("squeeze_excite.excite", "depth_conv.se.fc.expand"),
    "project": ("project", "point_linear"),
}
_RESNET = {"reduce": "conv1", "convolve": "conv2", "project": "conv3", "shortcut": "downsample"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """The modules that hold the weights of one node of a workload.

    Attributes:
        convolution: name of the convolution's module in a supernet.
        norm: name of the module of the batch norm after it, or None.
        official, official_norm: the same in the reference implementation, where elastic wrappers are left out.
        bias: whether the convolution has a bias.
    """

    convolution: str
    norm: str | None
    official: str
    official_norm: str | None
    bias: bool = False


def _place(convolution: str, official: str, *, bias: bool = False) -> Place:
    """Return the place of a node without batch norm."""
    return Place(convolution=convolution, norm=None, official=official, official_norm=None, bias=bias)


def _normed(convolution: str, norm: str, official: str) -> Place:
    """Return the place of a node with batch norm, whose module in the published nets is ``official``."""
    return Place(convolution=convolution, norm=norm, official=f"{official}.conv", official_norm=f"{official}.bn")


def places(space: Space) -> Iterator[tuple[Node, Place]]:
    """Yield the nodes of the full net that have weights, in the order of a supernet's modules, with their places."""
    nodes = {node.name: node for node in nodes_of(space, space.largest())}
    before = _mobile(space) if isinstance(space, MobileSpace) else _resnet(space)
    classifier = "classifier", _place("classifier", "classifier.linear", bias=True)
    for name, place in (*before, classifier):
        if name in nodes:
            yield nodes[name], place


def _mobile(space: MobileSpace) -> Iterator[tuple[str, Place]]:
    blocks = (
        (f"{block}.{role}", f"blocks.{index}.{module}", f"blocks.{index}.conv.{official}")
        for index, block in enumerate(space.block_names)
        for role, (module, official) in _MOBILE.items()
    )
    final = "feature_mix_layer" if space.mix_width is None else "final_expand_layer"
    for name, module, official in (("stem", "stem", "first_conv"), *blocks, ("final", "final", final)):
        if name.endswith((".squeeze", ".excite")):
            yield name, _place(module, official, bias=True)
        else:
            yield name, _normed(module, f"{module}_norm", official)
    yield "mix", _place("mix", "feature_mix_layer.conv")


def _resnet(space: Space) -> Iterator[tuple[str, Place]]:
    blocks = (
        (f"{block}.{role}", f"blocks.{index}.{role}", f"blocks.{index}.{official}")
        for index, block in enumerate(space.block_names)
        for role, official in _RESNET.items()
    )
    stem = (
        ("stem.first", "stem_first", "input_stem.0"),
        ("stem.residual", "stem_residual", "input_stem.1.conv"),
        ("stem.last", "stem_last", f"input_stem.{1 + int(space.choices['stem.depth'][-1])}"),
    )
    for name, module, official in (*stem, *blocks):
        yield name, _normed(f"{module}.convolution", f"{module}.norm", official)
