// Reading from memory: the program, the per-channel parameters, and tiles into the buffers.
#pragma once

#include "types.h"

Descriptor load_descriptor(const WeightWord* port, int word);
void load_parameters(const WeightWord* port, const Descriptor& d, ParameterMemory& parameters,
                     ActivationTables& tables);
void load_ifmap(const Word* port, CycleClock& clock, const MapBuffer& maps, const Descriptor& d, const TileShape& shape,
                const Tile& tile, IfmapBuffer& buffer, Spent& spent);
void load_weights(const WeightWord* port, CycleClock& clock, const Descriptor& d, const TileShape& shape,
                  const Tile& tile, WeightBuffer& buffer, Spent& spent);
void load_residual(const Word* port, CycleClock& clock, const Descriptor& d, const TileShape& shape, const Tile& tile,
                   ResidualBuffer& buffer, Spent& spent);
