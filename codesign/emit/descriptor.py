"""The fields of a step's descriptor, and a layer's weights in the order in which the engine fetches them."""

import math

import numpy as np

from cost_models.engine.places import MapPlace, ProgramStep, Ring
from cost_models.engine.tiles import TiledLayer, round_up
from hw_templates.conv_engine import isa
from hw_templates.foundation.arrays import Int8Array


def pack_weights(tiled: TiledLayer, weights: Int8Array) -> Int8Array:
    """Return weights [M, C or 1, kh, kw] as bytes in the order of fetching.

    A dense line holds [row, column] of one tap and one group of input channels; lines follow each other by row group,
    column group, tap row, tap column. A channel-wise layer's weights are [group, tap, lane]. Weights of 4 bits lie two
    lines to a line: the even one in the lower half of each byte.
    """
    shape, (first, second) = tiled.shape, (tiled.shape.accelerator.pe_rows, tiled.shape.accelerator.pe_cols)
    if not tiled.dense:
        first, second = shape.lanes, 1
    kernel = weights.shape[2:]
    blocks = []
    for out, each in tiled.fetch_order():
        out_first = out * tiled.mapping.tile_out_channels
        in_first = each * tiled.mapping.tile_in_channels if tiled.dense else 0
        part = weights[out_first : out_first + tiled.out_tiles[out]]
        part = part[:, in_first : in_first + (tiled.in_tiles[each] if tiled.dense else 1)]
        padded = np.zeros((round_up(part.shape[0], first), round_up(part.shape[1], second), *kernel), np.int8)
        padded[: part.shape[0], : part.shape[1]] = part
        lines = padded.reshape(-1, first, padded.shape[1] // second, second, *kernel).transpose(0, 2, 4, 5, 1, 3)
        content = np.zeros(tiled.weight_bytes(tiled.out_tiles[out], tiled.in_tiles[each]), np.int8)
        flat = lines.reshape(-1)
        if tiled.layer.weight_bits == 4:
            line = shape.accelerator.pe_rows * shape.accelerator.pe_cols
            pairs = np.zeros((len(content) // line, 2, line), np.int8)
            pairs.reshape(-1)[: len(flat)] = flat
            content[:] = (pairs[:, 0] & 15 | pairs[:, 1] << 4).reshape(-1)
        else:
            content[: len(flat)] = flat
        blocks.append(content)
    return np.concatenate(blocks)


def describe(step: ProgramStep, residual_multiplier: int = 0) -> np.void:
    """Return a step's descriptor, a record of :data:`isa.DESCRIPTOR`.

    Args:
        step: the layer, or a band of it, in its tiles and where everything lies.
        residual_multiplier: scale of the map that is added, of 2^16.
    """
    tiled, places = step.tiled, step.places
    fields = {
        **_shape_fields(tiled),
        **_tile_fields(tiled),
        **_input_fields(tiled, places.ifmap),
        **_buffer_fields(tiled),
        **_result_fields("out", tiled, places.ofmap),
        **_result_fields("res", tiled, places.residual or MapPlace(word=0, pixel_words=0)),
        **_weight_fields(tiled, step.edges),
        **_map_fields(tiled, places.ifmap.ring, places.ofmap.ring),
        "early": step.early,
        "waits": step.waits,
        "ifmap_word": places.ifmap.word,
        "weight_word": places.weight_word,
        "ofmap_word": places.ofmap.word,
        "residual_word": 0 if places.residual is None else places.residual.word,
        "parameter_word": places.parameter_word,
        "table_word": places.table_word,
        "counter_word": places.counter_word,
        "out_run_words": tiled.out_words,
        "load_table": step.load_table,
        "residual": tiled.layer.residual,
        "residual_multiplier": residual_multiplier,
        "edges": step.edges,
    }
    record = np.zeros(1, dtype=isa.DESCRIPTOR)
    for name, value in fields.items():
        record[name] = min(value, 2**31 - 1)  # which no field but those of taps has the bits for
    described: np.void = record[0]
    return described


def _shape_fields(tiled: TiledLayer) -> dict[str, int]:
    """Return what the layer computes, whatever its tiles."""
    layer = tiled.layer
    return {
        "size": isa.DESCRIPTOR_BYTES,
        "version": isa.VERSION,
        "operation": layer.operation.code,
        "loop_order": isa.LoopOrderCode[tiled.mapping.loop_order.name],
        "in_height": layer.in_height,
        "in_width": layer.in_width,
        "in_channels": layer.in_channels,
        "out_height": layer.out_height,
        "out_width": layer.out_width,
        "out_channels": layer.out_channels,
        "kernel_height": layer.kernel[0],
        "kernel_width": layer.kernel[1],
        "stride_height": layer.stride[0],
        "stride_width": layer.stride[1],
        "dilation_height": layer.dilation[0],
        "dilation_width": layer.dilation[1],
        "pad_top": layer.padding[0],
        "pad_left": layer.padding[1],
        "pad_bottom": layer.padding[2],
        "pad_right": layer.padding[3],
        "pad_value": layer.pad_value,
        "repeat": layer.repeat,
        "four_bit_weights": layer.weight_bits == 4 and not layer.operation.reads_gate,
    }


def _tile_fields(tiled: TiledLayer) -> dict[str, int]:
    """Return the numbers and sizes of tiles, and the groups that are computed of each."""
    mapping, accelerator, rows, cols = tiled.mapping, tiled.shape.accelerator, tiled.rows, tiled.cols
    out_tiles, in_tiles = tiled.out_tiles, tiled.in_tiles
    word, pixels = accelerator.axi_bytes, accelerator.pe_pixels
    groups = [math.ceil(channels / accelerator.pe_cols) if tiled.dense else 1 for channels in in_tiles]
    return {
        "tile_out_channels": mapping.tile_out_channels,
        "tile_in_channels": mapping.tile_in_channels,
        "tile_height": mapping.tile_height,
        "tile_width": mapping.tile_width,
        "tiles_out": len(out_tiles),
        "tiles_in": len(in_tiles),
        "tiles_rows": rows.tiles,
        "tiles_cols": cols.tiles,
        "last_out_words": math.ceil(out_tiles[-1] / word),
        "last_in_words": math.ceil(in_tiles[-1] / word),
        "last_rows": rows.last,
        "last_cols": cols.last,
        "full_out_words": math.ceil(out_tiles[0] / word),
        "full_in_words": math.ceil(in_tiles[0] / word),
        "row_groups_full": tiled.groups_of(out_tiles[0]),
        "row_groups_last": tiled.groups_of(out_tiles[-1]),
        "col_groups_full": groups[0],
        "col_groups_last": groups[-1],
        "pixel_groups_full": math.ceil(mapping.tile_width / pixels),
        "pixel_groups_last": math.ceil(cols.last / pixels),
    }


def _input_fields(tiled: TiledLayer, place: MapPlace) -> dict[str, int]:
    """Return the steps from part to part of the input map, in words or lines of where it lies, and in positions."""
    layer, mapping, rows, cols = tiled.layer, tiled.mapping, tiled.rows, tiled.cols
    halves = 2 if layer.repeat else 1
    memory_width, in_words = layer.in_width // halves, place.pixel_words
    whole_pixels = len(tiled.in_tiles if tiled.dense else tiled.out_tiles) == 1
    run_words = math.ceil(layer.in_channels / tiled.shape.accelerator.axi_bytes)
    return {
        "in_words": in_words,
        "in_col_step": in_words,
        "in_row_step": memory_width * in_words,
        "in_tile_col_step": mapping.tile_width * cols.stride // halves * in_words,
        "in_tile_row_step": mapping.tile_height * rows.stride // halves * memory_width * in_words,
        "in_col_begin": -cols.padding // halves * in_words,
        "in_row_begin": -rows.padding // halves * memory_width * in_words,
        "in_col_end": memory_width * in_words,
        "in_full_words": cols.extent(mapping.tile_width) * in_words,
        "in_last_words": cols.extent(cols.last) * in_words,
        "in_tile_rows": mapping.tile_height * rows.stride,
        "in_tile_cols": mapping.tile_width * cols.stride,
        "in_full_rows": rows.extent(mapping.tile_height),
        "in_full_cols": cols.extent(mapping.tile_width),
        "in_last_rows": rows.extent(rows.last),
        "in_last_cols": cols.extent(cols.last),
        "whole_in": whole_pixels and in_words == run_words and not layer.repeat and place.ring is None,
    }


def _result_fields(prefix: str, tiled: TiledLayer, place: MapPlace) -> dict[str, int]:
    """Return the steps from part to part of a map of the result's shape, in words or lines of where it lies."""
    layer, mapping, step = tiled.layer, tiled.mapping, place.pixel_words
    whole_pixels = len(tiled.out_tiles) == 1 or tiled.keeps_sums
    return {
        f"{prefix}_words": step,
        f"{prefix}_col_step": step,
        f"{prefix}_row_step": layer.out_width * step,
        f"{prefix}_tile_col_step": mapping.tile_width * step,
        f"{prefix}_tile_row_step": mapping.tile_height * layer.out_width * step,
        f"{prefix}_col_end": layer.out_width * step,
        f"whole_{prefix}": whole_pixels and step == tiled.out_words and place.ring is None,
    }


def _map_fields(tiled: TiledLayer, read: Ring | None, made: Ring | None) -> dict[str, int]:
    """Return where in the map memory maps lie, and the lines and banks from tile to tile of their channels."""
    accelerator, nowhere = tiled.shape.accelerator, Ring(lines=0, end=0)
    word, banks = accelerator.axi_bytes, accelerator.map_banks
    # A channel-wise layer reads by the tiles of its output channels.
    steps_out = made is not None or (read is not None and not tiled.dense)
    in_words = math.ceil(tiled.in_tiles[0] / word) if read is not None else 0
    out_words = math.ceil(tiled.out_tiles[0] / word) if steps_out else 0
    return {
        "map_in": read is not None,
        "map_in_ring": (read or nowhere).lines,
        "map_in_end": (read or nowhere).end,
        "in_tile_lines": in_words // banks,
        "in_tile_banks": in_words % banks,
        "map_out": made is not None,
        "map_out_ring": (made or nowhere).lines,
        "map_out_end": (made or nowhere).end,
        "out_tile_lines": out_words // banks,
        "out_tile_banks": out_words % banks,
        "out_tile_groups": math.ceil(tiled.mapping.tile_out_channels / accelerator.post_lanes),
    }


def _buffer_fields(tiled: TiledLayer) -> dict[str, int]:
    """Return the steps in a bank of the ifmap buffer, of its loader and of the window.

    Addresses wrap at the bits that they have, and so do steps: one that a tile never takes may be longer than a bank.
    """
    rows, cols, line, pixels = tiled.rows, tiled.cols, tiled.line_words, tiled.shape.accelerator.pe_pixels
    in_rows, column = rows.extent(tiled.mapping.tile_height), cols.padding // cols.stride
    tap = [
        t * cols.dilation % cols.stride * tiled.slots + t * cols.dilation // cols.stride // pixels
        for t in range(isa.TAPS + 1)
    ]
    steps = {
        "d_slots": tiled.slots,
        "d_line": line,
        "d_row": rows.dilation * line,
        "d_group": in_rows * line,
        "d_out_row": rows.stride * line,
        "in_place": cols.padding % cols.stride * tiled.slots + column // pixels,
        "in_place_row": rows.padding * line,
    }
    wrap = 1 << tiled.shape.field_bits_of("IA")
    return {
        **{name: step % wrap for name, step in steps.items()},
        "x_pixel": pixels * cols.stride,
        "in_place_lane": column % pixels,
        "in_place_phase": cols.padding % cols.stride,
        **{
            f"tap_col_{t}": (tap[t + 1] - tap[t]) << 8 | t * cols.dilation // cols.stride % pixels
            for t in range(isa.TAPS)
        },
    }


def _weight_fields(tiled: TiledLayer, edges: int) -> dict[str, int]:
    """Return the beats of the weight port that tiles of weights and the parameters take."""
    beats = {
        f"weight_beats_{of_outputs}_{of_inputs}": tiled.weight_beats(outputs, inputs)
        for of_outputs, outputs in (("full", tiled.out_tiles[0]), ("last", tiled.out_tiles[-1]))
        for of_inputs, inputs in (("full", tiled.in_tiles[0]), ("last", tiled.in_tiles[-1]))
    }
    return {**beats, "parameter_beats": tiled.parameter_beats(edges)}
