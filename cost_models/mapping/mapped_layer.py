"""A layer that is ready to run: what is priced, simulated, emitted and measured."""

from dataclasses import dataclass

from cost_models.mapping.mapping import Mapping
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Layer
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.json_records import check_fields


@dataclass(frozen=True)
class MappedLayer:
    """A layer with the tiles that it is cut into and the place of its feature maps.

    Raises:
        InvalidValueError: a field is of another type.
    """

    layer: Layer
    mapping: Mapping
    placement: Placement = IN_MEMORY

    def __post_init__(self) -> None:
        check_fields(self, "mapped_layer")

    def check(self, accelerator: Accelerator) -> None:
        """Check that an accelerator can run the layer in this way.

        Raises:
            UnsupportedLayerError: the engine cannot run such a layer.
            InvalidValueError: the mapping or the placement breaks a rule of shape.
            MappingError: a tile or a feature map does not fit its buffer; names the buffer and a size that would do.
        """
        self.mapping.check(self.layer, accelerator)
        self.placement.check(self.layer, accelerator)
