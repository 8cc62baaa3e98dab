"""Single networks as ``net.config``: the form in which the reference implementation (``ofa`` package) builds them.

A configuration is a dictionary fit for JSON: the network's family by name, and its layers in the order they run.
"""

from collections.abc import Mapping
from typing import Any

from codesign.supernet.lowering.workloads import nodes_of
from codesign.supernet.spaces.mobile import BlockChoice, MobileSpace, MobileSubnet
from codesign.supernet.spaces.named import load_space, space_names
from codesign.supernet.spaces.space import Space, Subnet, round_channels
from cost_models.workload import Activation, Node
from hw_templates.foundation.errors import InvalidValueError

Config = dict[str, Any]

ACTIVATIONS = {
    Activation.RELU: "relu",
    Activation.RELU6: "relu6",
    Activation.HSWISH: "h_swish",
    Activation.IDENTITY: None,
}
_COMMON = {"dropout_rate": 0, "ops_order": "weight_bn_act"}
_PLAIN = {"use_bn": False, "act_func": None, **_COMMON}
_OLDER_NAMES = {
    "MobileInvertedResidualBlock": "ResidualBlock",
    "MBInvertedConvLayer": "MBConvLayer",
    "mobile_inverted_conv": "conv",
}
# What decides nothing about the results of a trained network, and defaults that only some versions write.
_INCIDENTAL = {"dropout_rate", "momentum", "ws_eps"}
_DEFAULTS = {"use_se": (False,), "groups": (None, 1), "has_shuffle": (False,), "dilation": (1,)}


def net_config(space: Space, subnet: Subnet) -> Config:
    """Return the configuration of a subnet as a network of its own; bits of weights are not part of it.

    Raises:
        InvalidValueError: the subnet is not of the space, or the reference implementation has no such network.
    """
    nodes = {node.name: node for node in nodes_of(space, subnet)}
    make = _mobile if isinstance(space, MobileSpace) else _resnet
    name, parts = make(space, subnet, nodes)
    classifier = nodes["classifier"].layer
    features = {"in_features": classifier.in_channels, "out_features": classifier.out_channels}
    return {
        "name": name,
        "bn": {"momentum": 0.1, "eps": space.batch_norm_epsilon},
        **parts,
        "classifier": {"name": "LinearLayer", **features, "bias": True, **_PLAIN},
    }


def _convolution(node: Node) -> Config:
    layer = node.layer
    return {
        "name": "ConvLayer",
        "kernel_size": layer.kernel_height,
        "stride": layer.stride,
        "dilation": 1,
        "groups": 1,
        "bias": False,
        "has_shuffle": False,
        "use_se": False,
        "in_channels": layer.in_channels,
        "out_channels": layer.out_channels,
        "use_bn": True,
        "act_func": ACTIVATIONS[node.activation],
        **_COMMON,
    }


def _identity(channels: int) -> Config:
    return {"name": "IdentityLayer", "in_channels": channels, "out_channels": channels, **_PLAIN}


def _mobile(space: Space, subnet: Subnet, nodes: Mapping[str, Node]) -> tuple[str, Config]:
    """Return the family's name, and the layers before the classifier."""
    values, blocks = subnet.values(), []
    for name in (name for name in space.block_names if f"{name}.depthwise" in nodes):
        depthwise, project = nodes[f"{name}.depthwise"], nodes[f"{name}.project"]
        expand, expanding = values[f"{name}.expand"], f"{name}.expand" in nodes
        in_channels = nodes[f"{name}.expand" if expanding else f"{name}.depthwise"].layer.in_channels
        inner = {
            "name": "MBConvLayer",
            "in_channels": in_channels,
            "out_channels": project.layer.out_channels,
            "kernel_size": depthwise.layer.kernel_height,
            "stride": depthwise.layer.stride,
            # The reference leaves the expansion out where this is 1.
            "expand_ratio": None if expanding and expand == 1 else expand,
            "mid_channels": depthwise.layer.out_channels if expanding else None,
            "act_func": ACTIVATIONS[depthwise.activation],
            "use_se": f"{name}.scale" in nodes,
            "groups": None,
        }
        shortcut = _identity(in_channels) if project.residual else None
        blocks.append({"name": "ResidualBlock", "conv": inner, "shortcut": shortcut})
    layers, final = {"first_conv": _convolution(nodes["stem"]), "blocks": blocks}, _convolution(nodes["final"])
    if "mix" not in nodes:
        return "ProxylessNASNets", {**layers, "feature_mix_layer": final}
    mix = _convolution(nodes["mix"]) | {"use_bn": False}
    return "MobileNetV3", {**layers, "final_expand_layer": final, "feature_mix_layer": mix}


def _resnet(space: Space, subnet: Subnet, nodes: Mapping[str, Node]) -> tuple[str, Config]:
    """Return the family's name, and the layers before the classifier."""
    stem = [_convolution(nodes[name]) for name in ("stem.first", "stem.residual", "stem.last") if name in nodes]
    if len(stem) == 3:
        stem[1] = {"name": "ResidualBlock", "conv": stem[1], "shortcut": _identity(stem[1]["in_channels"])}
    values, blocks = subnet.values(), []
    for name in (name for name in space.block_names if f"{name}.reduce" in nodes):
        reduce, convolve, project = (nodes[f"{name}.{role}"].layer for role in ("reduce", "convolve", "project"))
        channels = project.out_channels
        if f"{name}.shortcut" in nodes and convolve.stride == 1 and reduce.in_channels == channels:
            expected = f"other than the {channels} before it at stride 1, where the ofa package has no shortcut layer"
            raise InvalidValueError(f"subnet.{name.partition('.')[0]}.width", channels, expected)
        block = {
            "name": "ResNetBottleneckBlock",
            "in_channels": reduce.in_channels,
            "out_channels": channels,
            "kernel_size": convolve.kernel_height,
            "stride": convolve.stride,
            "expand_ratio": values[f"{name}.expand"],
            "mid_channels": convolve.out_channels,
            "act_func": ACTIVATIONS[nodes[f"{name}.convolve"].activation],
            "groups": 1,
            "downsample_mode": "avgpool_conv",
        }
        blocks.append(block)
    return "ResNets", {"input_stem": stem, "blocks": blocks}


def _essential(config: Any) -> Any:
    """Return what of a configuration decides on the network, named as in the newest version of the reference."""
    if isinstance(config, Mapping):
        kept = {
            _OLDER_NAMES.get(name, name): _essential(value)
            for name, value in config.items()
            if name not in _INCIDENTAL and value not in _DEFAULTS.get(name, ())
        }
        if "mid_channels" in config:
            # Channels of the depthwise convolution, which need not be written down.
            expanded = config["mid_channels"] or round_channels(round(config["in_channels"] * config["expand_ratio"]))
            kept["mid_channels"] = int(expanded)
        return kept
    if isinstance(config, list):
        # Older versions wrote an identity's channels as lists of one number.
        return config[0] if len(config) == 1 and isinstance(config[0], int) else [_essential(one) for one in config]
    return _OLDER_NAMES.get(config, config) if isinstance(config, str) else config


def subnet_of_config(config: Config, resolution: int) -> tuple[Space, Subnet]:
    """Return the named space that a mobile network's configuration is a subnet of, and that subnet.

    The subnet has the given resolution, which need not be one of the space's.

    Raises:
        InvalidValueError: it is a subnet of none.
    """
    for name in space_names():
        space = load_space(name)
        if not isinstance(space, MobileSpace):
            continue
        try:
            essential = _essential(config)
            subnet = _subnet(space, essential)
            same = _essential(net_config(space, subnet)) == essential
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, InvalidValueError):
            continue
        if same:
            return space, MobileSubnet(resolution, subnet.stages)
    raise InvalidValueError("net.config", config.get("name"), "a subnet of a named MobileNet space")


def _subnet(space: MobileSpace, config: Config) -> MobileSubnet:
    """Return the blocks of a configuration, handed out to the space's stages by width and stride."""
    stages: list[list[BlockChoice]] = [[]]
    for block in (one["conv"] for one in config["blocks"]):
        following = len(stages) < len(space.stages) and (
            block["in_channels"] != block["out_channels"]
            or block["stride"] == 2
            or len(stages[-1]) == space.stages[len(stages) - 1].depths[-1]
        )
        if stages[-1] and following:
            stages.append([])
        stages[-1].append(BlockChoice(int(block["kernel_size"]), int(block["expand_ratio"] or 1)))
    return MobileSubnet(space.resolutions[0], tuple(map(tuple, stages)))
