"""How long the stages of a slot last, each by itself; a stage of nothing lasts 0 cycles.

Constants are read from the Verilog that is named beside them. Requests of a port run ahead of its words by MAX_READS
bursts; words follow each other without a pause where the requests are early enough.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cost_models.closed_form.compiled import kernel
from cost_models.engine.places import ProgramStep
from cost_models.engine.transfers import Transfers, setup_transfers
from hw_templates.conv_engine.rtl_config import MAX_BURST, EngineShape
from hw_templates.foundation.arrays import FloatArray, IntArray

MAX_READS = 15
"""Bursts under way at a port that reads (``read_engine.v``: slot_ok)."""
BURST_CYCLES = 2
"""Cycles from request to request (``burst_generator.v``)."""
REQUEST_CYCLES = 4
"""From the end of a burst to the request that it makes room for (``read_engine.v``: flying, slot_ok, send)."""
LOAD_CYCLES = 12
"""A load besides latency and words: request, command to address (9), queue and write (``read_engine.v``)."""
MAP_LOAD_CYCLES, MAP_STORE_CYCLES = 10, 20
"""A load from the map memory, and a store to it, besides its lines."""
COMPUTE_CYCLES = 12
"""Of a tile besides its iterations and the latency of the PE array (``compute.v``)."""


@dataclass(frozen=True, kw_only=True)
class MemoryTiming:
    """The memory behind the ports.

    Attributes:
        latency_cycles: from an address to its first word, and from a burst's last word to the response.
        bytes_a_cycle: what all ports share; 0: no limit.
    """

    latency_cycles: int
    bytes_a_cycle: float = 0

    def word_cycles(self, word_bytes: int) -> float:
        """Return the cycles that a word takes at least."""
        return max(1.0, word_bytes / self.bytes_a_cycle) if self.bytes_a_cycle else 1.0


@kernel
def pattern_cycles(patterns: IntArray, copies: int, latency_cycles: float, word_cycles: float) -> FloatArray:
    """Return the cycles from the first word of each pattern of commands to its last one, inclusive, [patterns].

    A request goes out BURST_CYCLES after the one before it, and not before the MAX_READS-th burst before it has ended;
    words come in order. Patterns and copies as in :class:`cost_models.engine.transfers.Transfers`.
    """
    cycles = np.zeros(len(patterns))
    ends = np.zeros(MAX_READS)
    for index in range(len(patterns)):
        begin, rows, row_step, runs, run_step, words, row_skipped, run_skipped = patterns[index]
        number, sent, end = 0, 0.0, 0.0
        for row in range(row_skipped, row_skipped + rows):
            for run in range(run_skipped, run_skipped + runs):
                at = (begin + row // copies * row_step + run // copies * run_step) % MAX_BURST
                left = words
                while left > 0:
                    burst = min(left, MAX_BURST - at)
                    if number > 0:
                        sent += BURST_CYCLES
                    slot = number % MAX_READS
                    if number >= MAX_READS:
                        sent = max(sent, ends[slot] + REQUEST_CYCLES)
                    end = max(end, sent + latency_cycles) + burst * word_cycles
                    ends[slot] = end
                    number += 1
                    left -= burst
                    at = 0
        # The first word comes at once.
        cycles[index] = end - latency_cycles - (word_cycles - 1.0)
    return cycles


def stream_cycles(transfers: Transfers, memory: MemoryTiming, word_cycles: float) -> FloatArray:
    """Return the cycles from a command's first word to its last one, inclusive, [commands]; 0 without words.

    Args:
        transfers: the commands.
        memory: how they are answered.
        word_cycles: of a word, where the memory or who takes the words limits them.
    """
    cycles = pattern_cycles(transfers.patterns, transfers.copies, float(memory.latency_cycles), float(word_cycles))
    of_commands: FloatArray = np.where(transfers.words > 0, cycles[transfers.pattern], 0.0)
    return of_commands


def setup_cycles(step: ProgramStep, memory: MemoryTiming) -> float:
    """Return the cycles in which descriptor, parameters and perhaps a table come, one after the other."""
    port_bytes = step.tiled.shape.accelerator.weight_port_bytes
    least = memory.word_cycles(port_bytes)
    transfers = setup_transfers(step)
    # Units of 8 bytes: a descriptor's every other cycle, of parameters one a cycle (``unit_stream.v``).
    takes = ({4: 1.5, 8: 2.0, 16: 4.0}[port_bytes], {4: 1.0, 8: 1.0, 16: 2.0}[port_bytes], 1.0)
    loads = [
        float(stream_cycles(transfers.take(np.array([index])), memory, max(least, word))[0])
        for index, word in enumerate(takes[: len(transfers.words)])
    ]
    # From request to request; halves of a wide beat, and the pause behind two narrow ones, come on top.
    return sum(loads) + len(loads) * (memory.latency_cycles + {4: 40.5, 8: 42.0, 16: 45.0}[port_bytes] / 3)


def map_load_cycles(lines: IntArray) -> FloatArray:
    """Return the cycles of a load of ``lines`` [slots] lines from the map memory, [slots]; 0 for none."""
    cycles: FloatArray = np.where(lines > 0, lines + float(MAP_LOAD_CYCLES), 0.0)
    return cycles


def map_store_cycles(lines: IntArray) -> FloatArray:
    """Return the cycles of a store of ``lines`` [slots] lines to the map memory, [slots]; 0 for none."""
    cycles: FloatArray = np.where(lines > 0, lines + float(MAP_STORE_CYCLES), 0.0)
    return cycles


def array_latency(shape: EngineShape) -> int:
    """Return the latency of the PE array, as in ``pe_array.v``."""
    return 4 + shape.chain + math.ceil(math.log2(shape.accelerator.pe_cols // shape.chain))


def compute_cycles(shape: EngineShape, iterations: IntArray) -> IntArray:
    """Return the cycles that tiles of ``iterations`` [tiles] take to compute, [tiles]."""
    return iterations + COMPUTE_CYCLES + array_latency(shape)


class PortLoads(NamedTuple):
    """Bytes that come over ports, and cycles from the first word to the last or until all are done, [slots]."""

    bytes: FloatArray
    cycles: FloatArray


def read_cycles(ports: Sequence[tuple[PortLoads, int]], memory: MemoryTiming) -> PortLoads:
    """Return what the loads of a phase take together, from their start until all are done.

    Args:
        ports: what comes over each port, from the first word to the last, and bytes of its word, in the order in which
            a memory of limited bandwidth serves them (ifmap, weights, residual: the order of the simulation's memory).
        memory: how it answers.
    """
    last, used = np.zeros(1), np.zeros(1)
    for (wanted, cycles), word_bytes in ports:
        if memory.bytes_a_cycle:
            cycles = np.where(
                wanted > 0, np.maximum(cycles, shared_cycles(wanted, word_bytes, used, last, memory)), 0.0
            )
        used, last = used + wanted, np.maximum(last, cycles)
    return PortLoads(bytes=used, cycles=np.where(used > 0, last + memory.latency_cycles + LOAD_CYCLES, 0.0))


def shared_cycles(
    wanted: FloatArray, word_bytes: int, before: FloatArray, until: FloatArray, memory: MemoryTiming
) -> FloatArray:
    """Return when ``wanted`` bytes of a port have passed a memory that serves other ports first.

    The others take their ``before`` bytes evenly until cycle ``until``; what they leave is this port's, at most a word
    a cycle.
    """
    most = min(float(word_bytes), memory.bytes_a_cycle)
    left = np.clip(memory.bytes_a_cycle - before / np.maximum(until, 1.0), 0.0, most)
    beside = np.minimum(wanted, left * until)
    return np.where(beside < wanted, until + (wanted - beside) / most, wanted / np.maximum(left, 1e-9))
