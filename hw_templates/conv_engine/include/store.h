// Post-processing of sums and writing of results.
#pragma once

#include "types.h"

void store(Word* port, CycleClock& clock, MapBuffer& maps, const Descriptor& d, const TileShape& shape,
           const Tile& tile, const OfmapBuffer& ofmap, const ResidualBuffer& residual,
           const ParameterMemory& parameters, const ActivationTables& tables, Spent& spent);
