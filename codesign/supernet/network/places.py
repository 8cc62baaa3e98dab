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


@dataclass(frozen=True)
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


def places(space: Space) -> Iterator[tuple[Node, Place]]:
    """Yield the nodes of the full net that have weights, in the order of a supernet's modules, with their places."""
    nodes = {node.name: node for node in nodes_of(space, space.largest())}
    for name, place in _mobile(space) if isinstance(space, MobileSpace) else _resnet(space):
        if name in nodes:
            yield nodes[name], place


def _mobile(space: MobileSpace) -> Iterator[tuple[str, Place]]:
    def normalised(name: str, module: str, official: str) -> tuple[str, Place]:
        return name, Place(module, f"{module}_norm", f"{official}.conv", f"{official}.bn")

    yield normalised("stem", "stem", "first_conv")
    for index, block in enumerate(space.block_names):
        for role, (module, official) in _MOBILE.items():
            module, official = f"blocks.{index}.{module}", f"blocks.{index}.conv.{official}"
            if role in ("squeeze", "excite"):
                yield f"{block}.{role}", Place(module, None, official, None, bias=True)
            else:
                yield normalised(f"{block}.{role}", module, official)
    yield normalised("final", "final", "feature_mix_layer" if space.mix_width is None else "final_expand_layer")
    yield "mix", Place("mix", None, "feature_mix_layer.conv", None)
    yield "classifier", Place("classifier", None, "classifier.linear", None, bias=True)


def _resnet(space: Space) -> Iterator[tuple[str, Place]]:
    def normalised(name: str, module: str, official: str) -> tuple[str, Place]:
        return name, Place(f"{module}.convolution", f"{module}.norm", f"{official}.conv", f"{official}.bn")

    yield normalised("stem.first", "stem_first", "input_stem.0")
    yield normalised("stem.residual", "stem_residual", "input_stem.1.conv")
    yield normalised("stem.last", "stem_last", f"input_stem.{1 + int(space.choices['stem.depth'][-1])}")
    for index, block in enumerate(space.block_names):
        for role, official in _RESNET.items():
            yield normalised(f"{block}.{role}", f"blocks.{index}.{role}", f"blocks.{index}.{official}")
    yield "classifier", Place("classifier", None, "classifier.linear", None, bias=True)
