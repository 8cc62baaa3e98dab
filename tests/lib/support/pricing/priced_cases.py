"""Single layers with given mappings, priced by the closed form."""

from collections.abc import Sequence

from cost_models.closed_form.layer_prices import LayerPrices, MappedLayers
from cost_models.coefficients import Coefficients, load_coefficients
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import Mapping
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Layer
from hw_templates.board import Board, load_board
from hw_templates.conv_engine.accelerator import Accelerator

PYNQ_Z2 = load_board("pynq-z2")
PRIOR = load_coefficients()


def price_each(
    layer: Layer,
    mappings: Sequence[Mapping],
    accelerator: Accelerator,
    board: Board = PYNQ_Z2,
    coefficients: Coefficients = PRIOR,
    placement: Placement = IN_MEMORY,
) -> LayerPrices:
    """A layer with each of some mappings."""
    layers = [MappedLayer(layer, mapping, placement) for mapping in mappings]
    return MappedLayers.of(layers, [accelerator] * len(mappings), board).price(coefficients)
