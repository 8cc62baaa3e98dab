// The walk over the tiles of a step in its loop order, which makes the commands of each (rtl/tile_walk.v).
//
// A step has tiles of output channels, input channels, rows and columns. The loop order says which loop is inside: input
// channels and then output channels (pixels_outer), input channels and then pixels (channels_outer), or output channels and
// then input channels (inputs_outer, which keeps the sums of all output channels of its pixels). A tile that a buffer holds
// already is not fetched again. All places are running registers: nothing is multiplied.
#pragma once

#include "descriptor.h"

// What each stage does with a tile, in the slots in which it comes to that stage.
struct Tile {
    bool there;                   // else the step has no tile left, and no command runs
    bool finishes;                // its results are stored
    bool reads_half, fills_half;  // of the map memory, where maps are on chip
    IfmapCommand ifmap;
    WeightCommand weights;
    ResidualCommand residual;
    ComputeCommand compute;
    StoreCommand store;  // but for the sums of a row group, which the array counts
};

struct PlanCommand {
    bool begins;   // with the first tile of the step that the descriptor describes
    bool goes_on;  // to the tile behind
};

// Makes the tile of the next slot while the present one runs: the walk is kept in here, and the tile goes to the caller alone.
void plan(const PlanCommand command, const Descriptor d, Tile& tile);
