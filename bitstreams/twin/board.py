"""A board twin without its network: processor registers, files, memory, and the programmable logic."""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bitstreams.board.clock import CLOCK_TREES, read_clock_mhz
from bitstreams.board.names import ARCHITECTURES, KERNEL_FILE, NAME_FILE, own_name
from bitstreams.twin.bitstream import hardware_of
from bitstreams.twin.fabric import RUN_LIMIT_S, Fabric, build_fabric
from bitstreams.twin.memory import TwinMemory
from bitstreams.twin.timing import TwinTiming
from cost_models.coefficients import Coefficients
from hw_templates.board import FAMILIES, load_board
from hw_templates.conv_engine import isa, registers
from hw_templates.conv_engine.accelerator import axi_bytes
from hw_templates.foundation.errors import BoardError
from hw_templates.foundation.json_records import read_json
from hw_templates.project.record import PROJECT_FILE, ProjectRecord

FIRMWARE = "/lib/firmware/"
FPGA_MANAGER = "/sys/class/fpga_manager/fpga0/"
_FILES_BYTES = 256 << 20
_PROCESSOR_REGISTERS = {"zynq-7000": 0xE0000000, "zynq-ultrascale+": 0xF9000000}


@dataclass(frozen=True)
class _Processor:
    """The processor's own registers, which hold what is written to them."""

    values: dict[int, int]

    def read(self, address: int) -> int:
        return self.values.get(address, 0)

    def write(self, address: int, value: int) -> None:
        self.values[address] = value


class TwinBoard:
    """Everything that a PYNQ server on the board would reach."""

    def __init__(self, project: Path, coefficients: Coefficients, run_limit_s: int = RUN_LIMIT_S) -> None:
        """Compile the project's engine and switch the board on, with nothing configured.

        Args:
            project: folder of the emitted project.
            coefficients: what its time is simulated with.
            run_limit_s: how many seconds one start may take.

        Raises:
            StorageError: the project is not whole, or there is no folder for temporary files.
            ToolError: g++ is missing or refused the code.
        """
        record = read_json(project / PROJECT_FILE, ProjectRecord, "emit the project again")
        self.board, self.accelerator = load_board(record.board), record.accelerator
        self.hardware_sha256 = record.hardware_sha256
        self._fabric = Fabric(build_fabric(project), run_limit_s)
        self._timing = TwinTiming(self.accelerator, self.board, coefficients)
        self._lock = threading.RLock()
        self._configured = False
        self._running = self._done = False
        self._engine: dict[int, int] = {}
        self._started: bytes = b""
        self.memory = TwinMemory(self._fabric)
        self._processor = _Processor(self._boot_registers())
        self._files = self._first_files()

    def close(self) -> None:
        """Switch it off."""
        with self._lock:
            self._fabric.close()

    def _boot_registers(self) -> dict[int, int]:
        """Return the registers as boot loaders leave them: the board file's PLLs, at most 100 MHz for the logic."""
        tree = CLOCK_TREES[self.board.family]
        numbers = dict(zip(FAMILIES[self.board.family].plls, tree.choices, strict=True))
        values = dict.fromkeys(tree.sources.values(), 20 << tree.feedback_shift)
        for name, mhz in self.board.ps.plls_mhz.items():
            values[tree.sources[numbers[name]]] = round(mhz / tree.reference_mhz) << tree.feedback_shift
        dividers = 15 << tree.divider_shifts[0] | 1 << tree.divider_shifts[1]
        values[tree.control] = dividers | tree.enable
        return values

    def _first_files(self) -> dict[str, bytes]:
        architecture = ARCHITECTURES[self.board.family]
        files = {
            KERNEL_FILE: f"Linux version 6.1 (codesign twin) {architecture}\n".encode(),
            NAME_FILE: own_name(self.board).encode() + b"\0",
            f"{FPGA_MANAGER}state": b"unknown\n",
            f"{FPGA_MANAGER}flags": b"0\n",
        }
        if self.board.power_sensor:
            # It knows of no more here than an idle board.
            files["/sys/class/hwmon/hwmon0/name"] = f"{self.board.power_sensor}\n".encode()
            files["/sys/class/hwmon/hwmon0/power1_input"] = f"{round(self.board.idle_power_w * 1e6)}\n".encode()
        return files

    def exists(self, path: str) -> bool:
        """Return whether the twin has such a file; it shows none of its host's."""
        with self._lock:
            return path in self._files

    def read_file(self, path: str) -> bytes:
        """Return a file's content.

        Raises:
            FileNotFoundError: there is none.
        """
        with self._lock:
            if path not in self._files:
                raise FileNotFoundError(path)
            return self._files[path]

    def write_file(self, path: str, content: bytes) -> None:
        """Write a bitstream, or hand one to the FPGA manager by its name.

        Raises:
            PermissionError: nothing else may be written.
            BoardError: the board has no room for it.
        """
        with self._lock:
            others = sum(len(name) + len(kept) for name, kept in self._files.items() if name != path)
            if others + len(path) + len(content) > _FILES_BYTES:
                raise BoardError(f"{path[:100]}: no room left, all files may have {_FILES_BYTES:,} bytes")
            if path == f"{FPGA_MANAGER}firmware":
                self._configure(content.decode(errors="replace").strip())
            elif path.startswith(FIRMWARE) or path == f"{FPGA_MANAGER}flags":
                self._files[path] = content
            else:
                raise PermissionError(f"{path[:100]}: a twin takes bitstreams and nothing else")

    def _configure(self, name: str) -> None:
        content = self._files.get(FIRMWARE + name)
        self._configured = content is not None and hardware_of(content) == self.hardware_sha256
        self._running = self._done = False
        self._engine = {}
        if self._configured:
            self._fabric.reset()
        self._files[f"{FPGA_MANAGER}state"] = b"operating\n" if self._configured else b"write error\n"

    def read_register(self, address: int) -> int:
        """Return the value of a register of 32 bits.

        Raises:
            BoardError: nothing answers there; a board would hang.
        """
        with self._lock:
            block, offset = self._located(address)
            if block == "processor":
                return self._processor.read(address)
            if block == "identity":
                return self._identity(offset)
            return self._engine.get(offset, 0) if offset else self._control()

    def write_register(self, address: int, value: int) -> None:
        """Set a register of 32 bits.

        Raises:
            BoardError: nothing answers there; a board would hang.
        """
        with self._lock:
            block, offset = self._located(address)
            if block == "processor":
                self._processor.write(address, value)
            elif block == "engine" and offset:
                self._engine[offset] = value
            elif block == "engine" and value & registers.START and not self._running:
                self._start()

    def _located(self, address: int) -> tuple[str, int]:
        """Return the block that has an address (processor, engine or identity), and the offset in it."""
        if address >= _PROCESSOR_REGISTERS[self.board.family]:
            return "processor", address
        for block, first in vars(registers.ADDRESS_MAPS[self.board.family]).items():
            if self._configured and 0 <= address - first < registers.WINDOW_BYTES:
                return block, address - first
        raise BoardError(f"0x{address:08X}: nothing answers there; a board would hang")

    def _identity(self, offset: int) -> int:
        answers = registers.identity_constants(self.accelerator.clock_mhz)
        answers |= registers.digest_words(self.hardware_sha256)
        answers[registers.offset_of("twin_magic")] = registers.TWIN_MAGIC
        cycles = registers.offset_of("cycles")
        if offset in (cycles, cycles + 4):
            counted = self._timing.cycles(self._started, self.clock_mhz) if self._started else 0
            return counted >> (8 * (offset - cycles)) & 0xFFFFFFFF
        return answers.get(offset, 0)

    def _control(self) -> int:
        if self._running and self._fabric.finished:
            self._running, self._done = False, True
            self._count()
        if self._running and self._fabric.failure is not None:
            raise BoardError(self._fabric.failure)
        if self._running:
            return registers.START
        answer = registers.IDLE | (registers.DONE | registers.READY if self._done else 0)
        self._done = False
        return answer

    def _count(self) -> None:
        """Write the cycles after the iterations that the compiled engine wrote, as it has no clock."""
        records = np.frombuffer(self._started, dtype=isa.DESCRIPTOR)
        word, base = axi_bytes(self.accelerator), self._value("ofmap_port") + isa.TRIPS.itemsize
        counted = self._timing.counters(self._started, self.clock_mhz)
        for record, cycles in zip(records, counted, strict=False):
            self._fabric.write(base + int(record["counter_word"]) * word, cycles.tobytes())

    def _value(self, name: str) -> int:
        offset = registers.offset_of(name)
        return self._engine.get(offset, 0) | self._engine.get(offset + 4, 0) << 32

    def _start(self) -> None:
        program_word, layer_count = self._value("program_word"), self._value("layer_count")
        size = layer_count * isa.DESCRIPTOR.itemsize
        start = self._value("weight_port") + program_word * axi_bytes(self.accelerator)
        self._started = self._fabric.read(start, size) if self._fabric.reaches(start, size) else b""
        self._running, self._done = True, False
        self._fabric.start([self._value(port) for port in registers.PORTS], program_word, layer_count)

    @property
    def clock_mhz(self) -> float:
        """Return the clock of the logic in MHz."""
        return read_clock_mhz(self._processor, self.board.family)
