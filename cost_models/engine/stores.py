"""The store's way to memory: it runs on behind the slots, so what one slot leaves undone the next ones feel.

Times are cycles from the program's first slot on. Constants are read from ``store.v``, ``write_engine.v`` and
``burst_generator.v``.
"""

from typing import NamedTuple

import numpy as np

from cost_models.closed_form.compiled import compiled, kernel
from cost_models.engine.transfers import Transfers
from hw_templates.conv_engine.engine_shape import WRITE_FIFO
from hw_templates.foundation.arrays import BoolArray, FloatArray

MAX_WRITES = 15
"""Bursts without a response at most (``write_engine.v``: slot_ok)."""
WRITE_CYCLES = 3
"""Cycles from burst to burst at least: each waits for its words anew."""
TO_DATA = 4
"""Cycles from a burst that leaves the generator to its first word on W."""
TO_RESPONSE = 6
"""Cycles from a burst to the one whose way is free by its response, besides its words and the latency."""
FIRST_READ = 10
"""Cycles from a load's start to its address, behind which its words come after the latency."""
DRAIN_CYCLES, WAIT_CYCLES = 4, 1
"""From the last response to the program's end, and to the slot that waits for it (``sequencer.v``)."""


class SlotTimes(NamedTuple):
    """The cycles of each slot besides its store, arrays [slots].

    Attributes:
        before: cycles before the phase in which the store runs.
        beside: cycles of the other stages in that phase, at least 2.
        behind: cycles after it.
        reads, read_bytes: cycles in which loads use the memory at the same time as the store, and the bytes they read.
        first_word: cycles from the store's start to its first word.
        last_word: cycles from the last word's issue until the store is done.
        table: cycles from the slot's begin until a table is in the lanes, which stores wait for; 0 where none comes.
        waits_table: whether the slot stores results.
        waits_responses: whether the slot waits for the responses of all that was stored.
    """

    before: FloatArray
    beside: FloatArray
    behind: FloatArray
    reads: FloatArray
    read_bytes: FloatArray
    first_word: FloatArray
    last_word: FloatArray
    table: FloatArray
    waits_table: BoolArray
    waits_responses: BoolArray


class Stores(NamedTuple):
    """The words and bursts that each slot stores, arrays [slots].

    The fields are those of :class:`cost_models.engine.transfers.Transfers`.
    """

    words: FloatArray
    bursts: FloatArray
    last_words: FloatArray
    last_bursts: FloatArray


class PortFree(NamedTuple):
    """The cycles at which the port takes another command, and at which the last word of those before is out."""

    generator: float
    words: float


class WritePort(NamedTuple):
    """The port and the memory behind it.

    Attributes:
        latency: cycles from a burst's last word to its response.
        word_bytes: of a word.
        bytes_a_cycle: of the memory; 0: no limit.
    """

    latency: float
    word_bytes: float
    bytes_a_cycle: float


class Loads(NamedTuple):
    """When a slot's loads use the memory, and the bytes that they take a cycle."""

    begin: float
    end: float
    rate: float


@compiled
def _pass_words(port: WritePort, begin: float, words: float, pace: float, loads: Loads) -> float:
    """Return when ``words`` have passed, ``pace`` cycles or more apart, where loads come first."""
    if port.bytes_a_cycle == 0.0:
        return begin + words * pace
    free = min(1.0 / pace, port.bytes_a_cycle / port.word_bytes)
    left = min(1.0 / pace, max(port.bytes_a_cycle - loads.rate, 1e-9) / port.word_bytes)
    before = max(0.0, loads.begin - begin) * free
    if words <= before:
        return begin + words / free
    beside = max(0.0, loads.end - max(begin, loads.begin)) * left
    if words - before <= beside:
        return max(begin, loads.begin) + (words - before) / left
    return max(begin, loads.end) + (words - before - beside) / free


@kernel
def store_scan(slots: SlotTimes, stores: Stores, port: WritePort) -> tuple[FloatArray, PortFree]:
    """Return the end of each slot, [slots], and when the port is free behind the last one."""
    ends = np.zeros(len(slots.before))
    now = generator_free = words_out = allowance = table_end = 0.0
    for slot in range(len(slots.before)):
        if slots.table[slot] > 0.0:
            table_end = now + slots.table[slot]
        begin = now + slots.before[slot]
        words, bursts = stores.words[slot], stores.bursts[slot]
        if slots.waits_table[slot]:
            begin = max(begin, table_end)
        if slots.waits_responses[slot] and words_out > 0.0:
            begin = max(begin, words_out + port.latency + WAIT_CYCLES)
        way = slots.first_word[slot]
        wait = min(port.latency + FIRST_READ, slots.reads[slot])
        rate = slots.read_bytes[slot] / max(slots.reads[slot] - wait, 1.0)
        loads = Loads(begin + wait, begin + slots.reads[slot], rate)
        pending = max(0.0, words_out - begin)
        if port.bytes_a_cycle > 0.0 and pending > 0.0:
            # What is still to be written feels this slot's loads.
            pending *= min(1.0, port.bytes_a_cycle / port.word_bytes)
            words_out = _pass_words(port, begin, pending, 1.0, loads)
        phase = slots.beside[slot]
        if words > 0.0:
            taken = max(begin + 1.0, generator_free)
            mean = words / bursts
            first_words = min(mean, words)
            sent = max(taken + 6.0, begin + way + first_words + 1.0)
            # Bursts without a response: a store by itself goes in rounds of MAX_WRITES, many short ones at the rate.
            round_trip = port.latency + mean + TO_RESPONSE
            rounds = (bursts - 1.0) // MAX_WRITES
            rest = bursts - 1.0 - rounds * MAX_WRITES
            last_sent = max(sent + WRITE_CYCLES * (bursts - 1.0), begin + way + words + 1.0)
            last_sent = max(last_sent, sent + rounds * round_trip + max(WRITE_CYCLES * rest, rest * mean))
            allowance = max(allowance, sent) + bursts * round_trip / MAX_WRITES
            last_sent = max(last_sent, allowance - round_trip)
            before = words_out
            words_begin = max(before, sent + TO_DATA)
            pace = max(1.0, (last_sent - sent) / words)
            words_out = max(
                _pass_words(port, words_begin, words, pace, loads),
                last_sent + TO_DATA + stores.last_words[slot],
            )
            if bursts > MAX_WRITES and port.bytes_a_cycle > 0.0:
                # Bursts whose words wait for the memory hold back those behind them.
                under_way = MAX_WRITES * mean
                out = _pass_words(port, words_begin, words - under_way, pace, loads)
                last_sent = max(last_sent, out + port.latency)
            # A word enters only if the queue has room for it: that many words before the last one are out.
            issued = begin + 2.0 + words
            if words > WRITE_FIFO:
                out = _pass_words(port, words_begin, words - WRITE_FIFO, pace, loads)
                issued = max(issued, out, last_sent + TO_DATA + stores.last_words[slot] - pace * WRITE_FIFO)
            elif pending > WRITE_FIFO - words:
                issued = max(issued, _pass_words(port, begin, pending - WRITE_FIFO + words, 1.0, loads))
            done = issued + slots.last_word[slot]
            last = stores.last_bursts[slot]
            if last >= bursts:
                generator_free = taken + 3.0
            else:
                generator_free = sent + 1.0 + (last_sent - sent) * (bursts - last - 1.0) / max(bursts - 1.0, 1.0)
            phase = max(phase, max(done - begin, taken - begin + 1.0) + 1.0)
        now = begin + phase + slots.behind[slot]
        ends[slot] = now
    return ends, PortFree(generator_free, words_out)


def stores_of(transfers: Transfers) -> Stores:
    """Return commands to the port that writes as the scan takes them."""
    return Stores(
        words=transfers.words.astype(np.float64),
        bursts=transfers.bursts.astype(np.float64),
        last_words=transfers.last_words.astype(np.float64),
        last_bursts=transfers.last_bursts.astype(np.float64),
    )
