// The stages of a slot: processes of a DATAFLOW region, each with a command, a clock and what it did.
//
// A stage whose command does not run does nothing and has done nothing (`Spent` is 0 all over). Every memory that is filled is
// another one than any that is read. Ports count from the arena's start. Behind its deadline a stage ends once it has taken what
// it asked for, or has filled the burst that it writes; what it leaves in memories is of no use.
//
// What the arrays of memories need where they are declared: ifmap and weight buffer, sums, map memory, parameters and table are
// partitioned completely along their first dimension, so that each bank is a memory of its own; a trip reads one word of a bank
// and writes one at most (ram_s2p). All but the table take two cycles to read, with a register behind the memory (latency 2).
#pragma once

#include "ports.h"

// Of the input map, from memory or from the map memory, a line of which it reads a cycle; counts words, or lines.
void load_ifmap(ReadPort<Word> port, const Arena arena, const IfmapCommand command, CycleClock& clock,
                const MapMemory& map, IfmapBuffer& filled, Spent& spent);

// Counts nothing.
void load_residual(ReadPort<Word> port, const Arena arena, const ResidualCommand command, CycleClock& clock,
                   ResidualBuffer& filled, Spent& spent);

// Keeps where the last tile's sums end for one that `follows`. `group_sums`: what StoreCommand wants of the tile; counts iterations.
void compute(const ComputeCommand command, CycleClock& clock, const IfmapBuffer& ifmap, const WeightBuffer& weights,
             SumBuffer& sums, Spent& spent, U<OA>& group_sums);

// Post-processes results and puts them away, in memory or in the map memory; counts words, or lines. Keeps how many bursts have
// no response. A command that `drains` or `counts` stores no results and counts nothing.
void store(WritePort<Word> port, const Arena arena, const StoreCommand command, CycleClock& clock,
           const SumBuffer& sums, const ResidualBuffer& residual, const ParameterMemory& parameters,
           const TableMemory& table, MapMemory& filled, Spent& spent);
