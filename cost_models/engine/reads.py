"""How long the loads of a phase take: several ports, each burst by burst, from a memory that they share.

Requests of a port run ahead of its words by MAX_READS bursts; words follow each other without a pause where the
requests are early enough, and where the ports before leave the memory time for them. Constants are read from the
Verilog that is named beside them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cost_models.closed_form.compiled import kernel
from cost_models.engine.places import ProgramStep
from cost_models.engine.stages import MemoryTiming
from cost_models.engine.transfers import Transfers, setup_transfers
from hw_templates.conv_engine.engine_shape import MAX_BURST, EngineShape
from hw_templates.foundation.arrays import FloatArray, IntArray

MAX_READS = 15
"""Bursts under way at a port that reads (``read_engine.v``: slot_ok)."""
BURST_CYCLES = 2
"""Cycles from request to request (``burst_generator.v``)."""
REQUEST_CYCLES = 4
"""From the end of a burst to the request that it makes room for (``read_engine.v``: flying, slot_ok, send)."""
LOAD_CYCLES = 12
"""A load besides latency and words: request, command to address (9), queue and write (``read_engine.v``)."""
SETUP_CYCLES = {4: 13.5, 8: 14.0, 16: 15.0}
"""From the end of descriptor, parameters or table to the request behind it, by the bytes of the weight port: halves of
a wide word, and the pause behind two narrow ones, come on top of a load's."""
PORTS = ("ifmap", "weights", "next", "residual")
"""What is loaded, in the order in which the simulation's memory serves it; what is fetched of the next step comes over
the weight port."""


class Stream(NamedTuple):
    """The bursts that a port brings in a phase, arrays [bursts].

    Attributes:
        words: of each burst.
        pace: cycles of each of its words at least, where who takes them is no faster.
        pause: cycles from the end of all bursts before until it is requested; 0: it is requested ahead.
    """

    words: FloatArray
    pace: FloatArray
    pause: FloatArray


class PhaseLoads(NamedTuple):
    """Bytes that the loads of phases bring, and cycles from their start until all are done, [phases]."""

    bytes: FloatArray
    cycles: FloatArray


NO_STREAM = Stream(*(np.zeros(0) for _ in Stream._fields))
"""Of a port that brings nothing; stream 0 of all from which phases choose."""


def streams_of(transfers: Transfers) -> list[Stream]:
    """Return the stream of each pattern of commands, [patterns]; a pattern that no command has is empty."""
    made = np.zeros(len(transfers.patterns), np.bool_)
    made[transfers.pattern[transfers.words > 0]] = True
    patterns = np.where(made[:, None], transfers.patterns, 0)
    counts, words = pattern_bursts(patterns, transfers.copies)
    return [
        Stream(words=each, pace=np.ones(len(each)), pause=np.zeros(len(each)))
        for each in np.split(words, np.cumsum(counts)[:-1])
    ]


def setup_stream(step: ProgramStep) -> Stream:
    """Return the stream of descriptor, parameters and perhaps a table, one after the other."""
    port_bytes = step.tiled.shape.accelerator.weight_port_bytes
    transfers = setup_transfers(step)
    # Units of 8 bytes: a descriptor's every other cycle, of parameters one a cycle (``unit_stream.v``).
    takes = ({4: 1.5, 8: 2.0, 16: 4.0}[port_bytes], {4: 1.0, 8: 1.0, 16: 2.0}[port_bytes], 1.0)
    words = [each.words for each in streams_of(transfers)]
    bursts = [len(each) for each in words]
    pause = np.zeros(sum(bursts))
    pause[np.cumsum(bursts)[:-1]] = SETUP_CYCLES[port_bytes]
    return Stream(words=np.concatenate(words), pace=np.repeat(takes[: len(words)], bursts), pause=pause)


def setup_cycles(step: ProgramStep, memory: MemoryTiming) -> float:
    """Return the cycles in which descriptor, parameters and perhaps a table come, and nothing else is loaded."""
    phase = np.zeros((1, len(PORTS)), np.int64)
    phase[0, PORTS.index("next")] = 1
    return float(phase_loads(step.tiled.shape, phase, [NO_STREAM, setup_stream(step)], memory).cycles[0])


def phase_loads(shape: EngineShape, phases: IntArray, streams: Sequence[Stream], memory: MemoryTiming) -> PhaseLoads:
    """Return what the loads of each phase take together, [phases].

    Args:
        shape: of the engine.
        phases: index of the stream of each port, [phases, ports]; ports as in :data:`PORTS`.
        streams: from which phases choose, the first of them :data:`NO_STREAM`.
        memory: how it answers.
    """
    accelerator = shape.accelerator
    of_weights = np.array([port in ("weights", "next") for port in PORTS])
    word_bytes = np.where(of_weights, float(accelerator.weight_port_bytes), float(accelerator.axi_bytes))
    behind = [SETUP_CYCLES[accelerator.weight_port_bytes] if port == "next" else LOAD_CYCLES for port in PORTS]
    # Most phases are alike.
    different, back = np.unique(phases, axis=0, return_inverse=True)
    first = np.cumsum([0, *(len(each.words) for each in streams)])
    bursts = Stream(*(np.concatenate(parts) for parts in zip(*streams, strict=True)))
    rate = float(memory.bytes_a_cycle or np.inf)
    ends = last_words(different, word_bytes, first, bursts, float(memory.latency_cycles), rate)
    cycles = np.where(ends > 0, ends + behind, 0.0).max(1)
    words = np.array([each.words.sum() for each in streams])
    back = back.reshape(-1)
    return PhaseLoads(bytes=(words[phases] * word_bytes).sum(1), cycles=cycles[back])


@kernel
def pattern_bursts(patterns: IntArray, copies: int) -> tuple[IntArray, FloatArray]:
    """Return the number of bursts of each pattern of commands, [patterns], and the words of each of them, [bursts].

    Patterns and copies as in :class:`cost_models.engine.transfers.Transfers`.
    """
    counts, lengths = np.zeros(len(patterns), np.int64), [0.0]
    for index in range(len(patterns)):
        begin, rows, row_step, runs, run_step, words, row_skipped, run_skipped = patterns[index]
        for row in range(row_skipped, row_skipped + rows):
            for run in range(run_skipped, run_skipped + runs):
                at = (begin + row // copies * row_step + run // copies * run_step) % MAX_BURST
                left = words
                while left > 0:
                    burst = min(left, MAX_BURST - at)
                    lengths.append(float(burst))
                    counts[index] += 1
                    left -= burst
                    at = 0
    return counts, np.array(lengths[1:])


@kernel
def last_words(
    phases: IntArray,
    word_bytes: FloatArray,
    first: IntArray,
    bursts: Stream,
    latency_cycles: float,
    bytes_a_cycle: float,
) -> FloatArray:
    """Return when the last word of each stream of each phase is there, [phases, ports]; 0 where it has none.

    Between two events, a burst's first word or its last one, each port's words come at an even rate: as fast as they
    are taken and as the memory is left by the ports before.

    Args:
        phases: index of the stream of each port, [phases, ports], in the order in which the memory serves them.
        word_bytes: of each port, [ports].
        first: first burst of each stream, and behind them the number of all bursts, [streams + 1].
        bursts: of all streams, one after the other.
        latency_cycles: from a request to its first word; the first request of a phase is at cycle 0.
        bytes_a_cycle: what all ports share; may be infinite.
    """
    ports = phases.shape[1]
    ends = np.zeros(phases.shape)
    at, stop = np.zeros(ports, np.int64), np.zeros(ports, np.int64)
    number = np.zeros(ports, np.int64)
    left, sent, due, rate = np.zeros(ports), np.zeros(ports), np.zeros(ports), np.zeros(ports)
    ended = np.zeros((ports, MAX_READS))
    for phase in range(len(phases)):
        under_way = 0
        for port in range(ports):
            stream = phases[phase, port]
            at[port], stop[port], number[port] = first[stream], first[stream + 1], 0
            if at[port] < stop[port]:
                under_way += 1
                left[port], sent[port], due[port] = bursts.words[at[port]], 0.0, latency_cycles
        now = 0.0
        while under_way > 0:
            free, step = bytes_a_cycle, np.inf
            for port in range(ports):
                rate[port] = 0.0
                if at[port] == stop[port]:
                    continue
                if due[port] > now:
                    step = min(step, due[port] - now)
                elif free > 1e-6:
                    rate[port] = min(1.0 / bursts.pace[at[port]], free / word_bytes[port])
                    free -= rate[port] * word_bytes[port]
                    step = min(step, left[port] / rate[port])
            now += step
            for port in range(ports):
                left[port] -= rate[port] * step
                if rate[port] == 0.0 or left[port] > 1e-6:
                    continue
                ended[port, number[port] % MAX_READS] = now
                at[port] += 1
                number[port] += 1
                if at[port] == stop[port]:
                    # A word that takes longer is there after its first cycle.
                    pace = max(bursts.pace[at[port] - 1], word_bytes[port] / bytes_a_cycle, 1.0)
                    ends[phase, port] = now - (pace - 1.0)
                    under_way -= 1
                    continue
                left[port] = bursts.words[at[port]]
                if bursts.pause[at[port]] > 0.0:
                    sent[port], number[port] = now + bursts.pause[at[port]], 0
                else:
                    sent[port] += BURST_CYCLES
                    if number[port] >= MAX_READS:
                        sent[port] = max(sent[port], ended[port, number[port] % MAX_READS] + REQUEST_CYCLES)
                due[port] = sent[port] + latency_cycles
    return ends
