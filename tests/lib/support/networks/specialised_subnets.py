"""The published specialised networks of a space, as the benchmark compares with them."""

from dataclasses import replace

from codesign.supernet.published.specialised import SpecialisedNet, specialised_nets
from codesign.supernet.spaces.space import Space, Subnet
from hw_templates.foundation.errors import InvalidValueError


def specialised_in(space: Space) -> tuple[tuple[SpecialisedNet, Subnet], ...]:
    """Return the specialised networks of the space's family and width, each with the subnet of the space that it is.

    The subnet has the space's resolution nearest to the network's (of two the smaller), as four were specialised for
    more than the 224 pixels that the supernets were trained with.

    Raises:
        InvalidValueError: the space is not one that networks were specialised in.
    """
    found = []
    for net in specialised_nets():
        if replace(net.space, name=space.name, resolutions=space.resolutions) == space:
            wanted = net.subnet.resolution
            _, nearest = min((abs(side - wanted), side) for side in space.resolutions)
            found.append((net, replace(net.subnet, resolution=nearest)))
    if not found:
        names = sorted({net.space.name for net in specialised_nets()})
        raise InvalidValueError("space", space.name, f"one of {', '.join(names)}, which networks were specialised in")
    return tuple(found)
