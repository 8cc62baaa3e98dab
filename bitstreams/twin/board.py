"""A board twin without its network: processor registers, files, memory, and the programmable logic."""

import threading
from pathlib import Path

from bitstreams.board.processor import ARCHITECTURES, CLOCK_TREES, KERNEL_FILE, NAME_FILE, own_name, read_clock_mhz
from bitstreams.board.timing import Timing
from bitstreams.twin.bitstream import hardware_of
from bitstreams.twin.fabric import Fabric, build_fabric
from bitstreams.twin.memory import TwinMemory
from bitstreams.twin.modelled import ModelledEngine
from bitstreams.twin.simulated import SimulatedEngine, build_verilog
from cost_models.coefficients import Coefficients
from hw_templates.board import FAMILIES, load_board
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import BoardError, InvalidValueError
from hw_templates.foundation.json_records import read_json
from hw_templates.project.record import PROJECT_FILE, ProjectRecord

FIRMWARE = "/lib/firmware/"
FPGA_MANAGER = "/sys/class/fpga_manager/fpga0/"
TIMINGS = {Implementation.HLS: Timing.MODEL, Implementation.RTL: Timing.RTL}
"""The timing of a twin of each implementation: C++ has no clock, and the Verilog has its own."""
_FILES_BYTES = 256 << 20
_PROCESSOR_REGISTERS = {"zynq-7000": 0xE0000000, "zynq-ultrascale+": 0xF9000000}


class TwinBoard:
    """Everything that a PYNQ server on the board would reach.

    Attributes:
        board, accelerator, hardware_sha256, implementation: what it is a twin of.
        engine: its programmable logic.
        memory: its buffers.
        files: its files by their path; it shows none of its host's.
    """

    def __init__(self, project: Path, coefficients: Coefficients, timing: Timing | None = None) -> None:
        """Compile the project's engine and switch the board on, with nothing configured.

        Args:
            project: folder of the emitted project.
            coefficients: what its time, or the memory behind its Verilog, is simulated with.
            timing: what its cycles come from; None for what the project's implementation has.

        Raises:
            InvalidValueError: the implementation has no such timing.
            StorageError: the project is not whole, or there is no folder for temporary files.
            ToolError: a compiler is missing or refused the code.
        """
        record = read_json(project / PROJECT_FILE, ProjectRecord, "emit the project again")
        self.board, self.accelerator = load_board(record.board), record.accelerator
        self.hardware_sha256, self.implementation = record.hardware_sha256, record.implementation
        if timing not in (None, TIMINGS[self.implementation]):
            expected = f"{TIMINGS[self.implementation]} for a project whose implementation is {self.implementation}"
            raise InvalidValueError("timing", str(timing), expected)
        program = (build_fabric if self.implementation is Implementation.HLS else build_verilog)(project)
        self.memory = TwinMemory()
        self.engine: ModelledEngine | SimulatedEngine
        if self.implementation is Implementation.HLS:
            fabric = Fabric(program, self.memory)
            self.engine = ModelledEngine(
                fabric, self.memory, self.board, self.accelerator, coefficients, self._clock_mhz
            )
        else:
            self.engine = SimulatedEngine(program, self.memory, self.board, coefficients, self._clock_mhz)
        self._lock = threading.RLock()
        self._configured = False
        self._processor = self._boot_registers()
        self.files = self._first_files()

    def close(self) -> None:
        """Switch it off."""
        with self._lock:
            self.engine.stop()
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
        if self._configured:
            self.engine.reset()
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
            return self.engine.read(offset)

    def write(self, address: int, value: int) -> None:
        """Set a register of 32 bits.

        Raises:
            BoardError: nothing answers there; a board would hang.
        """
        with self._lock:
            block, offset = self._located(address)
            if block == "processor":
                self._processor[address] = value
            elif block == "engine":
                self.engine.write(offset, value)

    def _located(self, address: int) -> tuple[str, int]:
        """Return the block that has an address (processor, engine or identity), and the offset in it."""
        if address >= _PROCESSOR_REGISTERS[self.board.family]:
            return "processor", address
        for block, first in vars(registers.ADDRESS_MAPS[self.board.family]).items():
            if self._configured and 0 <= address - first < registers.WINDOW_BYTES:
                return block, address - first
        raise BoardError(f"0x{address:08X}: nothing answers there; a board would hang")

    def _identity(self, offset: int) -> int:
        answers = registers.identity_constants(self.implementation, self.accelerator.clock_mhz)
        answers |= registers.digest_words(self.hardware_sha256)
        answers[registers.offset_of("twin_magic")] = registers.TWIN_MAGIC
        answers[registers.offset_of("timing")] = self.engine.timing.code
        return answers.get(offset, 0)

    def _clock_mhz(self) -> float:
        return read_clock_mhz(self, self.board.family)
