"""``codesign supernet``: what a space holds, and the specialised networks that were published."""

from codesign.progress import Progress
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.build import build_supernet, count_parameters
from codesign.supernet.published.specialised import specialised_nets
from codesign.supernet.spaces.named import SPACES, load_space, space_names
from codesign.supernet.spaces.space import Space, Subnet, kind_of
from codesign.supernet.training.named import SCHEDULES


def info(name: str | None, progress: Progress) -> None:
    """Say how many subnets a space holds, what varies, and what its ends cost; without a name, list the spaces.

    Raises:
        InvalidValueError: unknown space.
    """
    if name is None:
        for known in space_names():
            space = load_space(known)
            progress.say(f"{known:<20} {space.size():.3g} subnets of {_sides(space)} pixels")
        return
    space = load_space(name)
    progress.say(f"{space.name}: {space.size():,} ({space.size():.3g}) subnets of {_sides(space)} pixels")
    kinds: dict[str, set[int | float]] = {}
    for gene, choices in space.genes:
        kinds.setdefault(kind_of(gene), set()).update(choices)
    for kind, values in kinds.items():
        count = sum(kind_of(gene) == kind for gene, _ in space.genes)
        places = "" if kind == "resolution" else f" in {count} places"
        progress.say(f"  {kind:<12} {', '.join(map(str, sorted(values)))}{places}")
    supernet = build_supernet(space)
    weights = sum(parameter.numel() for parameter in supernet.parameters())
    progress.say(f"  shared weights {weights / 1e6:.2f} M")
    ends: dict[str, Subnet] = {"smallest": space.smallest(), "largest": space.largest()}
    for end, subnet in ends.items():
        parameters, macs = count_parameters(supernet, subnet), lower(space, subnet).macs
        progress.say(
            f"  {end:<8} at {subnet.resolution} pixels: {parameters / 1e6:.2f} M parameters, {macs / 1e6:,.1f} M MACs"
        )


def definition(name: str, preset: bool = False) -> str:
    """Return the TOML text of a space or, with ``preset``, of a training schedule.

    Raises:
        InvalidValueError: it has no such name, or comes from another package as Python.
        StorageError: it is in a file that breaks a rule.
    """
    return (SCHEDULES if preset else SPACES).text(name)


def _sides(space: Space) -> str:
    sides = space.resolutions
    return str(sides[0]) if len(sides) == 1 else f"{sides[0]} to {sides[-1]}"


def specialised(progress: Progress) -> None:
    """Show the published specialised networks: what was reported of each, and what is counted here."""
    accuracies, counts = f"{'top-1':>5} {'top-5':>5}", f"{'M parameters':>14}  {'M MACs':>14}"
    progress.say(f"{'network':<42} {'supernet':<18} {'pixels':>6}  {accuracies}  {counts}")
    nets = specialised_nets()
    for net in nets:
        progress.say(
            f"{net.name:<42} {net.space.name:<18} {net.subnet.resolution:>6}  {net.top1:>5} {net.top5:>5}  "
            f"{net.parameters_m:>5} ({net.parameters / 1e6:>6.3f})  {net.macs_m:>5.0f} ({net.macs / 1e6:>6.1f})"
            + ("" if net.as_reported else "  differs")
        )
    agree = sum(net.as_reported for net in nets)
    progress.say("top-1 and top-5: percent on ImageNet after fine-tuning, as reported by the authors (README of the")
    progress.say("once-for-all repository); parameters and MACs: as reported, in brackets as counted here.")
    progress.say(f"{agree} of {len(nets)} agree in parameters and MACs within the table's rounding")
