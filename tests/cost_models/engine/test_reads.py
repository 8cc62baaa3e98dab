"""Loads beside what was measured of the Verilog's reader, and beside a memory that is played cycle by cycle."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_models.engine.reads import (
    BURST_CYCLES,
    LOAD_CYCLES,
    MAX_READS,
    NO_STREAM,
    PORTS,
    REQUEST_CYCLES,
    Stream,
    pattern_bursts,
    phase_loads,
)
from cost_models.engine.stages import MemoryTiming
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import MAX_BURST, EngineShape

SHAPE = EngineShape(
    accelerator=Accelerator(
        pe_rows=8, pe_cols=8, pe_pixels=4, pack=2, ifmap_kib=16, weight_kib=16, ofmap_kib=16, axi_bits=64,
        clock_mhz=100,
    )
)  # fmt: skip
WORD = 8
BURSTS = st.lists(st.integers(1, MAX_BURST), max_size=60)


def stream(words: Sequence[int], pause: int = 0, at: int = 0) -> Stream:
    """Return bursts of some words, with a pause before one of them."""
    pauses = np.zeros(len(words))
    pauses[at : at + 1] = pause
    return Stream(words=np.array(words, float), pace=np.ones(len(words)), pause=pauses)


def load_cycles(streams: Sequence[Stream], memory: MemoryTiming) -> float:
    """Return the cycles of a phase with streams of ifmap, weights and residual."""
    phase = np.zeros((1, len(PORTS)), np.int64)
    ports = [PORTS.index(port) for port in ("ifmap", "weights", "residual")]
    phase[0, ports[: len(streams)]] = 1 + np.arange(len(streams))
    return float(phase_loads(SHAPE, phase, [NO_STREAM, *streams], memory).cycles[0])


def played(streams: Sequence[Stream], memory: MemoryTiming) -> int:
    """Return the cycle in which the last word comes, of a memory that gives its words one by one."""
    waiting = [deque(enumerate(each.words.astype(int).tolist())) for each in streams]
    left = [each[0][1] if each else 0 for each in waiting]
    sent = [0] * len(streams)
    due = [memory.latency_cycles] * len(streams)
    ended: list[list[int]] = [[] for _ in streams]
    cycle = budget = 0
    while any(waiting):
        budget = min(budget, 0) + int(memory.bytes_a_cycle)
        for port, bursts in enumerate(waiting):
            if not bursts or due[port] > cycle or budget <= 0:
                continue
            budget -= WORD
            left[port] -= 1
            if left[port]:
                continue
            bursts.popleft()
            ended[port].append(cycle + 1)
            if not bursts:
                continue
            number, left[port] = bursts[0]
            if streams[port].pause[number]:
                sent[port] = cycle + 1 + int(streams[port].pause[number])
                ended[port] = []
            else:
                sent[port] += BURST_CYCLES
                if len(ended[port]) >= MAX_READS:
                    sent[port] = max(sent[port], ended[port][-MAX_READS] + REQUEST_CYCLES)
            due[port] = sent[port] + memory.latency_cycles
        cycle += 1
    return cycle


@pytest.mark.parametrize(
    ("rows", "runs", "words", "measured"),
    [(1, 1, 1024, 1093), (14, 14, 8, 1637), (14, 14, 2, 929)],
)
def test_reads_take_what_was_measured_of_the_read_engine(rows: int, runs: int, words: int, measured: int) -> None:
    # Measured: bursts of 16, a latency of 60, from the command (9 cycles to its address) to the last word.
    pattern = np.array([[0, rows, runs * 16, runs, 16, words, 0, 0]])
    counts, lengths = pattern_bursts(pattern, 1)
    assert counts.tolist() == [rows * runs * -(-words // MAX_BURST)]
    assert lengths.sum() == rows * runs * words
    cycles = load_cycles([stream(lengths.astype(int).tolist())], MemoryTiming(latency_cycles=60))
    assert cycles == measured - 9 + LOAD_CYCLES


def test_a_pattern_has_the_bursts_of_its_runs_cut_at_multiples_of_a_burst() -> None:
    # Two rows of two runs of 20 words, from word 10 on; rows 100 and runs 30 words apart; each row is read twice.
    counts, lengths = pattern_bursts(np.array([[10, 3, 100, 2, 60, 20, 1, 0]]), 2)
    expected: list[int] = []
    for row in (0, 1, 1):  # the first copy of the first row is not read
        for run in (0, 0):
            begin = 10 + row * 100 + run * 60
            ends = [*range(begin // MAX_BURST * MAX_BURST + MAX_BURST, begin + 20, MAX_BURST), begin + 20]
            expected += np.diff([begin, *ends]).tolist()
    assert counts.tolist() == [len(expected)]
    assert lengths.tolist() == expected


@settings(max_examples=300, deadline=None)
@given(
    st.lists(BURSTS, min_size=1, max_size=3),
    st.sampled_from([5, 20, 60, 150]),
    st.sampled_from([2, 6, WORD, 12, 2 * WORD, 64]),
    st.integers(0, 40),
)
def test_loads_that_share_a_memory_take_what_they_take_word_by_word(
    words: list[list[int]], latency: int, bytes_a_cycle: int, pause: int
) -> None:
    memory = MemoryTiming(latency_cycles=latency, bytes_a_cycle=bytes_a_cycle)
    streams = [stream(each, pause, len(each) // 2) for each in words]
    expected = played(streams, memory)
    if not expected:
        assert load_cycles(streams, memory) == 0.0
        return
    # Rates are those in the mean: a word that comes in parts of a cycle is rounded.
    rounded = 2.0 + max(WORD / bytes_a_cycle, 1.0) * len(streams)
    assert load_cycles(streams, memory) == pytest.approx(expected + LOAD_CYCLES, rel=0.03, abs=rounded)


@settings(max_examples=100, deadline=None)
@given(st.lists(BURSTS, min_size=2, max_size=3), st.sampled_from([20, 150]), st.sampled_from([4, WORD]))
def test_ports_that_share_take_as_long_as_each_alone_and_no_longer_than_one_after_the_other(
    words: list[list[int]], latency: int, bytes_a_cycle: int
) -> None:
    memory = MemoryTiming(latency_cycles=latency, bytes_a_cycle=bytes_a_cycle)
    streams = [stream(each) for each in words]
    alone = [load_cycles([each], memory) for each in streams]
    assert max(alone) - 1e-6 <= load_cycles(streams, memory) <= sum(alone) + 1e-6
    total = sum(each.words.sum() for each in streams)
    if total:
        word_cycles = WORD / bytes_a_cycle
        assert load_cycles(streams, memory) >= latency + (total - 1) * word_cycles


def test_what_is_requested_behind_a_pause_waits_for_all_before_it() -> None:
    memory = MemoryTiming(latency_cycles=100)
    cycles = [load_cycles([stream([16, 16], pause, 1)], memory) for pause in (0, 10, 14)]
    assert cycles == [each + LOAD_CYCLES for each in (100 + 32, 100 + 16 + 10 + 116, 100 + 16 + 14 + 116)]


def test_a_phase_says_how_many_bytes_come_over_ports_of_different_width() -> None:
    shape = replace(SHAPE, accelerator=replace(SHAPE.accelerator, pe_rows=16, weight_port_words=2))
    phases = np.array([[1, 0, 0, 0], [1, 2, 0, 0], [0, 0, 0, 0]])
    loads = phase_loads(shape, phases, [NO_STREAM, stream([4, 3]), stream([2])], MemoryTiming(latency_cycles=20))
    assert loads.bytes.tolist() == [7 * 8, 7 * 8 + 2 * 16, 0]
    assert loads.cycles[2] == 0
