"""Boards: what their programmable logic and memory offer, one TOML file each in ``boards/``."""

import math
import tomllib
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files

from hw_templates.foundation.errors import InvalidValueError, UnknownNameError
from hw_templates.foundation.json_records import check_record, reading
from hw_templates.foundation.toml_text import toml_text


@dataclass(frozen=True)
class Ddr:
    """External memory.

    Attributes:
        peak_gb_s: data rate times width.
        plan_gb_s: what long bursts reach in practice.
    """

    peak_gb_s: float
    plan_gb_s: float

    def __post_init__(self) -> None:
        if not 0 < self.peak_gb_s < math.inf:
            raise InvalidValueError("board.ddr.peak_gb_s", self.peak_gb_s, "positive and finite")
        if not 0 < self.plan_gb_s <= self.peak_gb_s:
            raise InvalidValueError("board.ddr.plan_gb_s", self.plan_gb_s, "positive and at most peak_gb_s")


CONTROL_PORTS = {"zynq-7000": "M_AXI_GP0", "zynq-ultrascale+": "M_AXI_HPM0_FPD"}
"""Board family to the port through which the processor reaches the engine's registers."""

_MEMORY_PORTS = {
    "zynq-7000": ("HP0", "HP1", "HP2", "HP3"),
    "zynq-ultrascale+": ("HP0", "HP1", "HP2", "HP3", "HPC0", "HPC1"),
}


@dataclass(frozen=True)
class ProcessingSystem:
    """The hard processor beside the logic.

    Attributes:
        memory_ports: four ports to DDR, in the order of the engine's: ifmap, weights, residual, ofmap. On Zynq
            UltraScale+, HP1 and HP2 share one port of the DDR controller, the others have one each (AMD UG1085, 17).
        plls_mhz: frequencies of the PLLs that may feed the logic's clock, by name; the preset implies them.
        preset: values of the parameters of the vendor's PS block: reference clock, DDR, boot media, console. They are
            taken from the boards' own design files, so that no vendor board files are needed.
        source: where the preset comes from.
    """

    memory_ports: tuple[str, ...]
    plls_mhz: dict[str, float] = field(hash=False)
    preset: dict[str, str] = field(hash=False)
    source: str

    def __post_init__(self) -> None:
        for name, frequency in self.plls_mhz.items():
            if not 0 < frequency < math.inf:
                raise InvalidValueError(f"board.ps.plls_mhz.{name}", frequency, "positive and finite")

    def fabric_clock(self, clock_mhz: float) -> tuple[str, float]:
        """The PLL that comes nearest to a clock from below, and the frequency in MHz that it gives.

        Two dividers of 1 to 63 lie between a PLL and the logic (AMD UG585, 25.7.1; UG1085, 37).

        Raises:
            InvalidValueError: no PLL can be divided down to so slow a clock.

        >>> load_board("pynq-z2").ps.fabric_clock(150), load_board("zcu104").ps.fabric_clock(200)
        (('DDR PLL', 150.0), ('RPLL', 187.5))
        """
        dividers = {first * second for first in range(1, 64) for second in range(1, 64)}
        reachable = [
            (pll / divider, name)
            for name, pll in self.plls_mhz.items()
            for divider in dividers
            if pll / divider <= clock_mhz
        ]
        if not reachable:
            raise InvalidValueError("clock_mhz", clock_mhz, f"at least {min(self.plls_mhz.values()) / 63**2:g}")
        fastest = max(frequency for frequency, _ in reachable)
        # Of PLLs that give the same, the first one of the board file.
        return next((name, frequency) for frequency, name in reachable if frequency == fastest)


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board.

    Attributes:
        name: as on the command line.
        title: as its maker writes it.
        part: device, package and speed grade for the vendor tools.
        family: ``zynq-7000`` or ``zynq-ultrascale+``.
        dsp, bram_18k, uram, lut, ff: what the device holds; a BRAM36 counts as two of ``bram_18k``.
        clocks_mhz: clocks that designs of this kind reach on it, ascending.
        axi_bits_max: widest high-performance memory port.
        idle_power_w: supply power of the whole board with an idle design.
        ddr: external memory.
        ps: the processor, and its ports to the logic.
        source: where the figures come from.
    """

    name: str
    title: str
    part: str
    family: str
    dsp: int
    bram_18k: int
    uram: int
    lut: int
    ff: int
    clocks_mhz: tuple[int, ...]
    axi_bits_max: int
    idle_power_w: float
    ddr: Ddr
    ps: ProcessingSystem
    source: str

    def __post_init__(self) -> None:
        for name in ("dsp", "bram_18k", "lut", "ff", "axi_bits_max", "idle_power_w"):
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidValueError(f"board.{name}", getattr(self, name), "positive and finite")
        if self.uram < 0:
            raise InvalidValueError("board.uram", self.uram, "zero or more")
        if self.family not in ("zynq-7000", "zynq-ultrascale+"):
            raise InvalidValueError("board.family", self.family, "zynq-7000 or zynq-ultrascale+")
        known = _MEMORY_PORTS[self.family]
        ports = self.ps.memory_ports
        if len(ports) != 4 or len(set(ports)) != 4 or not set(ports) <= set(known):
            raise InvalidValueError("board.ps.memory_ports", ports, f"four different ones of {', '.join(known)}")
        if not self.clocks_mhz or list(self.clocks_mhz) != sorted(set(self.clocks_mhz)):
            raise InvalidValueError("board.clocks_mhz", self.clocks_mhz, "ascending and not empty")
        if self.clocks_mhz[0] <= 0:
            raise InvalidValueError("board.clocks_mhz", self.clocks_mhz, "positive")


def board_names() -> tuple[str, ...]:
    """Names of the known boards, sorted."""
    folder = files("hw_templates") / "boards"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


@cache
def load_board(name: str) -> Board:
    """The board of that name.

    Raises:
        InvalidValueError: no such board.
        StorageError: its file breaks a rule.
    """
    if name not in board_names():
        raise UnknownNameError("board", name, board_names())
    return parse_board(name, (files("hw_templates") / "boards" / f"{name}.toml").read_bytes())


def parse_board(name: str, content: bytes) -> Board:
    """Read a board's TOML file.

    Raises:
        StorageError: the content is not TOML, or does not describe a board; names the field.
    """
    with reading(f"{name}.toml"):
        return check_record({**tomllib.loads(content.decode()), "name": name}, Board, "board")


def board_text(board: Board) -> str:
    """Return the TOML file that describes a board, for :func:`parse_board`."""
    record = asdict(board)
    del record["name"]
    return toml_text(record)
