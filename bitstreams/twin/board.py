"""A board twin without its network: processor registers, files, memory, and the programmable logic."""

import threading
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from bitstreams.board.descriptors import mapped_layers
from bitstreams.board.processor import ARCHITECTURES, CLOCK_TREES, KERNEL_FILE, NAME_FILE, own_name, read_clock_mhz
from bitstreams.twin.bitstream import hardware_of
from bitstreams.twin.fabric import Fabric, build_fabric
from bitstreams.twin.memory import TwinMemory
from cost_models.coefficients import Coefficients
from cost_models.simulator import SimulatedLayer, simulate
from hw_templates.board import FAMILIES, load_board
from hw_templates.conv_engine import isa, registers
from hw_templates.foundation.errors import BoardError, CodesignError
from hw_templates.foundation.json_records import read_json
from hw_templates.project.record import PROJECT_FILE, ProjectRecord

FIRMWARE = "/lib/firmware/"
FPGA_MANAGER = "/sys/class/fpga_manager/fpga0/"
_FILES_BYTES = 256 << 20
_PROCESSOR_REGISTERS = {"zynq-7000": 0xE0000000, "zynq-ultrascale+": 0xF9000000}


class TwinBoard:
    """Everything that a PYNQ server on the board would reach.

    Attributes:
        board, accelerator, hardware_sha256, implementation: what it is a twin of.
        memory: its buffers.
        files: its files by their path; it shows none of its host's.
    """

    def __init__(self, project: Path, coefficients: Coefficients) -> None:
        """Compile the project's engine and switch the board on, with nothing configured.

        Args:
            project: folder of the emitted project.
            coefficients: what its time is simulated with.

        Raises:
            StorageError: the project is not whole, or there is no folder for temporary files.
            ToolError: g++ is missing or refused the code.
        """
        record = read_json(project / PROJECT_FILE, ProjectRecord, "emit the project again")
        self.board, self.accelerator = load_board(record.board), record.accelerator
        self.hardware_sha256, self.implementation = record.hardware_sha256, record.implementation
        program = build_fabric(project)
        self.memory = TwinMemory()
        self._fabric = Fabric(program, self.memory)
        self._coefficients = coefficients
        self._simulate = lru_cache(maxsize=4096)(partial(simulate, board=self.board, coefficients=coefficients))
        self._lock = threading.RLock()
        self._configured = False
        self._running = self._done = False
        self._engine: dict[int, int] = {}
        self._started: bytes = b""
        self._processor = self._boot_registers()
        self.files = self._first_files()

    def close(self) -> None:
        """Switch it off."""
        with self._lock:
            self._fabric.stop()
            self.memory.close()

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
        files = {
            KERNEL_FILE: f"Linux version 6.1 (codesign twin) {ARCHITECTURES[self.board.family]}\n".encode(),
            NAME_FILE: own_name(self.board).encode() + b"\0",
            f"{FPGA_MANAGER}state": b"unknown\n",
            f"{FPGA_MANAGER}flags": b"0\n",
        }
        if self.board.power_sensor:
            # It knows of no more here than an idle board.
            files["/sys/class/hwmon/hwmon0/name"] = f"{self.board.power_sensor}\n".encode()
            files["/sys/class/hwmon/hwmon0/power1_input"] = f"{round(self.board.idle_power_w * 1e6)}\n".encode()
        return files

    def write_file(self, path: str, content: bytes) -> None:
        """Write a bitstream, or hand one to the FPGA manager by its name.

        Raises:
            PermissionError: nothing else may be written.
            BoardError: the board has no room for it.
        """
        with self._lock:
            others = sum(len(name) + len(kept) for name, kept in self.files.items() if name != path)
            if others + len(path) + len(content) > _FILES_BYTES:
                raise BoardError(f"{path[:100]}: no room left, all files may have {_FILES_BYTES:,} bytes")
            if path == f"{FPGA_MANAGER}firmware":
                self._configure(content.decode(errors="replace").strip())
            elif path.startswith(FIRMWARE) or path == f"{FPGA_MANAGER}flags":
                self.files[path] = content
            else:
                raise PermissionError(f"{path[:100]}: a twin takes bitstreams and nothing else")

    def _configure(self, name: str) -> None:
        content = self.files.get(FIRMWARE + name)
        self._configured = content is not None and hardware_of(content) == self.hardware_sha256
        self._running = self._done = False
        self._engine = {}
        self._started = b""
        if self._configured:
            self._fabric.reset()
        self.files[f"{FPGA_MANAGER}state"] = b"operating\n" if self._configured else b"write error\n"

    def read(self, address: int) -> int:
        """Return the value of a register of 32 bits.

        Raises:
            BoardError: nothing answers there; a board would hang.
        """
        with self._lock:
            block, offset = self._located(address)
            if block == "processor":
                return self._processor.get(address, 0)
            if block == "identity":
                return self._identity(offset)
            return self._engine.get(offset, 0) if offset else self._control()

    def write(self, address: int, value: int) -> None:
        """Set a register of 32 bits.

        Raises:
            BoardError: nothing answers there; a board would hang.
        """
        with self._lock:
            block, offset = self._located(address)
            if block == "processor":
                self._processor[address] = value
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
        cycles = self.cycles(self._started)
        first = registers.offset_of("cycles")
        answers = registers.identity_constants(self.implementation, self.accelerator.clock_mhz)
        answers |= registers.digest_words(self.hardware_sha256)
        answers |= {first: cycles & 0xFFFFFFFF, first + 4: cycles >> 32}
        answers[registers.offset_of("twin_magic")] = registers.TWIN_MAGIC
        return answers.get(offset, 0)

    def _control(self) -> int:
        if self._running and self._fabric.has_finished():
            self._running, self._done = False, True
            self._count()
        if self._running:
            return registers.START
        answer = registers.IDLE | (registers.DONE | registers.READY if self._done else 0)
        self._done = False
        return answer

    def _count(self) -> None:
        """Write the cycles after the iterations that the compiled engine wrote, as it has no clock."""
        records = np.frombuffer(self._started, dtype=isa.DESCRIPTOR)
        word, base = self.accelerator.axi_bytes, self._value("ofmap_port") + isa.TRIPS.itemsize
        for record, layer in zip(records, self._simulated(self._started), strict=False):
            cycles = (layer.latency_cycles, layer.compute_cycles, layer.load_wait_cycles, layer.store_wait_cycles)
            place = self.memory.physical(base + int(record["counter_word"]) * word, isa.CYCLES.itemsize)
            place[:] = np.rint(cycles).astype(np.uint32).view(np.uint8)

    def cycles(self, descriptors: bytes) -> int:
        """Return how many cycles a program takes from the start bit to done; 0 where no engine could run a descriptor.

        Args:
            descriptors: the program's, as they lie in memory.
        """
        layers = self._simulated(descriptors)
        if not layers:
            return 0
        return round(self._coefficients.latency.start_cycles + sum(layer.latency_cycles for layer in layers))

    def _simulated(self, descriptors: bytes) -> list[SimulatedLayer]:
        """Return the layers of a program at the clock of the logic: memory takes more cycles the faster that is."""
        clock_mhz = max(1, round(read_clock_mhz(self, self.board.family)))
        try:
            accelerator = replace(self.accelerator, clock_mhz=clock_mhz)
            layers = mapped_layers(np.frombuffer(descriptors, dtype=isa.DESCRIPTOR))
            return [self._simulate(layer, accelerator) for layer in layers]
        except (CodesignError, ValueError, ZeroDivisionError):
            return []

    def _value(self, name: str) -> int:
        offset = registers.offset_of(name)
        return self._engine.get(offset, 0) | self._engine.get(offset + 4, 0) << 32

    def _start(self) -> None:
        program_word, layer_count = self._value("program_word"), self._value("layer_count")
        size = layer_count * isa.DESCRIPTOR.itemsize
        start = self._value("weight_port") + program_word * self.accelerator.axi_bytes
        self._started = self.memory.physical(start, size).tobytes() if self.memory.reaches(start, size) else b""
        self._running, self._done = True, False
        self._fabric.start([self._value(port) for port in registers.PORTS], program_word, layer_count)
