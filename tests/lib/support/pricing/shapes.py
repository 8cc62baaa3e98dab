"""Values with many fields from tuples, where a test makes many of them."""

from dataclasses import fields

from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import PARAMETERS, Accelerator

_SHAPE = tuple(field.name for field in fields(Layer))[1:]


def layer_of(operation: Operation, *shape: int) -> Layer:
    """A layer from its fields in the order in which :class:`Layer` has them; those that are left out keep defaults."""
    return Layer(operation=operation, **dict(zip(_SHAPE, shape, strict=False)))


def accelerator_of(*values: int) -> Accelerator:
    """An accelerator from its fields in the order in which :class:`Accelerator` has them."""
    return Accelerator(**dict(zip(PARAMETERS, values, strict=False)))
