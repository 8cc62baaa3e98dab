"""Running programs on a loaded engine: identity, memory, start, wait, results and times."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bitstreams.board.control import CONTROLS, UndrainedError, UnfinishedRunError
from bitstreams.board.hardware import Hardware
from bitstreams.board.linking import Layout
from bitstreams.board.processor import ARCHITECTURES, check_own_name, set_clock_mhz
from bitstreams.board.session import Buffer, ConnectionLostError, Session
from bitstreams.board.timing import Timing
from bitstreams.building.design import check_blocks, read_design
from hw_templates.conv_engine import isa, registers
from hw_templates.conv_engine.program import Program
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import BoardError, InvalidValueError, VerificationError

REPEATS = 16
"""Images that one start runs while power is measured, so that what the host adds is spread over all of them."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Times, counters and result of one image that the engine ran repeatedly.

    Attributes:
        ms: for each repetition, from start to end; of a twin, simulated cycles over the clock.
        cycles: that a twin simulated; None on a board.
        clock_mhz: of the logic, as read back.
        counters: :data:`hw_templates.conv_engine.isa.COUNTERS`, one record a layer.
        first_pixel: of the last layer's map, int8 as bytes.
    """

    ms: FloatArray
    cycles: int | None
    clock_mhz: float
    counters: npt.NDArray[np.void]
    first_pixel: bytes


@dataclass(frozen=True)
class _Loaded:
    """A program in the board's memory."""

    layout: Layout
    arena: Buffer
    results: Buffer
    most_cycles: int

    def free(self) -> None:
        """Give the memory back."""
        self.arena.free()
        self.results.free()


class Engine:
    """One engine on one board: a bitstream, and one program at a time.

    Several programs may follow each other without loading the bitstream again.
    """

    def __init__(self, session: Session, hardware: Hardware, bit: Path, timeout_s: float = 10.0) -> None:
        """Load the bitstream, make sure of it, and set the clock.

        Args:
            session: the board.
            hardware: what is expected.
            bit: the .bit file, next to its .hwh.
            timeout_s: longest time of one start; a twin at RTL counts it in the cycles that it simulates.

        Raises:
            StorageError: the files are damaged, of different designs, or of another part.
            BoardError: another board, another engine, or no answer. Nothing was written to the engine.
        """
        board, clock_mhz = hardware.board, hardware.accelerator.clock_mhz
        self.session = session
        self.hardware = hardware
        self.timeout_s = timeout_s
        self._bit = bit
        self._addresses = registers.ADDRESS_MAPS[board.family]
        self._control = CONTROLS[hardware.implementation](session, self._addresses.engine)
        self._loaded: _Loaded | None = None
        _, handoff = read_design(bit, board)
        # The processor may give a clock below the one asked for, and timing was met at that.
        self._routed_mhz = min(clock_mhz, handoff.clock_mhz or clock_mhz)
        # A write to an address where nothing answers hangs the processor.
        check_blocks(bit.with_suffix(".hwh"), handoff, board, hardware.implementation)
        check_own_name(board, session.own_name, session.where)
        expected = ARCHITECTURES[board.family]
        if session.architecture != expected:
            raise BoardError(
                f"board: {session.where} is {session.architecture}, {board.name} is {expected}; "
                "name the board that is there"
            )
        self._configure()

    def _configure(self) -> None:
        loaded, self._loaded = self._loaded, None
        self.session.load(self._bit)
        # An engine that did not finish writes to its memory until now.
        if loaded is not None:
            loaded.free()
        self._check_identity()
        self.clock_mhz = set_clock_mhz(self.session, self.hardware.board.family, self._routed_mhz)

    def _identity(self, name: str, word: int = 0) -> int:
        return self.session.read(self._addresses.identity + registers.offset_of(name) + 4 * word)

    def _check_identity(self) -> None:
        where, expected = self.session.where, self.hardware
        magic = self._identity("magic")
        if magic != registers.MAGIC:
            raise BoardError(f"{where}: the logic answers 0x{magic:08X} and is none of this project's; load it again")
        found, mine = self._identity("register_map"), expected.implementation
        other = {map_.version: name for name, map_ in registers.REGISTER_MAPS.items()}.get(found)
        version = self._identity("isa_version")
        if other is None or version != isa.VERSION:
            raise BoardError(
                f"{where}: the engine has register map {found} and runs programs of format {version}, which this "
                f"version does not drive (expected {registers.REGISTER_MAPS[mine].version} and {isa.VERSION}); "
                "build it again"
            )
        if other != mine:
            raise BoardError(
                f"{where}: the engine's implementation is {other}, expected {mine}; load or build that one"
            )
        digest = "".join(f"{self._identity('digest', word):08x}" for word in range(8))
        if digest != expected.hardware_sha256:
            raise BoardError(
                f"{where}: the engine is {digest[:12]}, expected {expected.hardware_sha256[:12]}; load that one"
            )
        clock_mhz, expected_mhz = self._identity("clock_mhz"), expected.accelerator.clock_mhz
        if clock_mhz != expected_mhz:
            raise BoardError(f"{where}: the engine was routed for {clock_mhz} MHz, expected {expected_mhz}")
        self.twin: Timing | None = None
        if self._identity("twin_magic") == registers.TWIN_MAGIC:
            code = self._identity("timing")
            self.twin = next((timing for timing in Timing if timing.code == code), Timing.MODEL)

    def load_program(self, program: Program) -> None:
        """Put a program into the board's memory; the bitstream stays.

        Raises:
            InvalidValueError: the program reads or writes outside of its own memory, or takes too long; nothing was
                allocated.
            BoardError: too little memory, or no answer.
        """
        checked = self.hardware.check(program)
        limit = self._limit_cycles()
        if checked.least_cycles > limit:
            expected = f"at most {limit}, the cycles of {self.timeout_s:g} s at {self.clock_mhz:g} MHz (--timeout)"
            raise InvalidValueError("program.iterations", checked.least_cycles, expected)
        self._control.check_idle()
        self.close()
        layout = Layout(program, REPEATS)
        arena, results = map(self.session.allocate, (layout.arena_bytes, layout.result_bytes))
        addresses = (arena.address, results.address)
        base = min(addresses)
        arena.write(0, layout.arena(*addresses))
        # What an earlier program left must not pass for a result.
        results.write(0, bytes(layout.result_bytes))
        reached = [
            (offset + index * isa.DESCRIPTOR_BYTES + layout.field_offset(access.field), access.words)
            for offset, layers in zip(layout.table_offsets, (checked.accesses * REPEATS, checked.accesses), strict=True)
            for index, layer in enumerate(layers)
            for access in layer
        ]
        self.session.check_places(arena.address, layout.content_offset, base, program.axi_bytes, reached)
        self._control.prepare(base, layout.arena_words(*addresses), layout.protected_words(*addresses))
        self._loaded = _Loaded(layout, arena, results, checked.most_cycles)

    def _limit_cycles(self) -> int:
        """Return the cycles that a start may take in its longest time."""
        return int(self.timeout_s * self.clock_mhz * 1e6)

    def _program(self) -> _Loaded:
        if self._loaded is None:
            raise InvalidValueError("program", None, "loaded before anything runs")
        return self._loaded

    def run(self, images: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the logits of each image, int8 as bytes; the next image is written while one runs.

        Args:
            images: each as the engine reads it, ``image_words`` words.

        Raises:
            InvalidValueError: no program, or an image of another size.
            UnfinishedRunError: the engine did not finish; load a program again before the next run.
            BoardError: no answer.
        """
        running: int | None = None
        try:
            for slot, image in zip(cycle((0, 1)), chain(images, [None]), strict=False):
                if image is not None:
                    self._write_image(slot, image)
                if running is not None:
                    self._wait()
                last, running = running, None
                if image is not None:
                    self._start(slot, 1)
                    running = slot
                if last is not None:
                    yield self.result(last)
        except (UnfinishedRunError, UndrainedError):
            running = None  # nothing runs any more
            raise
        finally:
            if running is not None:
                self._control.stop()

    def counters(self) -> npt.NDArray[np.void]:
        """Return what the engine counted in the last run, one record of :data:`isa.COUNTERS` a layer."""
        loaded = self._program()
        size = loaded.layout.program.layer_count * isa.COUNTERS.itemsize
        return np.frombuffer(loaded.results.read(loaded.layout.counter_offset, size), dtype=isa.COUNTERS)

    def trips(self) -> npt.NDArray[np.void]:
        """Return the part of the counters that the program alone determines, records of :data:`isa.TRIPS`."""
        return self.counters().getfield(isa.TRIPS)

    def time_inferences(self, image: bytes, repetitions: int) -> FloatArray:
        """Take the time in ms from writing an image to having read its logits, again and again.

        Raises:
            As :meth:`run`.
        """
        inference_ms = []
        for _ in range(repetitions):
            begun = time.perf_counter()
            self._write_image(0, image)
            self._run_once(1)
            self.result()
            inference_ms.append((time.perf_counter() - begun) * 1e3)
        return np.array(inference_ms)

    def measure(self, image: bytes, repetitions: int) -> Measured:
        """Take the cycles that the engine counts for an image, from start to end, over its clock.

        A twin runs the image once: its cycles are the same every time.

        Raises:
            VerificationError: the engine counts fewer cycles than it must have taken.
            As :meth:`run`.
        """
        self._write_image(0, image)
        cycles = np.array([self._run_cycles() for _ in range(1 if self.twin else repetitions)])
        counters = self.counters().copy()
        iterations = int(counters["compute_trips"].sum(dtype=np.int64))
        if cycles.min() <= iterations:
            raise VerificationError(
                f"{self.session.where}: a run must take more cycles than its {iterations} iterations, "
                f"the engine counts {cycles.min()}"
            )
        return Measured(
            ms=np.broadcast_to(cycles / self.clock_mhz / 1e3, repetitions),
            cycles=int(cycles[0]) if self.twin else None,
            clock_mhz=self.clock_mhz,
            counters=counters,
            first_pixel=self.result(),
        )

    def _run_cycles(self) -> int:
        """Run the image in the first slot, and return the cycles from start to end."""
        self._run_once(1)
        return self._control.cycles()

    def _run_once(self, repeats: int) -> float:
        """Start the engine and return the seconds it took; when interrupted, it rests before anything else happens."""
        self._start(0, repeats)
        try:
            return self._wait()
        except KeyboardInterrupt:
            self._control.stop()
            raise

    def result(self, slot: int = 0) -> bytes:
        """Return the first pixel of the last map that the image in a slot made, int8 as bytes.

        Raises:
            As :meth:`run`.
        """
        loaded = self._program()
        return loaded.results.read(loaded.layout.logits_offsets[slot], loaded.layout.program.logits_count)

    def repeat(self, image: bytes) -> int:
        """Run one image as often as one start does; returns how often.

        Raises:
            As :meth:`run`.
        """
        self._write_image(0, image)
        self._run_once(REPEATS)
        return REPEATS

    def close(self) -> None:
        """Give the memory back; the bitstream stays loaded."""
        if self._loaded is not None:
            self._loaded.free()
            self._loaded = None

    def _write_image(self, slot: int, image: bytes) -> None:
        loaded = self._program()
        layout = loaded.layout
        if len(image) != layout.image_bytes:
            raise InvalidValueError("image", f"{len(image)} bytes", f"{layout.image_bytes} bytes")
        loaded.arena.write(layout.image_offsets[slot], image)

    def _start(self, slot: int, repeats: int) -> None:
        loaded = self._program()
        layout = loaded.layout
        table_word = layout.table_word(slot, loaded.arena.address, loaded.results.address)
        most_cycles = min(loaded.most_cycles * repeats, self._limit_cycles())
        self._control.start(table_word, layout.program.layer_count, repeats, most_cycles)

    def _wait(self) -> float:
        """Wait for the end of a run, and return the seconds that it took."""
        reason = f"{self.session.where}: the engine did not finish within {self.timeout_s:g} s"
        # The engine itself ends a run that takes too many simulated cycles.
        timeout_s = math.inf if self.twin is Timing.RTL else self.timeout_s
        try:
            seconds = self._control.wait(timeout_s)
            if seconds is not None:
                return seconds
        except (ConnectionLostError, UnfinishedRunError, UndrainedError):
            raise
        except BoardError as error:
            reason = str(error)
        try:
            self._configure()
        except BoardError as error:
            raise UnfinishedRunError(f"{reason}, and configuring it again failed: {error}", False) from error
        raise UnfinishedRunError(f"{reason}; it has been configured again, check the program", True)
