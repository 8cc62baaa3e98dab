"""What the engine can run: limits of layers, tiles and sums that a program is checked against."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from codesign.emit.engine_reference import EngineNode
from cost_models.engine.layer import EngineLayer
from cost_models.mapping.mapping import LoopOrder, channel_units
from cost_models.mapping.placement import kept_kib
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.foundation.arrays import Int8Array, IntArray
from hw_templates.foundation.errors import InvalidValueError, MappingError, UnsupportedLayerError

POSITIONS = 4095
"""Most rows or columns of a map with its padding: positions are signed numbers of 13 bits."""
MAP_WORDS = 2**25
"""Most words of a map that is read: offsets in it are signed numbers of 26 bits."""
ARENA_WORDS = 2**26 - 1
STEPS = 2**16 - 1
RUN_WORDS = 2**16 - 1
LANE_REACH = 31
"""Most columns from the first pixel lane to the last."""
CLASSES = 16
"""Most classes of rows, or columns, of an average pool."""
SATURATED = 2**24
"""Sums with their bias are saturated to 25 bits."""
HARMLESS_SHIFT, HARMLESS_SHIFT_BESIDE_RESIDUAL = 32, 30
"""Greatest shifts for which a saturated sum makes a saturated result: 2^24 * 2^15 / 2^32 is 128; 2^24 * 2^15 / 2^30 is
512, from which a map that is added takes at most 256."""
INT32 = 2**31


@dataclass(frozen=True, kw_only=True, eq=False)
class Requantisation:
    """Bias, multiplier and shift of each channel, [M], or of each border class of an average pool."""

    bias: IntArray
    multiplier: IntArray
    shift: IntArray


def check_sums(name: str, layer: EngineLayer, weight: Int8Array | None, requantisation: Requantisation) -> None:
    """Check that what the engine saturates and wraps on the way changes no result.

    Sums wrap at 32 bits, so none may leave them for any input. A sum with its bias is saturated to 25 bits, which is
    harmless where it stays below 2^24 for every input, or where the result is saturated anyway.

    Args:
        name: of the layer, for messages.
        layer: its shape.
        weight: int8 [M, C or 1, kh, kw], None where there are none.
        requantisation: its bias, multipliers and shifts.

    Raises:
        UnsupportedLayerError: a channel's sums break one of the rules; names layer, field, channel, value and limit.
    """
    least, greatest = _sum_range(layer, weight)
    bias = requantisation.bias.astype(np.int64).reshape(-1)
    low, high = least + bias, greatest + bias
    extreme = np.maximum(np.maximum(-least, greatest), np.maximum(-low, high))
    if (extreme >= INT32).any():
        channel = int(np.argmax(extreme))
        raise UnsupportedLayerError(
            f"{name}.weight[{channel}]: sums must stay below {INT32}, with the bias and without, got {extreme[channel]}"
        )
    most = HARMLESS_SHIFT_BESIDE_RESIDUAL if layer.residual == 1 else HARMLESS_SHIFT
    bound, shift = np.maximum(-low, high), requantisation.shift.reshape(-1)
    lossy = (bound >= SATURATED) & (shift > most) & (requantisation.multiplier.reshape(-1) != 0)
    if lossy.any():
        channel = int(np.argmax(lossy))
        raise UnsupportedLayerError(
            f"{name}.shift[{channel}]: must be at most {most} where sums reach {SATURATED}, got {shift[channel]} for "
            f"sums of up to {bound[channel]}"
        )


def _sum_range(layer: EngineLayer, weight: Int8Array | None) -> tuple[IntArray, IntArray]:
    """Return the least and the greatest sum of each channel, [M] or [1], over all maps of int8 values.

    Every product may be 0, so that no part of a sum leaves this range either.
    """
    if weight is not None:
        wide = weight.reshape(len(weight), -1).astype(np.int64)
    elif layer.operation.reads_gate:
        return np.array([-128 * 127]), np.array([128 * 128])
    else:
        wide = np.full((1, 1 if layer.operation.selects else layer.taps), 1)
    ups, downs = np.maximum(wide, 0).sum(1), np.maximum(-wide, 0).sum(1)
    return -128 * ups - 127 * downs, 127 * ups + 128 * downs


def check_tiles(node: EngineNode) -> None:
    """Check that the engine can run a layer, and that its tiles fit the buffers and keep the rules of the format.

    Raises:
        UnsupportedLayerError: the layer is more than the engine can run.
        MappingError: a tile does not fit a buffer, or breaks a rule of the format.
    """
    _check_layer(node)
    _check_classes(node)
    tiled, mapping, layer = node.tiled, node.tiled.mapping, node.tiled.layer
    units = channel_units(layer.operation, tiled.shape.accelerator)
    for name, unit in zip(("tile_out_channels", "tile_in_channels"), units, strict=True):
        size = getattr(mapping, name)
        if size < 1 or size % unit:
            raise MappingError(f"{node.name}.{name}: must be a positive multiple of {unit}, got {size}")
    if not tiled.dense and mapping.tile_in_channels != mapping.tile_out_channels:
        raise MappingError(
            f"{node.name}.tile_in_channels: must be those of the output, {mapping.tile_out_channels}, in a layer that "
            f"works channel by channel, got {mapping.tile_in_channels}"
        )
    if not tiled.dense and mapping.loop_order is LoopOrder.INPUTS_OUTER:
        raise MappingError(f"{node.name}.loop_order: {mapping.loop_order} is for layers that sum over input channels")
    for name, axis in (("tile_height", tiled.rows), ("tile_width", tiled.cols)):
        if not 1 <= axis.tile <= axis.size:
            raise MappingError(f"{node.name}.{name}: must be 1 to {axis.size}, got {axis.tile}")
        step = axis.tile * axis.stride
        if axis.tiles > 1 and step < axis.padding:
            least = min(axis.size, math.ceil(axis.padding / axis.stride))
            raise MappingError(
                f"{node.name}.{name}: must be at least {least}, got {axis.tile}, or a second tile begins in the padding"
            )
        if axis.tiles > 1 and layer.repeat and step % 2:
            raise MappingError(f"{node.name}.{name}: must be even where the map is repeated, got {axis.tile}")
    for name, needed, there in tiled.needs():
        if needed > there:
            raise MappingError(
                f"{node.name}: a tile needs {needed} words of a bank of the {name} buffer, it has {there}"
            )


def check_maps(node: EngineNode) -> None:
    """Check that the map memory holds what of a layer's maps stays there.

    Raises:
        InvalidValueError: a ring is none of the map, or must stay in memory.
        MappingError: a ring does not fit; says the least size that would do.
    """
    layer, placement, accelerator = node.tiled.layer, node.placement, node.tiled.shape.accelerator
    maps = (
        ("ifmap_ring", placement.ifmap_ring, layer.in_height, layer.in_width, layer.in_channels),
        ("ofmap_ring", placement.ofmap_ring, layer.out_height, layer.out_width, layer.out_channels),
    )
    for name, ring, height, width, channels in maps:
        if not 0 <= ring <= height:
            raise InvalidValueError(f"{node.name}.{name}", ring, f"at most the {height} rows of the map")
        least_kib = kept_kib(channels, ring * width, accelerator)
        if least_kib > accelerator.map_kib:
            raise MappingError(
                f"{node.name}.{name}: {ring} rows on chip take a map_kib of {least_kib}, the engine has "
                f"{accelerator.map_kib}"
            )
    if layer.repeat and placement.ifmap_ring:
        raise InvalidValueError(f"{node.name}.ifmap_ring", placement.ifmap_ring, "0 where the map is repeated")
    if layer.residual and placement.ofmap_ring:
        raise InvalidValueError(f"{node.name}.ofmap_ring", placement.ofmap_ring, "0 where a map is added")


def _check_layer(node: EngineNode) -> None:
    """Check what holds for a layer in any tiles."""
    layer, shape = node.tiled.layer, node.tiled.shape
    limits, pixels = shape.limits, shape.accelerator.pe_pixels
    regular_pool = layer.operation.is_weightless and layer.stride == layer.dilation == (1, 1)
    most_kernel = limits.max_pool if regular_pool else limits.max_kernel
    if regular_pool and pixels > isa.TAPS:
        most_kernel = min(most_kernel, isa.TAPS)  # the table of tap columns repeats only after as many
    for name, values, most in (
        ("kernel", layer.kernel, most_kernel),
        ("stride", layer.stride, min(limits.max_stride, LANE_REACH // max(1, pixels - 1))),
        ("dilation", layer.dilation, limits.max_dilation),
    ):
        if max(values) > most:
            raise UnsupportedLayerError(f"{node.name}.{name}: the engine has at most {most}, got {max(values)}")
    # A maximum begins at -128, whatever else maps are padded with.
    padding = -128 if layer.operation.selects else 0
    if any(layer.padding) and layer.pad_value != padding and not limits.zero_point:
        raise UnsupportedLayerError(f"{node.name}.pad_value: the engine has {padding}, got {layer.pad_value}")
    if layer.repeat and (layer.in_height % 2 or layer.in_width % 2):
        sizes = (layer.in_height, layer.in_width)
        raise UnsupportedLayerError(f"{node.name}.repeat: needs even rows and columns, got {sizes}")
    most_channels = shape.parameter_depth * shape.accelerator.post_lanes
    if not layer.operation.averages and layer.out_channels > most_channels:
        raise UnsupportedLayerError(
            f"{node.name}.out_channels: the engine has parameters of {most_channels}, got {layer.out_channels}"
        )


def _check_classes(node: EngineNode) -> None:
    """Check the border classes of an average pool; rows and columns in the middle are a class, too."""
    layer, shape = node.tiled.layer, node.tiled.shape
    edges = node.data.edges
    if not any(edges):
        return
    if not shape.limits.edges or not layer.operation.averages:
        raise UnsupportedLayerError(
            f"{node.name}.edges: only average pools of engines with edges have any, got {edges}"
        )
    counts = [edges[0] + edges[1] + 1, edges[2] + edges[3] + 1]
    for name, count, size in zip(("rows", "columns"), counts, (layer.out_height, layer.out_width), strict=True):
        if count > min(CLASSES, size):
            raise UnsupportedLayerError(
                f"{node.name}.edges: at most {min(CLASSES, size)} classes of {size} {name} with the middle, got {count}"
            )
    lines = node.tiled.parameter_lines(node.data.edges_field)
    if lines > shape.parameter_depth:
        raise UnsupportedLayerError(
            f"{node.name}.edges: the engine has {shape.parameter_depth} lines of parameters, got {lines} for "
            f"{counts[0]} classes of rows and {counts[1]} of columns"
        )


@lru_cache(maxsize=16)
def _field_ranges(shape: EngineShape) -> dict[str, tuple[int, int]]:
    return shape.field_ranges()


def check_fields_fit(name: str, record: np.void, shape: EngineShape) -> None:
    """Check that a descriptor's fields, and what the engine makes of them, fit the bits that it has.

    Raises:
        UnsupportedLayerError: one does not; names layer, field, value and limit.
    """
    for field, (least, most) in _field_ranges(shape).items():
        if not least <= (value := int(record[field])) <= most:
            raise UnsupportedLayerError(f"{name}.{field}: the engine has {least} to {most}, got {value}")
    given = {field: int(record[field]) for field, _, _ in isa.FIELDS}
    tiles = {
        "in_height": (given["tiles_rows"] - 1) * given["in_tile_rows"] + given["in_last_rows"] - given["pad_top"],
        "in_width": (given["tiles_cols"] - 1) * given["in_tile_cols"] + given["in_last_cols"] - given["pad_left"],
    }
    words = (given["in_height"] >> given["repeat"]) * given["in_row_step"]
    runs = {
        "in_full_words": given["whole_in"] * min(given["in_full_words"], given["in_col_end"]),
        "out_tile_col_step": given["whole_out"] * given["out_tile_col_step"],
        "res_tile_col_step": given["whole_res"] * given["res_tile_col_step"],
    }
    for field, value, most, meaning in (
        *((field, value, POSITIONS, "the last window's end") for field, value in tiles.items()),
        ("in_row_step", words, MAP_WORDS, "words of the map"),
        *((field, value, RUN_WORDS, "words of a run") for field, value in runs.items()),
    ):
        if value > most:
            raise UnsupportedLayerError(f"{name}.{field}: {meaning} must be at most {most}, got {value}")


def check_program(steps: int, arena_words: int) -> None:
    """Check that the engine's registers hold how many steps and words a program has.

    Raises:
        UnsupportedLayerError: one of them does not.
    """
    for name, value, most in (("steps", steps, STEPS), ("arena_words", arena_words, ARENA_WORDS)):
        if value > most:
            raise UnsupportedLayerError(f"program.{name}: the engine has at most {most}, got {value}")
