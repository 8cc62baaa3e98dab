"""Running programs on a loaded engine: identity, memory, start, wait, results and times."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.lib.recfunctions import repack_fields

from bitstreams.board.clock import set_clock_mhz
from bitstreams.board.linking import Layout
from bitstreams.board.names import ARCHITECTURES, check_own_name
from bitstreams.board.program_check import check_program
from bitstreams.board.session import Buffer, ConnectionLostError, Session
from bitstreams.building.design import check_blocks, read_design
from hw_templates.board import Board
from hw_templates.conv_engine import isa, registers
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.program import Program
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import BoardError, InvalidValueError, VerificationError

REPEATS = 16
"""Images that one start runs when the engine is timed, so that what the host adds is spread over all of them."""


class UnfinishedRunError(BoardError):
    """The engine did not finish in time, or cannot finish any more.

    Attributes:
        is_usable: whether the board has been configured again and takes another program.
    """

    def __init__(self, message: str, is_usable: bool) -> None:
        super().__init__(message)
        self.is_usable = is_usable


@dataclass(frozen=True)
class Hardware:
    """The engine that is expected: its board, the digest of its sources, and its parameters."""

    board: Board
    hardware_sha256: str
    accelerator: Accelerator


@dataclass(frozen=True)
class EngineTime:
    """Time of the engine alone, for one image.

    Attributes:
        ms: for each repetition; of a twin, simulated cycles over the clock.
        starts: how much of a start is in it, 0 to 1: images that follow each other in one start share it, and the
            engine's own counters begin after it.
        cycles: that a twin simulated; None on a board.
    """

    ms: FloatArray
    starts: float
    cycles: int | None


@dataclass(frozen=True)
class ImageTimes:
    """Times of one image, over repetitions.

    Attributes:
        engine: the engine alone.
        inference_ms: from writing the image to having read the logits, for each repetition.
        clock_mhz: of the logic, as read back.
    """

    engine: EngineTime
    inference_ms: FloatArray
    clock_mhz: float


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
            timeout_s: longest time of one start.

        Raises:
            StorageError: the files are damaged, of different designs, or of another part.
            BoardError: another board, another engine, or no answer. Nothing was written to the engine.
        """
        self.session = session
        self.hardware = hardware
        self.timeout_s = timeout_s
        self._bit = bit
        self._addresses = registers.ADDRESS_MAPS[hardware.board.family]
        self._layout: Layout | None = None
        self._arena: Buffer | None = None
        self._results: Buffer | None = None
        self._check_files()
        self._check_machine()
        self.clock_mhz = 0.0
        self.twin = False
        self._configure()

    def _check_files(self) -> None:
        board, clock_mhz = self.hardware.board, self.hardware.accelerator.clock_mhz
        _, handoff = read_design(self._bit, board)
        # The processor may give a clock below the one asked for, and timing was met at that.
        self._routed_mhz = min(clock_mhz, handoff.clock_mhz or clock_mhz)
        # A write to an address where nothing answers hangs the processor.
        check_blocks(self._bit.with_suffix(".hwh"), handoff, board)

    def _check_machine(self) -> None:
        board, session = self.hardware.board, self.session
        check_own_name(board, session.own_name, session.where)
        expected = ARCHITECTURES[board.family]
        if session.architecture != expected:
            raise BoardError(
                f"board: {session.where} is {session.architecture}, {board.name} is {expected}; "
                "name the board that is there"
            )

    def _configure(self) -> None:
        self._layout = None
        self.session.load(self._bit)
        self._check_identity()
        self.clock_mhz = set_clock_mhz(self.session, self.hardware.board.family, self._routed_mhz)

    def _identity(self, name: str) -> int:
        return self.session.read(self._addresses.identity + registers.offset_of(name))

    def _check_identity(self) -> None:
        where, expected = self.session.where, self.hardware
        magic = self._identity("magic")
        if magic != registers.MAGIC:
            raise BoardError(f"{where}: the logic answers 0x{magic:08X} and is none of this project's; load it again")
        map_version = self._identity("register_map")
        if map_version != registers.REGISTER_MAP:
            raise BoardError(
                f"{where}: the engine has register map {map_version}, this version drives {registers.REGISTER_MAP}; "
                "build it again"
            )
        first = self._addresses.identity + registers.DIGEST_OFFSET
        digest = "".join(f"{self.session.read(first + 4 * index):08x}" for index in range(8))
        if digest != expected.hardware_sha256:
            raise BoardError(
                f"{where}: the engine is {digest[:12]}, expected {expected.hardware_sha256[:12]}; load that one"
            )
        clock_mhz, expected_mhz = self._identity("clock_mhz"), expected.accelerator.clock_mhz
        if clock_mhz != expected_mhz:
            raise BoardError(f"{where}: the engine was routed for {clock_mhz} MHz, expected {expected_mhz}")
        self.twin = self._identity("twin_magic") == registers.TWIN_MAGIC

    def load_program(self, program: Program) -> None:
        """Put a program into the board's memory; the bitstream stays.

        Raises:
            InvalidValueError: the engine is older than the program's format, or the program reads or writes outside of
                its own memory; nothing was allocated.
            BoardError: too little memory, or no answer.
        """
        version = self._identity("isa_version")
        if program.isa_version > version:
            raise InvalidValueError("program.isa_version", program.isa_version, f"at most {version}, the engine's")
        accesses = check_program(program, self.hardware.accelerator)
        self._layout = None
        layout = Layout(program, REPEATS)
        self._arena = self._fitting(self._arena, layout.arena_bytes)
        self._results = self._fitting(self._results, layout.result_bytes)
        addresses = (self._arena.address, self._results.address)
        self._arena.write(0, layout.arena(*addresses))
        # What an earlier program left must not pass for a result.
        self._results.write(0, bytes(layout.result_bytes))
        names = [name for name, _ in isa.FIELDS]
        reached = [[(names.index(access.field), access.words) for access in layer] for layer in accesses]
        for slot, repeats in ((0, REPEATS), (1, 1)):
            table = self._arena.address + layout.table_offset(slot)
            self.session.check_places(table, min(addresses), program.axi_bytes, reached * repeats)
        for port in registers.PORTS:
            self._set(port, min(addresses))
        self._layout = layout

    def _fitting(self, buffer: Buffer | None, size: int) -> Buffer:
        """Return a buffer that is large enough: the given one, or a new one in its place."""
        if buffer is not None and buffer.size >= size:
            return buffer
        if buffer is not None:
            buffer.free()
        return self.session.allocate(size)

    def _set(self, name: str, value: int) -> None:
        register = next(register for register in registers.ENGINE if register.name == name)
        for word in range(register.bits // 32):
            address = self._addresses.engine + register.offset + 4 * word
            self.session.write(address, value >> (32 * word) & 0xFFFFFFFF)

    @property
    def _loaded(self) -> tuple[Layout, Buffer, Buffer]:
        if self._layout is None or self._arena is None or self._results is None:
            raise InvalidValueError("program", None, "loaded before anything runs")
        return self._layout, self._arena, self._results

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
                    yield self._logits(last)
        except UnfinishedRunError:
            running = None  # the engine was configured again, and nothing runs
            raise
        finally:
            if running is not None:
                with contextlib.suppress(BoardError):
                    self._wait()

    def counters(self) -> npt.NDArray[np.void]:
        """Return what the engine counted in the last run, one record of :data:`isa.COUNTERS` a layer."""
        layout, _, results = self._loaded
        size = layout.program.layer_count * isa.COUNTERS.itemsize
        return np.frombuffer(results.read(layout.counter_offset, size), dtype=isa.COUNTERS)

    def trips(self) -> npt.NDArray[np.void]:
        """Return the part of the counters that the program alone determines, records of :data:`isa.TRIPS`."""
        trips: npt.NDArray[np.void] = repack_fields(self.counters()[list(isa.TRIPS.names or ())])
        return trips

    def time(self, image: bytes, repetitions: int) -> ImageTimes:
        """Take the time of one image again and again.

        Raises:
            As :meth:`run`.
        """
        engine = self.time_engine(image, repetitions)
        inference_ms = []
        for _ in range(repetitions):
            begun = time.perf_counter()
            self._write_image(0, image)
            self._run_once(1)
            self.result()
            inference_ms.append((time.perf_counter() - begun) * 1e3)
        return ImageTimes(engine, np.array(inference_ms), self.clock_mhz)

    def time_engine(self, image: bytes, repetitions: int) -> EngineTime:
        """Take the engine's time for an image, by the clock that is nearest to it.

        On the board that is the processor's, over many images a start. Behind a network it is the engine's own counter.
        A twin runs the image once: its cycles are the same every time.

        Raises:
            VerificationError: the engine's counter shows fewer cycles than it must have taken.
            As :meth:`run`.
        """
        self._write_image(0, image)
        if self.twin:
            self._run_once(1)
            offset = registers.offset_of("cycles")
            low, high = (self.session.read(self._addresses.identity + offset + 4 * word) for word in (0, 1))
            cycles = low | high << 32
            return EngineTime(np.full(repetitions, cycles / self.clock_mhz / 1e3), 1.0, cycles)
        if self.session.times_on_board:
            seconds = np.array([self._run_once(REPEATS) for _ in range(repetitions)])
            return EngineTime(seconds * 1e3 / REPEATS, 1 / REPEATS, None)
        counted = np.array([self._counted_cycles() for _ in range(repetitions)])
        return EngineTime(counted / self.clock_mhz / 1e3, 0.0, None)

    def _counted_cycles(self) -> float:
        """Return the cycles that the engine counts for the image in its first slot."""
        self._run_once(1)
        counted = self.counters()
        slow = counted["total_cycles"] <= counted["compute_trips"]
        if slow.any():
            layer = int(np.flatnonzero(slow)[0])
            raise VerificationError(
                f"{self.session.where}: layer {layer} must take more cycles than its "
                f"{counted['compute_trips'][layer]} iterations, its counter shows "
                f"{counted['total_cycles'][layer]}; measure over SSH, by the board's clock"
            )
        return float(counted["total_cycles"].sum(dtype=np.int64))

    def _run_once(self, repeats: int) -> float:
        """Start the engine and return the seconds it took; interruptions wait, as a running engine writes to memory."""
        self._start(0, repeats)
        try:
            return self._wait()
        except KeyboardInterrupt:
            with contextlib.suppress(BoardError):
                self._wait()
            raise

    def result(self) -> bytes:
        """Return the first pixel of the last map that :meth:`time_engine` made, int8 as bytes.

        Raises:
            As :meth:`run`.
        """
        return self._logits(0)

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
        for buffer in (self._arena, self._results):
            if buffer is not None:
                buffer.free()
        self._layout = self._arena = self._results = None

    def _write_image(self, slot: int, image: bytes) -> None:
        layout, arena, _ = self._loaded
        if len(image) != layout.image_bytes:
            raise InvalidValueError("image", f"{len(image)} bytes", f"{layout.image_bytes} bytes")
        arena.write(layout.image_offset(slot), image)

    def _start(self, slot: int, repeats: int) -> None:
        layout, arena, results = self._loaded
        self._set("program_word", layout.table_word(slot, arena.address, results.address))
        self._set("layer_count", layout.program.layer_count * repeats)
        self.session.start(self._addresses.engine)

    def _wait(self) -> float:
        """Wait for the end of a run, and return the seconds that it took."""
        try:
            seconds = self.session.wait(self._addresses.engine, self.timeout_s)
        except ConnectionLostError:
            raise
        except BoardError as error:
            seconds, reason = None, str(error)
        else:
            reason = f"{self.session.where}: the engine did not finish within {self.timeout_s:g} s"
        if seconds is None:
            try:
                self._configure()
            except BoardError as error:
                raise UnfinishedRunError(f"{reason}, and configuring it again failed: {error}", False) from error
            raise UnfinishedRunError(f"{reason}; it has been configured again, check the program", True)
        return seconds

    def _logits(self, slot: int) -> bytes:
        layout, _, results = self._loaded
        return results.read(layout.logits_offset(slot), layout.program.logits_count)
