// What comes over the weight port: weights of a tile, and the descriptor, the parameters and the activation table of the next step.
//
// Parameters and table have two halves that are arrays of their own, as all other memories have, and the frame chooses which is
// filled: one process writes an array, another reads the other one. A stream to the store, which would own one memory, needs
// less storage, but where the buffer of sums is single the store runs in a phase of its own, and would find the stream full
// or empty. The table's half turns only where a step loads a table, so one that stays is not lost; the parameters' half turns
// with each step.
#pragma once

#include "descriptor.h"
#include "ports.h"

// The step behind the present one, as far as it was fetched.
struct NextStep {
    Descriptor descriptor;
    bool sound;   // each field is in its range; else nothing but the descriptor was fetched
    bool beyond;  // some of it lies outside the arena
};

// Fetches the next step where the command describes one. `next` holds it until another one is fetched.
void describe_next(ReadPort<WeightWord> port, const Arena arena, const WeightCommand command, CycleClock& clock,
                   ParameterMemory& parameters, TableMemory& table, NextStep& next, Spent& spent);

// Fetches a tile's weights where the command runs; counts beats.
void fetch_weights(ReadPort<WeightWord> port, const Arena arena, const WeightCommand command, CycleClock& clock,
                   WeightBuffer& filled, Spent& spent);

// Both, the next step first, as they share the port.
void load_weights(ReadPort<WeightWord> port, const Arena arena, const WeightCommand command, CycleClock& clock,
                  WeightBuffer& filled, ParameterMemory& parameters, TableMemory& table, NextStep& next, Spent& spent);
