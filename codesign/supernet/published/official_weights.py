"""State dicts of the published supernets: their names of weights, read and written.

Names and shapes are those of the reference implementation (the ``ofa`` package, MIT licence). Its authors published
two dialects: with the elastic wrappers of its modules (``conv.conv.weight``, ``bn.bn.weight``), which is written here,
and without; both are read.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from codesign.supernet.layers.elastic import SharedStatistics
from codesign.supernet.network.build import build_supernet
from codesign.supernet.network.elastic_network import Supernet
from codesign.supernet.network.mobile import ElasticBlock, MobileSupernet
from codesign.supernet.network.resnet import ElasticBottleneck, ResNetSupernet
from codesign.supernet.spaces.space import Space
from hw_templates.foundation.errors import InvalidValueError

# Elastic wrappers, and the older name of a residual block's convolutions.
_PLAIN = (
    (re.compile(r"\.mobile_inverted_conv\."), ".conv."),
    (re.compile(r"\.bn\.bn\."), ".bn."),
    (re.compile(r"\.conv\.conv\.weight$"), ".conv.weight"),
    (re.compile(r"\.linear\.linear\."), ".linear."),
)


@dataclass(frozen=True)
class OfficialSupernet:
    """A supernet with published weights.

    Attributes:
        supernet: the weights.
        statistics: running statistics of its full net, by the names of nodes; subnets take those of their first
            channels, or are recalibrated.
    """

    supernet: Supernet
    statistics: SharedStatistics


@dataclass(frozen=True)
class _Convolution:
    """One convolution here and there.

    Attributes:
        ours: prefix of the names of its weight and bias here.
        official: the same there, without wrappers.
        norm: (prefix here, prefix there, name of the node) of the batch norm after it, or None.
        wrapped: whether the supernet there has it in an elastic wrapper.
    """

    ours: str
    official: str
    norm: tuple[str, str, str] | None = None
    wrapped: bool = False


def _mobile(supernet: MobileSupernet) -> Iterator[_Convolution]:
    yield _Convolution("stem", "first_conv.conv", ("stem_norm", "first_conv.bn", "stem"))
    for index, block in enumerate(supernet.blocks):
        assert isinstance(block, ElasticBlock)
        ours, official, node = f"blocks.{index}", f"blocks.{index}.conv", block.position.name
        parts = {"expand": "inverted_bottleneck", "depthwise": "depth_conv", "project": "point_linear"}
        for part, name in parts.items():
            if part != "expand" or block.expanding:
                norm = (f"{ours}.{part}_norm", f"{official}.{name}.bn", f"{node}.{part}")
                yield _Convolution(f"{ours}.{part}", f"{official}.{name}.conv", norm, wrapped=block.expanding)
        if block.squeeze_excite is not None:
            yield _Convolution(f"{ours}.squeeze_excite.squeeze", f"{official}.depth_conv.se.fc.reduce")
            yield _Convolution(f"{ours}.squeeze_excite.excite", f"{official}.depth_conv.se.fc.expand")
    final = "feature_mix_layer" if supernet.mix is None else "final_expand_layer"
    yield _Convolution("final", f"{final}.conv", ("final_norm", f"{final}.bn", "final"))
    if supernet.mix is not None:
        yield _Convolution("mix", "feature_mix_layer.conv")
    yield _Convolution("classifier", "classifier.linear")


def _resnet(supernet: ResNetSupernet) -> Iterator[_Convolution]:
    stem = (("stem_first", "0", "first"), ("stem_residual", "1.conv", "residual"), ("stem_last", "2", "last"))
    places = [
        (ours, f"input_stem.{official}", f"stem.{node}")
        for ours, official, node in stem
        if getattr(supernet, ours) is not None
    ]
    for index, block in enumerate(supernet.blocks):
        assert isinstance(block, ElasticBottleneck)
        parts = {"reduce": "conv1", "convolve": "conv2", "project": "conv3", "shortcut": "downsample"}
        for part, name in parts.items():
            if getattr(block, part) is not None:
                places.append((f"blocks.{index}.{part}", f"blocks.{index}.{name}", f"{block.position.name}.{part}"))
    for ours, official, node in places:
        norm = (f"{ours}.norm", f"{official}.bn", node)
        yield _Convolution(f"{ours}.convolution", f"{official}.conv", norm, wrapped=True)
    yield _Convolution("classifier", "classifier.linear", wrapped=True)


@dataclass(frozen=True)
class _Entry:
    """One tensor of an official state dict.

    Attributes:
        kind: "weight" (a parameter here), "mean", "variance" (of the node's statistics) or "count".
        ours: name of the parameter, or of the node.
        written: its name as the reference implementation's supernet has it.
    """

    kind: str
    ours: str
    written: str


def _entries(supernet: Supernet) -> dict[str, _Entry]:
    """Official name without wrappers to the tensor that it stands for."""
    assert isinstance(supernet, MobileSupernet | ResNetSupernet)
    parameters = dict(supernet.named_parameters())
    entries = {}
    for layer in _mobile(supernet) if isinstance(supernet, MobileSupernet) else _resnet(supernet):
        last = layer.official.rpartition(".")[2]
        wrapped = f"{layer.official}.{last}" if layer.wrapped else layer.official
        for kind in ("weight", "bias"):
            if f"{layer.ours}.{kind}" in parameters:
                entries[f"{layer.official}.{kind}"] = _Entry("weight", f"{layer.ours}.{kind}", f"{wrapped}.{kind}")
        for name in parameters:
            start, _, transform = name.partition(".transforms.")
            if start == layer.ours and transform:
                official = f"{layer.official}.{transform}_matrix"
                entries[official] = _Entry("weight", name, official)
        if layer.norm is not None:
            ours, official, node = layer.norm
            written = f"{official}.bn" if layer.wrapped else official
            for kind in ("weight", "bias"):
                entries[f"{official}.{kind}"] = _Entry("weight", f"{ours}.{kind}", f"{written}.{kind}")
            for kind, name in (("mean", "running_mean"), ("variance", "running_var"), ("count", "num_batches_tracked")):
                entries[f"{official}.{name}"] = _Entry(kind, node, f"{written}.{name}")
    return entries


def _plain(name: str) -> str:
    for pattern, replacement in _PLAIN:
        name = pattern.sub(replacement, name)
    return name


def read_official(space: Space, state: Mapping[str, Tensor]) -> OfficialSupernet:
    """A supernet of the space with the weights of a published state dict.

    Raises:
        InvalidValueError: a weight is missing, unknown, or of another shape, as those of another width or family are.
    """
    supernet = build_supernet(space)
    entries, given = _entries(supernet), {_plain(name): tensor for name, tensor in state.items()}
    wanted = {name for name, entry in entries.items() if entry.kind != "count"}
    missing = wanted - given.keys()
    if missing and all(name.endswith("_matrix") for name in missing):
        needed = f"given for space {space.name}; these have no kernel transforms, as networks of one kernel have none"
        raise InvalidValueError(f"state_dict.{min(missing)}", None, needed)
    for name in sorted(missing):
        raise InvalidValueError(f"state_dict.{name}", None, f"given for space {space.name}")
    for name in sorted(given.keys() - entries.keys()):
        raise InvalidValueError(f"state_dict.{name}", tuple(given[name].shape), f"absent for space {space.name}")
    parameters = dict(supernet.named_parameters())
    mean: dict[str, Tensor] = {}
    variance: dict[str, Tensor] = {}
    weights: dict[str, Tensor] = {}
    # The classifier last: where more differs, that is what to tell.
    for name in sorted(wanted, key=lambda name: (name.startswith("classifier."), name)):
        entry, tensor = entries[name], given[name].detach().to(torch.float32)
        if entry.kind in ("mean", "variance"):
            (mean if entry.kind == "mean" else variance)[entry.ours] = tensor
            # A batch norm has as many statistics as weights, and variances are no negative numbers.
            shape = tuple(given[name.rpartition(".")[0] + ".weight"].shape)
            if tuple(tensor.shape) != shape:
                raise InvalidValueError(f"state_dict.{name}", tuple(tensor.shape), f"of shape {shape} for {space.name}")
            if entry.kind == "variance" and bool((tensor < 0).any()):
                raise InvalidValueError(f"state_dict.{name}", float(tensor.min()), "zero or more")
        else:
            shape = tuple(parameters[entry.ours].shape)
            if name.startswith("classifier.") and tensor.ndim and tensor.shape[0] != shape[0]:
                found = f"{len(tensor)} classes"
                raise InvalidValueError(f"state_dict.{name}", found, f"of {shape[0]} classes for {space.name}")
            if shape[: tensor.ndim] != tuple(tensor.shape) or tensor.numel() != parameters[entry.ours].numel():
                raise InvalidValueError(f"state_dict.{name}", tuple(tensor.shape), f"of shape {shape} for {space.name}")
            weights[entry.ours] = tensor.reshape(shape)
    supernet.load_state_dict(weights)
    return OfficialSupernet(supernet, SharedStatistics(mean, variance))


def write_official(official: OfficialSupernet) -> dict[str, Tensor]:
    """The state dict as the reference implementation's supernet loads it; the inverse of :func:`read_official`."""
    parameters, statistics = dict(official.supernet.named_parameters()), official.statistics
    state = {}
    for name, entry in _entries(official.supernet).items():
        if entry.kind == "mean":
            state[entry.written] = statistics.mean[entry.ours]
        elif entry.kind == "variance":
            state[entry.written] = statistics.variance[entry.ours]
        elif entry.kind == "count":
            state[entry.written] = torch.zeros((), dtype=torch.long)
        else:
            tensor = parameters[entry.ours].detach()
            state[entry.written] = tensor.flatten(1) if name.startswith("classifier.linear.weight") else tensor
    return state
