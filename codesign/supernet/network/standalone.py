"""Subnets as networks of their own: plain torch modules, without anything elastic in them.

Their names of weights are those of the reference implementation (``ofa`` package), so that state dicts fit both.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from codesign.supernet.layers.elastic import BatchNormStatistics, SharedStatistics
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.places import places
from codesign.supernet.network.supernet import Part, Supernet
from codesign.supernet.published.net_config import Config, middle_channels, modernised, net_config
from codesign.supernet.spaces.mobile import squeezed_channels
from codesign.supernet.spaces.space import Subnet
from hw_templates.foundation.errors import InvalidValueError

# Where the map is averaged, by the family's name.
_POOLED_BEFORE = {
    "MobileNetV3": ("feature_mix_layer",),
    "ProxylessNASNets": ("classifier",),
    "ResNets": ("classifier",),
}
_ACTIVATIONS: dict[str | None, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6, "h_swish": nn.Hardswish}


class ResidualBlock(nn.Module):
    """Adds its input to what its layers make of it, where it has a shortcut."""

    def __init__(self, conv: nn.Module, shortcut: bool) -> None:
        super().__init__()
        self.conv = conv
        self.shortcut = shortcut

    def forward(self, features: Tensor) -> Tensor:
        """[n, N, h, w] -> [n, M, h', w']."""
        result: Tensor = self.conv(features)
        return result + features if self.shortcut else result


class SqueezeExcite(nn.Module):
    """Multiplies channels by gates computed from their means (Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = squeezed_channels(channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        layers = {
            "reduce": nn.Conv2d(channels, squeezed, 1),
            "relu": nn.ReLU(),
            "expand": nn.Conv2d(squeezed, channels, 1),
            "h_sigmoid": nn.Hardsigmoid(),
        }
        self.fc = nn.Sequential(OrderedDict(layers))

    def forward(self, features: Tensor) -> Tensor:
        """[n, C, h, w] -> [n, C, h, w]."""
        gates: Tensor = self.fc(self.pool(features))
        return features * gates


class BottleneckBlock(nn.Module):
    """Three convolutions and a shortcut (He et al. 2016); the shortcut averages before it strides (ResNet-D)."""

    def __init__(self, config: Config, epsilon: float) -> None:
        super().__init__()
        given, wanted, stride = config["in_channels"], config["out_channels"], config["stride"]
        middle, activation = middle_channels(config), config["act_func"]
        self.conv1 = _convolution(given, middle, 1, 1, activation, epsilon)
        self.conv2 = _convolution(middle, middle, config["kernel_size"], stride, activation, epsilon)
        self.conv3 = _convolution(middle, wanted, 1, 1, None, epsilon)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or given != wanted:
            pool = nn.AvgPool2d(stride, stride, ceil_mode=True)
            project = _convolution(given, wanted, 1, 1, None, epsilon)
            self.downsample = nn.Sequential(OrderedDict([("avg_pool", pool), *project.named_children()]))
        self.final_act = _ACTIVATIONS[activation]()

    def forward(self, features: Tensor) -> Tensor:
        """[n, N, h, w] -> [n, M, h', w']."""
        result: Tensor = self.final_act(self.conv3(self.conv2(self.conv1(features))) + self.downsample(features))
        return result


def _convolution(
    given: int, wanted: int, kernel: int, stride: int, activation: str | None, epsilon: float | None, groups: int = 1
) -> nn.Sequential:
    """Return a convolution, its batch norm unless ``epsilon`` is None, and its activation."""
    conv = nn.Conv2d(given, wanted, kernel, stride, kernel // 2, groups=groups, bias=False)
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=conv)
    if epsilon is not None:
        layers["bn"] = nn.BatchNorm2d(wanted, epsilon)
    if activation is not None:
        layers["act"] = _ACTIVATIONS[activation]()
    return nn.Sequential(layers)


def _inverted_residual(config: Config, epsilon: float) -> nn.Sequential:
    channels, activation = middle_channels(config), config["act_func"]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if config["expand_ratio"] != 1:
        layers["inverted_bottleneck"] = _convolution(config["in_channels"], channels, 1, 1, activation, epsilon)
    depthwise = _convolution(
        channels, channels, config["kernel_size"], config["stride"], activation, epsilon, groups=channels
    )
    if config.get("use_se"):
        depthwise.add_module("se", SqueezeExcite(channels))
    layers |= {
        "depth_conv": depthwise,
        "point_linear": _convolution(channels, config["out_channels"], 1, 1, None, epsilon),
    }
    return nn.Sequential(layers)


def _layer(config: Config, epsilon: float) -> nn.Module:
    match config["name"]:
        case "ConvLayer":
            given, wanted, kernel = (config[key] for key in ("in_channels", "out_channels", "kernel_size"))
            normalised = epsilon if config["use_bn"] else None
            return _convolution(given, wanted, kernel, config["stride"], config["act_func"], normalised)
        case "MBConvLayer":
            return _inverted_residual(config, epsilon)
        case "ResidualBlock":
            return ResidualBlock(_layer(config["conv"], epsilon), config["shortcut"] is not None)
        case "ResNetBottleneckBlock":
            return BottleneckBlock(config, epsilon)
        case "LinearLayer":
            return nn.Sequential(OrderedDict(linear=nn.Linear(config["in_features"], config["out_features"])))
    raise KeyError(config["name"])


def build_network(config: Mapping[str, Any]) -> nn.Sequential:
    """Return the network of a ``net.config``, to evaluate: images [n, 3, r, r] to logits [n, classes]; draw weights.

    Raises:
        InvalidValueError: a layer is of another kind than the published networks have, or lacks something.
    """
    modern = modernised(config)
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    try:
        epsilon = modern["bn"]["eps"]
        for name, part in modern.items():
            if name in ("name", "bn"):
                continue
            pooled = "global_avg_pool" in parts
            if not pooled and name in _POOLED_BEFORE[modern["name"]]:
                parts["global_avg_pool"] = nn.AdaptiveAvgPool2d(1)
            if name == "classifier":
                parts["flatten"] = nn.Flatten()
            layers = [_layer(one, epsilon) for one in part] if isinstance(part, list) else None
            parts[name] = _layer(part, epsilon) if layers is None else nn.Sequential(*layers)
            if name == "input_stem":
                parts["max_pooling"] = nn.MaxPool2d(3, 2, 1)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise InvalidValueError("net.config", what, "the layers of a published kind of network") from error
    return nn.Sequential(parts).eval()


def load_weights(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state dict strictly; those of older versions of the reference implementation name a part otherwise.

    Raises:
        InvalidValueError: a weight is missing, unknown or of another shape.
    """
    given = {name.replace(".mobile_inverted_conv.", ".conv."): tensor for name, tensor in state.items()}
    wanted = network.state_dict()
    for name in sorted(wanted.keys() - given.keys()):
        if not name.endswith("num_batches_tracked"):
            raise InvalidValueError(f"state_dict.{name}", None, "given for this network")
    for name in sorted(given.keys() - wanted.keys()):
        raise InvalidValueError(f"state_dict.{name}", tuple(given[name].shape), "absent for this network")
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape:
            raise InvalidValueError(f"state_dict.{name}", tuple(tensor.shape), f"of shape {tuple(wanted[name].shape)}")
    network.load_state_dict(wanted | given)


def _fill_norm(norm: nn.Module, part: Part, mean: Tensor, variance: Tensor) -> None:
    """Copy a batch norm and its statistics, as many channels as there are."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert part.norm is not None
    for name, value in (
        ("weight", part.norm.weight),
        ("bias", part.norm.bias),
        ("running_mean", mean),
        ("running_var", variance),
    ):
        getattr(norm, name).copy_(value[: norm.num_features])
    norm.num_batches_tracked.zero_()  # type: ignore[union-attr]


@torch.no_grad()
def extract(supernet: Supernet, subnet: Subnet, statistics: BatchNormStatistics | SharedStatistics) -> nn.Sequential:
    """Return a subnet as a network of its own, to evaluate; fake-quantised weights of the supernet are so in it.

    Args:
        supernet: the shared weights.
        subnet: one of its space.
        statistics: of the subnet's batch norms.

    Raises:
        InvalidValueError: the subnet is not of the space.
    """
    config = net_config(supernet.space, subnet)
    with torch.device("meta"):
        network = build_network(config)
    network.to_empty(device="cpu")
    parts = supernet.parts(subnet)
    # Alone, the subnet has a space of its own, whose blocks count without those that are absent.
    alone = supernet.space.only(subnet)
    names = [node.name for node in lower(alone, alone.largest()) if node.layer.operation.has_weights]
    for (node, part), place in zip(parts.items(), map(places(alone).__getitem__, names), strict=True):
        weighted = network.get_submodule(place.official)
        assert isinstance(weighted, nn.Conv2d | nn.Linear)
        weighted.weight.copy_(part.weight.flatten(1) if isinstance(weighted, nn.Linear) else part.weight)
        if part.bias is not None and weighted.bias is not None:
            weighted.bias.copy_(part.bias)
        if place.official_norm is not None:
            norm = network.get_submodule(place.official_norm)
            _fill_norm(norm, part, statistics.mean[node], statistics.variance[node])
    return network
