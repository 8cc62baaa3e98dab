"""Runs in the simulator, under cocotb: programs on the engine between the AXI models of cocotbext-axi.

The models check each request: its size, and that it does not cross 4 KiB; those here check that it lies in the arena.
``FOLDER`` is where programs are written, ``SEED`` what all chance follows.
"""

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Protocol

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.handle import LogicObject
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiReadBus,
    AxiSlaveRead,
    AxiSlaveWrite,
    AxiWriteBus,
)
from support.verilog.engines import SMALLEST
from support.verilog.protocol_program import protocol_program

from hw_templates.conv_engine import registers

BASE = 0x3_4000_0000
REGISTERS = {name: register.offset for name, register in registers.RTL_ENGINE.items()}
READ_RESPONSE, WRITE_RESPONSE, RESET_CYCLES = 3, 4, 20


class Dut(Protocol):
    """The pins of ``engine_axi`` that are not a bus."""

    aclk: LogicObject
    aresetn: LogicObject
    interrupt: LogicObject


class Memory:
    """The arena; an answer is an error where chance says so, and beyond the arena, which no test expects."""

    def __init__(self, content: bytes, chance: random.Random) -> None:
        self.content, self.chance = bytearray(content), chance
        self.read_errors = self.write_errors = 0.0
        self.reads = self.writes = self.errors = 0

    def place(self, address: int, length: int) -> slice:
        """Return where a word lies in the arena."""
        assert BASE <= address <= address + length <= BASE + len(self.content), f"request at {address:#x}"
        return slice(address - BASE, address - BASE + length)

    def fail(self, share: float) -> None:
        """Answer with an error, which the models make of an exception, in this share of the calls."""
        if self.chance.random() < share:
            self.errors += 1
            raise OSError("an error of the memory")


class ReadPort(AxiSlaveRead):
    """A port that reads the memory."""

    def __init__(self, memory: Memory, dut: Dut, name: str) -> None:
        self.memory = memory
        super().__init__(AxiReadBus.from_prefix(dut, f"m_axi_{name}"), dut.aclk, dut.aresetn, reset_active_level=False)

    async def _read(self, address: int, length: int) -> bytes:
        at = self.memory.place(address, length)
        self.memory.reads += 1
        self.memory.fail(self.memory.read_errors)
        return bytes(self.memory.content[at])


class WritePort(AxiSlaveWrite):
    """The port that writes the memory; the model calls it for each run of bytes whose strobes are set."""

    def __init__(self, memory: Memory, dut: Dut, name: str) -> None:
        self.memory = memory
        super().__init__(AxiWriteBus.from_prefix(dut, f"m_axi_{name}"), dut.aclk, dut.aresetn, reset_active_level=False)

    async def _write(self, address: int, data: bytes) -> None:
        self.memory.content[self.memory.place(address, len(data))] = data
        self.memory.writes += 1
        self.memory.fail(self.memory.write_errors)


class Bench:
    """The engine, its memory and its registers."""

    def __init__(self, dut: Dut) -> None:
        self.dut, self.chance = dut, random.Random(int(os.environ["SEED"]))
        self.program = protocol_program(Path(mkdtemp(dir=os.environ["FOLDER"])) / "program")
        layout = dict(line.split() for line in (self.program.folder / "program.txt").read_text().splitlines())
        self.words, self.layers = int(layout["arena_words"]), int(layout["layer_count"])
        content = (self.program.folder / "arena.bin").read_bytes()
        size = self.words * SMALLEST.accelerator.axi_bytes
        self.memory = Memory(content + bytes(size - len(content)), self.chance)
        cocotb.start_soon(Clock(dut.aclk, 10, unit="ns").start())
        self.control = AxiLiteMaster(
            AxiLiteBus.from_prefix(dut, "s_axi_control"), dut.aclk, dut.aresetn, reset_active_level=False
        )
        self.reads = [ReadPort(self.memory, dut, name) for name in ("ifmap", "weights", "residual")]
        self.write = WritePort(self.memory, dut, "ofmap")

    async def reset(self) -> None:
        """Reset engine and models, as the reset of an interconnect does."""
        self.dut.aresetn.value = 0
        await ClockCycles(self.dut.aclk, RESET_CYCLES)
        self.dut.aresetn.value = 1
        await ClockCycles(self.dut.aclk, 2)

    def press_back(self, share: float) -> None:
        """Let every channel pause in this share of the cycles, each by chance of its own."""

        def pauses() -> Iterator[bool]:
            chance = random.Random(self.chance.random())
            return (chance.random() < share for _ in itertools.count())

        channels = [channel for port in self.reads for channel in (port.ar_channel, port.r_channel)]
        channels += [self.write.aw_channel, self.write.w_channel, self.write.b_channel]
        control = [self.control.write_if.aw_channel, self.control.write_if.w_channel, self.control.write_if.b_channel]
        control += [self.control.read_if.ar_channel, self.control.read_if.r_channel]
        for channel in channels + control:
            channel.set_pause_generator(pauses())

    async def start(self) -> None:
        """Write the registers, and start."""
        for name in registers.PORTS:
            await self.control.write_qword(REGISTERS[name], BASE)
        await self.control.write_qword(REGISTERS["cycle_limit"], 0)
        values = {"program_word": 0, "layer_count": self.layers, "arena_words": self.words, "protected_words": 0}
        values |= {"watchdog": 100_000, "global_interrupt": 1, "interrupt_enable": 1, "interrupt_status": 1}
        for name, value in (values | {"control": 1}).items():
            await self.control.write_dword(REGISTERS[name], value)

    async def run(self) -> tuple[int, int]:
        """Run the program; returns the error code and the layer of its end."""
        await self.start()
        if not self.dut.interrupt.value:
            await with_timeout(RisingEdge(self.dut.interrupt), 10, "ms")
        status = await self.control.read_dword(REGISTERS["status"])
        return status & 15, status >> 16

    def is_right(self) -> bool:
        """Say whether all results are in their places."""
        memory = np.frombuffer(bytes(self.memory.content), np.int8)
        results = memory[self.program.counters_word * SMALLEST.accelerator.axi_bytes :]
        return all(self.program.is_right(results, expected) for expected in self.program.maps)

    def wipe(self) -> None:
        """Take the results away."""
        begin = self.program.counters_word * SMALLEST.accelerator.axi_bytes
        self.memory.content[begin:] = bytes(len(self.memory.content) - begin)


@cocotb.test()
async def results_are_right_without_and_under_back_pressure(dut: Dut) -> None:
    """Run with channels that never pause, and with ones that pause in up to 90 % of the cycles."""
    bench = Bench(dut)
    await bench.reset()
    for share in (0.0, 0.3, 0.9):
        bench.press_back(share)
        bench.wipe()
        assert not bench.is_right()
        assert await bench.run() == (0, bench.layers - 1)
        assert bench.is_right()
    assert bench.memory.reads > 100
    assert bench.memory.writes > 100


@cocotb.test()
async def error_responses_end_the_run_and_the_next_one_is_right(dut: Dut) -> None:
    """Answer some words with SLVERR, of reads and then of writes."""
    bench = Bench(dut)
    await bench.reset()
    bench.press_back(0.2)
    for code, errors in ((READ_RESPONSE, "read_errors"), (WRITE_RESPONSE, "write_errors")):
        for share in (0.01, 0.1, 1.0):
            setattr(bench.memory, errors, share)
            bench.memory.errors = 0
            ended, _ = await bench.run()
            # Of few words none may have failed.
            assert ended == (code if bench.memory.errors else 0)
            assert bench.memory.errors or share < 0.1
            setattr(bench.memory, errors, 0.0)
            bench.wipe()
            assert await bench.run() == (0, bench.layers - 1)
            assert bench.is_right()


@cocotb.test()
async def a_reset_in_flight_leaves_an_engine_that_runs(dut: Dut) -> None:
    """Reset the engine together with its interconnect, at any time of a run."""
    bench = Bench(dut)
    await bench.reset()
    bench.press_back(0.2)
    for cycles in (150, 400, 900, 1700, 2600):
        await bench.start()
        await ClockCycles(dut.aclk, cycles)
        await bench.reset()
        bench.wipe()
        assert await bench.run() == (0, bench.layers - 1)
        assert bench.is_right()


@cocotb.test()
async def an_abort_in_flight_answers_every_request(dut: Dut) -> None:
    """Abort a run at any time; the models fail where a burst of a write lacks a word."""
    bench = Bench(dut)
    await bench.reset()
    bench.press_back(0.5)
    for cycles in (150, 700, 1500, 2500):
        await bench.start()
        await ClockCycles(dut.aclk, cycles)
        await bench.control.write_dword(REGISTERS["abort"], 1)
        if not dut.interrupt.value:
            await with_timeout(RisingEdge(dut.interrupt), 1, "ms")
        assert await bench.control.read_dword(REGISTERS["status"]) & 15 == 8
        bench.wipe()
        assert await bench.run() == (0, bench.layers - 1)
        assert bench.is_right()


@cocotb.test()
async def beyond_the_registers_nothing_is_read_or_written(dut: Dut) -> None:
    """Access the window beyond the registers, where a block that decodes too little shows them again."""
    bench = Bench(dut)
    await bench.reset()
    assert await bench.run() == (0, bench.layers - 1)
    for beyond in (0x80, 0x1000, 0xFF80):
        for name, offset in REGISTERS.items():
            assert await bench.control.read_dword(beyond + offset) == 0, name
            await bench.control.write_dword(beyond + offset, 1)
    assert await bench.control.read_dword(REGISTERS["arena_words"]) == bench.words
    # Neither was done cleared by reading, nor has anything been started.
    assert await bench.control.read_dword(REGISTERS["control"]) & (registers.DONE | registers.IDLE) == 6
