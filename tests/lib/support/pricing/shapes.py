"""Values with many fields: a small accelerator, and others from tuples where a test makes many of them."""

from dataclasses import fields

from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import PARAMETERS, Accelerator

SMALL = Accelerator(
    pe_rows=8,
    pe_cols=8,
    pe_pixels=2,
    pack=2,
    ifmap_kib=8,
    weight_kib=8,
    ofmap_kib=8,
    axi_bits=64,
    clock_mhz=125,
)
"""An accelerator that fits any board."""
_SHAPE = tuple(field.name for field in fields(Layer))[1:]


def layer_of(operation: Operation, *shape: int) -> Layer:
    """A layer from its fields in the order in which :class:`Layer` has them; those that are left out keep defaults."""
    return Layer(operation=operation, **dict(zip(_SHAPE, shape, strict=False)))


def accelerator_of(*values: int) -> Accelerator:
    """An accelerator from its fields in the order in which :class:`Accelerator` has them."""
    return Accelerator(**dict(zip(PARAMETERS, values, strict=False)))
