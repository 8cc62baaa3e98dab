"""Published supernets and specialised networks, read from what `codesign fetch` brought or from files of one's own."""

from pathlib import Path

from codesign.supernet.network.standalone import Network
from codesign.supernet.published.artefacts import fetched
from codesign.supernet.published.net_config import Config, parse_config
from codesign.supernet.published.official_weights import OfficialSupernet, load_weights, read_official
from codesign.supernet.published.specialised import SpecialisedNet, specialised_nets
from codesign.supernet.published.weights_file import parse_weights, read_bytes
from codesign.supernet.spaces.space import Space
from hw_templates.foundation.errors import InvalidValueError, UnknownNameError

SUPERNETS = {
    "ofa-mbv3-w1.0": "ofa_nets/ofa_mbv3_d234_e346_k357_w1.0",
    "ofa-mbv3-w1.2": "ofa_nets/ofa_mbv3_d234_e346_k357_w1.2",
    "ofa-proxyless-w1.3": "ofa_nets/ofa_proxyless_d234_e346_k357_w1.3",
    "ofa-resnet50d": "ofa_nets/ofa_supernet_resnet50",
}
"""Name of a space to the file of its published weights."""


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


def find_specialised(name: str) -> SpecialisedNet:
    """Return the published specialised network of that name or short name.

    Raises:
        InvalidValueError: there is none.
    """
    for net in specialised_nets():
        if name in (net.name, net.short):
            return net
    known = [known for net in specialised_nets() for known in (net.name, net.short)]
    raise UnknownNameError("network", name, known, "one that `codesign supernet specialised` lists")


def load_specialised(net: SpecialisedNet, folder: Path | None = None) -> tuple[Config, Network]:
    """Return a published specialised network: its configuration, and the network itself, to evaluate.

    Args:
        net: which.
        folder: that holds its ``net.config`` and ``init``; default: what was fetched.

    Raises:
        FetchError: it was not fetched yet, or is not what was published.
        StorageError: a file is missing or damaged.
        InvalidValueError: the configuration is another network's, or the weights do not fit it.
    """
    paths = [
        folder / file if folder else fetched(f"ofa_specialized/{net.name}/{file}") for file in ("net.config", "init")
    ]
    config_path, weights_path = paths
    config, space, subnet = parse_config(read_bytes(config_path, "fetch it first"), config_path, net.subnet.resolution)
    if (space.name, subnet) != (net.space.name, net.subnet):
        raise InvalidValueError("net.config", str(config_path), f"that of {net.name}")
    network = Network(space, subnet)
    load_weights(network, parse_weights(read_bytes(weights_path, "fetch it first"), weights_path))
    return config, network
