"""The words of memory that a layer touches, found one by one."""

import numpy as np

from codesign.emit.program import pack_weights
from cost_models.mapping.mapping import Mapping
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator


def touched(record: np.void, layer: Layer, mapping: Mapping, accelerator: Accelerator) -> dict[str, set[int]]:
    """{field of the descriptor: words from the arena's start}; maps in the map memory are left out."""
    word = accelerator.axi_bytes
    groups = -(-layer.out_channels // word)
    outputs = {
        (row * layer.out_width + col) * groups + group
        for row in range(layer.out_height)
        for col in range(layer.out_width)
        for group in range(groups)
    }
    offsets = {
        "parameter_word": set(range(groups * word * 8 // word)),
        "table_word": set(range(256 // word)),
        "counter_word": set(range(32 // word)),
    }
    if record["ifmap_ring"] == 0:
        offsets["ifmap_word"] = _inputs(layer, word)
    if record["ofmap_ring"] == 0:
        offsets["ofmap_word"] = outputs
    if layer.residual:
        offsets["residual_word"] = outputs
    if layer.operation == Operation.SCALE:
        offsets["weight_word"] = set(range(groups))
    elif layer.operation.has_weights:
        fan_in = layer.in_channels if layer.operation == Operation.CONV else 1
        shape = (layer.out_channels, fan_in, layer.kernel_height, layer.kernel_width)
        packed = pack_weights(layer, np.zeros(shape, np.int8), mapping, accelerator)
        offsets["weight_word"] = set(range(packed.nbytes // word))
    return {field: {int(record[field]) + offset for offset in words} for field, words in offsets.items()}


def _inputs(layer: Layer, word: int) -> set[int]:
    """Words of the input map under any tap of any window."""
    groups = -(-layer.in_channels // word)
    rows, cols = (
        {
            at * layer.stride - layer.padding + tap
            for at in range(outputs)
            for tap in range(kernel)
            if 0 <= at * layer.stride - layer.padding + tap < inputs
        }
        for outputs, kernel, inputs in (
            (layer.out_height, layer.kernel_height, layer.in_height),
            (layer.out_width, layer.kernel_width, layer.in_width),
        )
    )
    return {(row * layer.in_width + col) * groups + group for row in rows for col in cols for group in range(groups)}
