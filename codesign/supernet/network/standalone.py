"""Subnets as networks of their own: plain torch modules, without anything elastic in them.

Their names of weights are those of the reference implementation (``ofa`` package), so that state dicts fit both.
"""

import torch
from torch import Tensor, nn

from codesign.supernet.layers.elastic import BatchNormStatistics
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.places import places
from codesign.supernet.network.supernet import Supernet, add_at, run
from codesign.supernet.spaces.space import Space, Subnet
from cost_models.workload import Node, Operation

_Layer = tuple[nn.Conv2d | nn.Linear, nn.BatchNorm2d | None]


class Network(nn.Module):
    """A subnet, to evaluate: images [n, C, r, r] to logits [n, classes]; it runs as the workload that it is lowered to.

    Raises:
        InvalidValueError: the subnet is not of the space.
    """

    def __init__(self, space: Space, subnet: Subnet) -> None:
        super().__init__()
        # Alone, the subnet has a space of its own, whose blocks count without those that are absent.
        alone = space.only(subnet)
        self._workload = lower(alone, alone.largest())
        self._layers: dict[str, _Layer] = {}
        for node, place in places(alone):
            layer, norm = node.layer, None
            weighted: nn.Conv2d | nn.Linear
            if node.name == "classifier":
                weighted = nn.Linear(layer.in_channels, layer.out_channels)
            else:
                weighted = nn.Conv2d(
                    layer.in_channels,
                    layer.out_channels,
                    layer.kernel_height,
                    layer.stride,
                    layer.padding,
                    groups=layer.in_channels if layer.operation == Operation.DEPTHWISE else 1,
                    bias=place.bias,
                )
            add_at(self, place.official, weighted)
            if place.official_norm is not None:
                norm = nn.BatchNorm2d(layer.out_channels, alone.batch_norm_epsilon)
                add_at(self, place.official_norm, norm)
            self._layers[node.name] = weighted, norm
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """[n, C, r, r] -> [n, classes]."""
        return run(self._workload, images, self._convolve)

    def _convolve(self, node: Node, features: Tensor) -> Tensor:
        weighted, norm = self._layers[node.name]
        result: Tensor = weighted(features.flatten(1) if isinstance(weighted, nn.Linear) else features)
        return result if norm is None else norm(result)

    @property
    def layers(self) -> list[_Layer]:
        """All convolutions, each with its batch norm, in the order they run."""
        return [self._layers[node.name] for node in self._workload if node.name in self._layers]


@torch.no_grad()
def extract(supernet: Supernet, subnet: Subnet, statistics: BatchNormStatistics) -> Network:
    """Return a subnet as a network of its own, to evaluate; fake-quantised weights of the supernet are so in it.

    Args:
        supernet: the shared weights.
        subnet: one of its space.
        statistics: of the subnet's batch norms, or of the full net's, of which it takes those of its first channels. So
            the ``ofa`` package evaluates subnets that were not recalibrated.

    Raises:
        InvalidValueError: the subnet is not of the space.
    """
    with torch.device("meta"):
        network = Network(supernet.space, subnet)
    network.to_empty(device="cpu")
    for (node, part), (weighted, norm) in zip(supernet.parts(subnet).items(), network.layers, strict=True):
        own, given = [*weighted.state_dict().values()], part.tensors
        if norm is not None:
            of_node = statistics.mean[node], statistics.variance[node]
            own += norm.state_dict().values()
            # Last, how many batches it has seen.
            given += [*(tensor[: norm.num_features] for tensor in of_node), torch.tensor(0)]
        for target, tensor in zip(own, given, strict=True):
            target.copy_(tensor.view_as(target))
    return network


def count_parameters(space: Space, subnet: Subnet) -> int:
    """Return weights, biases, batch-norm scales and offsets of the network of its own that a subnet is.

    Raises:
        InvalidValueError: the subnet is not of the space.
    """
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Network(space, subnet).parameters())
