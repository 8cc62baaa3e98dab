"""State dicts of the published supernets and of networks of their own.

Names and shapes are those of the reference implementation (the ``ofa`` package, MIT licence). Its authors published
two dialects, with the elastic wrappers of its modules (``conv.conv.weight``, ``bn.bn.weight``) and without.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from codesign.supernet.layers.elastic import BatchNormStatistics
from codesign.supernet.network.standalone import Network
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.published.artefacts import fetched
from codesign.supernet.published.weights_file import parse_weights, read_bytes
from codesign.supernet.spaces.space import Space
from hw_templates.foundation.errors import InvalidValueError

# Elastic wrappers, and the older name of a residual block's convolutions beside the present one.
_WRAPPED = re.compile(r"\.(bn|conv|linear)\.\1\.")
_RENAMED = ".mobile_inverted_conv.", ".conv."
# A kernel transform here, and its matrix there.
_TRANSFORM, _MATRIX = re.compile(r"transforms\.(\w+)"), r"\1_matrix"
# How many batches a batch norm has seen, which decides nothing.
_COUNT = ".num_batches_tracked"

SUPERNETS = {
    "ofa-mbv3-w1.0": "ofa_nets/ofa_mbv3_d234_e346_k357_w1.0",
    "ofa-mbv3-w1.2": "ofa_nets/ofa_mbv3_d234_e346_k357_w1.2",
    "ofa-proxyless-w1.3": "ofa_nets/ofa_proxyless_d234_e346_k357_w1.3",
    "ofa-resnet50d": "ofa_nets/ofa_supernet_resnet50",
}
"""Name of a space to the file of its published weights."""


@dataclass(frozen=True)
class OfficialSupernet:
    """A supernet with published weights.

    Attributes:
        supernet: the weights.
        statistics: running statistics of its full net, by the names of nodes; subnets take those of their first
            channels, or are recalibrated.
    """

    supernet: Supernet
    statistics: BatchNormStatistics


def _layout(supernet: Supernet) -> tuple[dict[str, Tensor], BatchNormStatistics]:
    """Return the tensors that official names, without wrappers, stand for, and which of them are statistics."""
    tensors: dict[str, Tensor] = {}
    mean: dict[str, Tensor] = {}
    variance: dict[str, Tensor] = {}
    for node, shared in supernet.layers.items():
        for name, parameter in shared.convolution.named_parameters():
            tensors[f"{shared.place.official}.{_TRANSFORM.sub(_MATRIX, name)}"] = parameter
        if shared.norm is not None:
            mean[node], variance[node] = torch.empty(2, len(shared.norm.weight))
            of_norm = {
                **dict(shared.norm.named_parameters()),
                "running_mean": mean[node],
                "running_var": variance[node],
            }
            tensors |= {f"{shared.place.official_norm}.{name}": tensor for name, tensor in of_norm.items()}
    return tensors, BatchNormStatistics(mean, variance)


@torch.no_grad()
def read_official(space: Space, state: Mapping[str, Tensor]) -> OfficialSupernet:
    """Return a supernet of the space with the weights of a published state dict.

    Raises:
        InvalidValueError: a weight is missing, unknown, or of another shape, as those of another width or family are.
    """
    supernet = Supernet(space)
    wanted, statistics = _layout(supernet)
    given = {
        _WRAPPED.sub(r".\1.", name.replace(*_RENAMED)): tensor
        for name, tensor in state.items()
        if not name.endswith(_COUNT)
    }
    missing = wanted.keys() - given.keys()
    if missing and all(name.endswith("_matrix") for name in missing):
        needed = f"given for space {space.name}; these have no kernel transforms, as networks of one kernel have none"
        raise InvalidValueError(f"state_dict.{min(missing)}", None, needed)
    _check_names(given, wanted, f"space {space.name}")
    # The classifier last: where more differs, that is what to tell.
    for name in sorted(wanted, key=lambda name: (name.startswith("classifier."), name)):
        tensor, target = given[name], wanted[name]
        shape = tuple(target.shape)
        if name.startswith("classifier.") and tensor.ndim and len(tensor) != len(target):
            found = f"{len(tensor)} classes"
            raise InvalidValueError(f"state_dict.{name}", found, f"of {len(target)} classes for {space.name}")
        if shape[: tensor.ndim] != tuple(tensor.shape) or tensor.numel() != target.numel():
            raise InvalidValueError(f"state_dict.{name}", tuple(tensor.shape), f"of shape {shape} for {space.name}")
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise InvalidValueError(f"state_dict.{name}", float(tensor.min()), "zero or more")
        target.copy_(tensor.reshape(shape))
    return OfficialSupernet(supernet, statistics)


def load_official_supernet(space: Space, weights: Path | None = None) -> OfficialSupernet:
    """Return a published supernet, from a file of its state dict; default: what was fetched.

    Raises:
        InvalidValueError: none was published for the space, or the state dict is not of the space.
        FetchError: it was not fetched yet, or is not what was published.
        StorageError: the file is missing or damaged.
    """
    if weights is None and space.name not in SUPERNETS:
        raise InvalidValueError("space", space.name, f"one of {', '.join(SUPERNETS)}, whose supernets were published")
    path = weights or fetched(SUPERNETS[space.name])
    return read_official(space, parse_weights(read_bytes(path, "name another file"), path))


def load_weights(network: Network, state: Mapping[str, Tensor]) -> None:
    """Load a state dict strictly; those of older versions of the reference implementation name a part otherwise.

    Raises:
        InvalidValueError: a weight is missing, unknown or of another shape.
    """
    wanted = network.state_dict()
    given = {name: tensor for name, tensor in wanted.items() if name.endswith(_COUNT)}
    given |= {name.replace(*_RENAMED): tensor for name, tensor in state.items()}
    _check_names(given, wanted, "this network")
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape:
            raise InvalidValueError(f"state_dict.{name}", tuple(tensor.shape), f"of shape {tuple(wanted[name].shape)}")
    network.load_state_dict(given)


def _check_names(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], receiver: str) -> None:
    for name in sorted(wanted.keys() - given.keys()):
        raise InvalidValueError(f"state_dict.{name}", None, f"given for {receiver}")
    for name in sorted(given.keys() - wanted.keys()):
        raise InvalidValueError(f"state_dict.{name}", tuple(given[name].shape), f"absent for {receiver}")
