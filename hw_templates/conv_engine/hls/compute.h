// The array of a tile: window, operands, products, and the sums in their banks (rtl/compute.v).
#pragma once

#include "commands.h"

// Computes where the command runs; `group_sums` says how many addresses a row group of the latest tile takes, for the store.
//
// Each trip reads one word of every bank of `ifmap` and `weights`, and reads and writes at most one of every bank of `sums`: all
// three are partitioned completely along their first dimension, and a bank is a memory with one port to write and one to read
// (ram_s2p) with a registered output (latency 2).
void compute(CycleClock& clock, const ComputeCommand command, const IfmapBuffer& ifmap, const WeightBuffer& weights,
             SumBuffer& sums, Spent& spent, U<OA>& group_sums);
