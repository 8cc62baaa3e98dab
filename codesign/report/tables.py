"""Tables of a report that several templates share."""

from codesign.report.page import Section, Table
from codesign.supernet.lowering.workloads import lower
from codesign.templates.template import Datasheet, EmittedPair
from cost_models.workload import Layer


def layer_shape(layer: Layer) -> str:
    """Return operation, kernel, stride, channels and output size of a layer as text."""
    return (
        f"{layer.operation} {layer.kernel_height}x{layer.kernel_width}/{layer.stride}, "
        f"{layer.in_channels} → {layer.out_channels}, {layer.out_height}x{layer.out_width}"
    )


def comparison_section(emitted: EmittedPair, sides: dict[str, Datasheet]) -> Section:
    """Return the section that compares two templates for one subnet on one board.

    Args:
        emitted: the pair whose subnet both run, emitted with the second template.
        sides: name of each template to its accelerator; the columns of the table.
    """
    (_, first), (name, second) = sides.items()
    subnet, joint = emitted.pair.subnet, emitted.problem.joint
    rows = tuple(
        (figure, *(sheet.figures.get(figure, "") for sheet in sides.values()))
        for figure in dict.fromkeys(figure for sheet in sides.values() for figure in sheet.figures)
    )
    return Section(
        "Two templates",
        f"The subnet that was emitted with {name} (resolution {subnet.resolution}, depths {subnet.depths}, "
        f"{lower(joint.space, subnet).macs:,} MACs) on {joint.board.title}: on {first.description}, and "
        f"{second.description}. Nothing here is measured: the models' coefficients differ.",
        table=Table(("", *sides), rows),
    )
