"""Version 5 of the program format: one table from which the numpy record and ``rtl/engine_format.vh`` are both made.

A program is an array of layer descriptors in memory, each of :data:`DESCRIPTOR_FIELDS` little-endian int32 values.
The engine computes nothing that the host can: steps of addresses, clipped extents and sizes of last tiles are fields.
Places count memory words (``axi_bits``) from the arena's start.
"""

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from hw_templates.operations import Operation

VERSION = 5
DESCRIPTOR_FIELDS = 128
DESCRIPTOR_BYTES = 4 * DESCRIPTOR_FIELDS
TAPS = 11
"""Most columns of a kernel that the format has room for."""
TABLE_BYTES = 256
MAX_CHANNELS = 2048
"""Channels of a layer's result: the parameter memory holds so many."""


class LoopOrderCode(IntEnum):
    """Value of a descriptor's ``loop_order``; see :class:`cost_models.mapping.mapping.LoopOrder`."""

    PIXELS_OUTER = 0
    CHANNELS_OUTER = 1
    INPUTS_OUTER = 2


FIELDS: tuple[tuple[str, str, str], ...] = (
    ("size", "16", "DESCRIPTOR_BYTES; checked first"),
    ("version", "8", "VERSION; checked first"),
    ("operation", "3", "what the layer computes"),
    ("loop_order", "2", "how the loops over tiles are nested"),
    ("early", "2", "what of the first tile is fetched beside the last store before: 1: weights, 2: the ifmap too"),
    ("waits", "3", "what waits until all results before are in memory: bit 0 the ifmap, 1 slot 1, 2 the gate"),
    ("in_height", "CW", "rows of the input map"),
    ("in_width", "CW", "columns of the input map"),
    ("in_channels", "CW", "channels of the input map"),
    ("out_height", "CW", "rows of the output map"),
    ("out_width", "CW", "columns of the output map"),
    ("out_channels", "CW", "channels of the output map"),
    ("kernel_height", "KW", "rows of the kernel"),
    ("kernel_width", "KW", "columns of the kernel"),
    ("stride_height", "DW", "input rows from output row to output row"),
    ("stride_width", "DW", "input columns from output column to output column"),
    ("dilation_height", "DW", "input rows from tap row to tap row"),
    ("dilation_width", "DW", "input columns from tap column to tap column"),
    ("pad_top", "3", "rows of padding above the map"),
    ("pad_left", "3", "columns of padding left of the map"),
    ("pad_bottom", "3", "rows of padding below the map"),
    ("pad_right", "3", "columns of padding right of the map"),
    ("pad_value", "8", "what lies outside the map, an int8"),
    ("repeat", "1", "1: each row and column of the map in memory is read twice"),
    ("four_bit_weights", "1", "1: weights have 4 bits and lie two to a byte"),
    ("tile_out_channels", "CW", "output channels of a full tile"),
    ("tile_in_channels", "CW", "input channels of a full tile"),
    ("tile_height", "CW", "output rows of a full tile"),
    ("tile_width", "CW", "output columns of a full tile"),
    ("tiles_out", "CW", "tiles of output channels"),
    ("tiles_in", "CW", "tiles of input channels; 1 in channel-wise layers"),
    ("tiles_rows", "CW", "tiles of output rows"),
    ("tiles_cols", "CW", "tiles of output columns"),
    ("last_out_words", "CW", "channel words of the result in the last tile of output channels"),
    ("last_in_words", "CW", "channel words of the input in the last tile of input channels"),
    ("last_rows", "CW", "output rows of the last tile"),
    ("last_cols", "CW", "output columns of the last tile"),
    ("full_out_words", "CW", "channel words of the result in a full tile of output channels"),
    ("full_in_words", "CW", "channel words of the input in a full tile of input channels"),
    ("row_groups_full", "CW", "groups of output channels computed at a time in a full tile"),
    ("row_groups_last", "CW", "and in the last"),
    ("col_groups_full", "CW", "groups of PE_COLS input channels in a full tile; 1 in channel-wise layers"),
    ("col_groups_last", "CW", "and in the last"),
    ("pixel_groups_full", "CW", "groups of PE_PIXELS columns in a full tile"),
    ("pixel_groups_last", "CW", "and in the last"),
    ("ifmap_word", "AW", "where the input map starts"),
    ("weight_word", "AW", "where the weights start, in the order of fetching; for a scale, the gate's map"),
    ("ofmap_word", "AW", "where the output map starts"),
    ("residual_word", "AW", "where the map that is added starts"),
    ("parameter_word", "AW", "where the parameters start"),
    ("table_word", "AW", "where the activation table starts"),
    ("counter_word", "AW", "where the counters are written"),
    ("in_words", "CW", "words from pixel to pixel of the input map"),
    ("out_words", "CW", "words from pixel to pixel of the output map"),
    ("res_words", "CW", "words from pixel to pixel of the map that is added"),
    ("out_run_words", "CW", "channel words of a pixel that the layer itself makes"),
    ("in_col_step", "AW", "words to the next column of the input map in memory"),
    ("in_row_step", "AW", "words to the next row of the input map in memory"),
    ("in_tile_col_step", "AW", "words to the next tile along columns"),
    ("in_tile_row_step", "AW", "words to the next tile along rows"),
    ("in_col_begin", "AW", "words from the row's start to the first tile's left edge, negative in padding"),
    ("in_row_begin", "AW", "words from the map's start to the first tile's upper edge, negative in padding"),
    ("in_col_end", "AW", "words of a row: where clipping ends"),
    ("in_full_words", "AW", "words of a row of a full tile, unclipped"),
    ("in_last_words", "AW", "and of the last"),
    ("in_tile_rows", "CW", "input rows from tile to tile"),
    ("in_tile_cols", "CW", "input columns from tile to tile"),
    ("in_full_rows", "CW", "input rows of a full tile, unclipped"),
    ("in_full_cols", "CW", "input columns of a full tile, unclipped"),
    ("in_last_rows", "CW", "input rows of the last tile"),
    ("in_last_cols", "CW", "input columns of the last tile"),
    ("out_col_step", "AW", "words to the next column of the output map"),
    ("out_row_step", "AW", "words to the next row of the output map"),
    ("out_tile_col_step", "AW", "words to the next tile along columns"),
    ("out_tile_row_step", "AW", "words to the next tile along rows"),
    ("out_col_end", "AW", "words of a row"),
    ("res_col_step", "AW", "the same of the map that is added"),
    ("res_row_step", "AW", "words to its next row"),
    ("res_tile_col_step", "AW", "words to its next tile along columns"),
    ("res_tile_row_step", "AW", "words to its next tile along rows"),
    ("res_col_end", "AW", "words of its row"),
    ("whole_in", "1", "1: a run is a whole row of the tile; 0: a pixel"),
    ("whole_out", "1", "the same of the output map"),
    ("whole_res", "1", "the same of the map that is added"),
    ("d_slots", "IA", "words of an ifmap bank that one phase of a row takes"),
    ("d_line", "IA", "words of an ifmap bank that a row takes"),
    ("d_row", "IA", "words of an ifmap bank to the next tap row"),
    ("d_group", "IA", "words of an ifmap bank to the next line of channels"),
    ("d_out_row", "IA", "words of an ifmap bank to the next output row"),
    ("x_pixel", "CW", "input columns from pixel group to pixel group"),
    ("in_place", "IA", "where the first column of the first tile lies in its row"),
    ("in_place_lane", "LW", "its pixel lane"),
    ("in_place_phase", "DW", "its phase"),
    ("in_place_row", "IA", "where the first row of the first tile lies"),
    *(
        (f"tap_col_{tap}", "32", "rotation in bits 0-3, step to the next tap column in bits 8-31")
        for tap in range(TAPS)
    ),
    ("weight_beats_full_full", "16", "beats of the weight port of a tile, full in output and in input channels"),
    ("weight_beats_full_last", "16", "full in output channels, last of input channels"),
    ("weight_beats_last_full", "16", "last of output channels, full in input channels"),
    ("weight_beats_last_last", "16", "last of both"),
    ("parameter_beats", "16", "beats of the weight port of all parameters"),
    ("load_table", "1", "0: the activation table in place stays"),
    ("residual", "2", "whether a map is added, before or after the activation table"),
    ("residual_multiplier", "24", "its scale, of 2^16"),
    ("edges", "19", "border classes of an average pool: top, bottom, left, right, 4 bits each; shift of the row class"),
    ("map_in", "1", "1: the input map lies in the map memory, where its places and steps count lines"),
    ("map_in_ring", "MA", "lines of its ring of rows, where the address returns"),
    ("map_in_end", "MA", "line behind the ring"),
    ("in_tile_lines", "MA", "lines of the map memory from tile to tile of input channels"),
    ("in_tile_banks", "BW", "and banks"),
    ("map_out", "1", "1: the output map goes to the map memory, where its places and steps count lines"),
    ("map_out_ring", "MA", "lines of its ring of rows"),
    ("map_out_end", "MA", "line behind the ring"),
    ("out_tile_lines", "MA", "lines of the map memory from tile to tile of output channels"),
    ("out_tile_banks", "BW", "and banks"),
    ("out_tile_groups", "CW", "lines of parameters from tile to tile of output channels"),
)
"""(name, width in bits or the name of a width, meaning) of each field, in order."""

SIGNED = {"pad_value", "in_col_begin", "in_row_begin", *(f"tap_col_{tap}" for tap in range(TAPS))}
"""Fields whose values may be negative."""

LEAST = {"size": DESCRIPTOR_BYTES, "version": VERSION} | dict.fromkeys(
    (
        *("in_height", "in_width", "in_channels", "out_height", "out_width", "out_channels"),
        *("kernel_height", "kernel_width", "stride_height", "stride_width", "dilation_height", "dilation_width"),
        *("tile_out_channels", "tile_in_channels", "tile_height", "tile_width"),
        *("tiles_out", "tiles_in", "tiles_rows", "tiles_cols"),
        *("last_out_words", "last_in_words", "last_rows", "last_cols", "full_out_words", "full_in_words"),
        *("row_groups_full", "row_groups_last", "col_groups_full", "col_groups_last"),
        *("pixel_groups_full", "pixel_groups_last", "out_run_words", "parameter_beats"),
    ),
    1,
)
"""Least values of fields whose least value is not that of their width."""

GREATEST = {
    "size": DESCRIPTOR_BYTES,
    "version": VERSION,
    "operation": max(operation.code for operation in Operation),
    "loop_order": 2,
    "residual": 2,
    "early": 2,
}
"""Greatest values of fields that are below the greatest of their width in every engine."""

DESCRIPTOR = np.dtype(
    [(name, "<i4") for name, _, _ in FIELDS] + [("reserved", "<i4", (DESCRIPTOR_FIELDS - len(FIELDS),))]
)
"""One descriptor as a numpy record."""

PARAMETERS = np.dtype([("bias", "<i4"), ("multiplier", "<u2"), ("code", "u1"), ("reserved", "u1")])
"""Post-processing of a channel or a border class; the shift is ``code + 12``."""


@dataclass(frozen=True)
class LayerTrips:
    """Iterations and memory words that the engine counts in one layer, however long that takes."""

    compute_trips: int
    ifmap_words: int
    weight_words: int
    ofmap_words: int


TRIPS = np.dtype([(field.name, "<u4") for field in fields(LayerTrips)])
"""The same as a numpy record, which the engine writes."""

CYCLES = np.dtype(
    [(name, "<u4") for name in ("total_cycles", "compute_cycles", "load_wait_cycles", "store_wait_cycles")]
)
"""How long it takes: the whole layer with its setup, the computation, and by how much slots last longer than that
because of what is loaded, and because of what is stored. 0 where nothing counts cycles, as in csim."""

COUNTERS = np.dtype([*TRIPS.descr, *CYCLES.descr])
"""What the engine writes back after each layer: both."""
