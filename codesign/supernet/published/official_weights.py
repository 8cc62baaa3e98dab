"""State dicts of the published supernets.

Names and shapes are those of the reference implementation (the ``ofa`` package, MIT licence). Its authors published
two dialects, with the elastic wrappers of its modules (``conv.conv.weight``, ``bn.bn.weight``) and without.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from codesign.supernet.layers.elastic import SharedStatistics
from codesign.supernet.network.places import places
from codesign.supernet.network.supernet import Supernet
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
class _Entry:
    """One tensor of an official state dict.

    Attributes:
        kind: "weight" (a parameter here), "mean", "variance" (of the node's statistics) or "count".
        ours: name of the parameter, or of the node.
    """

    kind: str
    ours: str


_STATISTICS = {"running_mean": "mean", "running_var": "variance", "num_batches_tracked": "count"}


def _entries(space: Space) -> dict[str, _Entry]:
    """Return official names without wrappers, and the tensors that they stand for."""
    with torch.device("meta"):
        parameters = dict(Supernet(space).named_parameters())
    entries = {}
    for node, place in places(space).items():
        for ours, official in ((place.convolution, place.official), (place.norm, place.official_norm)):
            for name in parameters:
                module, _, last = name.rpartition(".")
                if module == ours:
                    entries[f"{official}.{last}"] = _Entry("weight", name)
                elif module == f"{ours}.transforms":
                    entries[f"{official}.{last}_matrix"] = _Entry("weight", name)
        if f"{place.norm}.weight" in parameters:
            entries |= {f"{place.official_norm}.{name}": _Entry(kind, node) for name, kind in _STATISTICS.items()}
    return entries


def _plain(name: str) -> str:
    for pattern, replacement in _PLAIN:
        name = pattern.sub(replacement, name)
    return name


def read_official(space: Space, state: Mapping[str, Tensor]) -> OfficialSupernet:
    """Return a supernet of the space with the weights of a published state dict.

    Raises:
        InvalidValueError: a weight is missing, unknown, or of another shape, as those of another width or family are.
    """
    supernet = Supernet(space)
    entries, given = _entries(space), {_plain(name): tensor for name, tensor in state.items()}
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
