"""Text about spaces of subnets, and about published and exported networks."""

from collections.abc import Iterator, Sequence

from codesign.commands.export import ExportResult
from codesign.commands.fetch import Fetched, Listing, size_text
from codesign.commands.supernet import SpaceDescription, SpaceSummary, SpecialisedRow


def space_lines(spaces: Sequence[SpaceSummary]) -> Iterator[str]:
    """Yield one line a space."""
    for space in spaces:
        yield f"{space.name:<20} {space.subnets:.3g} subnets of {_sides(space)} pixels"


def description_lines(space: SpaceDescription) -> Iterator[str]:
    """Yield a space in figures."""
    summary = space.summary
    yield f"{summary.name}: {summary.subnets:,} ({summary.subnets:.3g}) subnets of {_sides(summary)} pixels"
    for elastic in space.elastic:
        places = "" if elastic.kind == "resolution" else f" in {elastic.places} places"
        yield f"  {elastic.kind:<12} {', '.join(map(str, elastic.choices))}{places}"
    yield f"  shared weights {space.shared_weights / 1e6:.2f} M"
    for end, cost in (("smallest", space.smallest), ("largest", space.largest)):
        counts = f"{cost.parameters / 1e6:.2f} M parameters, {cost.macs / 1e6:,.1f} M MACs"
        yield f"  {end:<8} at {cost.resolution} pixels: {counts}"


def _sides(space: SpaceSummary) -> str:
    sides = space.resolutions
    return str(sides[0]) if len(sides) == 1 else f"{sides[0]} to {sides[-1]}"


def specialised_lines(nets: Sequence[SpecialisedRow]) -> Iterator[str]:
    """Yield the published specialised networks as a table."""
    accuracies, counts = f"{'top-1':>5} {'top-5':>5}", f"{'M parameters':>14}  {'M MACs':>14}"
    yield f"{'network':<42} {'supernet':<18} {'pixels':>6}  {accuracies}  {counts}"
    for net in nets:
        yield (
            f"{net.name:<42} {net.supernet:<18} {net.resolution:>6}  {net.top1:>5} {net.top5:>5}  "
            f"{net.parameters_m:>5} ({net.parameters / 1e6:>6.3f})  {net.macs_m:>5.0f} ({net.macs / 1e6:>6.1f})"
            + ("" if net.agrees else "  differs")
        )
    yield "top-1 and top-5: percent on ImageNet after fine-tuning, as reported by the authors (README of the"
    yield "once-for-all repository); parameters and MACs: as reported, in brackets as counted here."
    yield f"{sum(net.agrees for net in nets)} of {len(nets)} agree in parameters and MACs within the table's rounding"


def export_lines(result: ExportResult) -> Iterator[str]:
    """Yield what was written."""
    parameters = f"{result.parameters / 1e6:.3f} M parameters at {result.resolution} pixels"
    yield f"export     {result.subnet}: {parameters}"
    for line in (result.statistics, *result.files):
        yield f"           {line}"


def listing_lines(listing: Listing) -> Iterator[str]:
    """Yield one line a published file."""
    for file in listing.files:
        there = size_text(file.fetched_bytes)
        state = f"fetched, {there}" if file.complete else f"{there} of it fetched" if file.fetched_bytes else ""
        yield f"{file.name:<68} {size_text(file.size_bytes):>8}  {state}".rstrip()
    yield f"{len(listing.files)} files; they go to {listing.folder}"


def fetched_lines(fetched: Fetched) -> Iterator[str]:
    """Yield one line a file that is there now."""
    for file in fetched.files:
        how = "was there" if file.name in fetched.were_there else "fetched"
        yield f"{how:<9}  {file.name}, {size_text(file.fetched_bytes)}"
    yield f"{len(fetched.files)} files in {fetched.folder}"
