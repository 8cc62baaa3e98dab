"""Boards: what their programmable logic and memory offer, one TOML file each."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from operator import itemgetter
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from hw_templates.foundation.catalogue import Catalogue, Source
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import Positive, PositiveInt, check_fields, check_record

_WORD = r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z"
Word = Annotated[str, Meta(pattern=_WORD, description="letters, digits, '.', '_' and '-'")]

DIVIDERS = {first * second: (first, second) for first in range(1, 64) for second in range(1, 64)}
"""Products of the two dividers that lie between a PLL and the logic (AMD UG585, 25.7.1; UG1085, 37) to the dividers."""


@dataclass(frozen=True)
class Ddr:
    """External memory.

    Attributes:
        peak_gb_s: data rate times width.
        plan_gb_s: what long bursts reach in practice.
    """

    # Above the limit, the figure is in another unit; so for the power below.
    peak_gb_s: Annotated[float, Meta(gt=0, le=100, description="positive and in GB/s, at most 100")]
    plan_gb_s: Positive

    def __post_init__(self) -> None:
        check_fields(self, "board.ddr")
        _require(self.plan_gb_s <= self.peak_gb_s, "ddr.plan_gb_s", self.plan_gb_s, "at most peak_gb_s")


@dataclass(frozen=True)
class Family:
    """Properties that all boards of one device family share.

    Attributes:
        control_port: port through which the processor reaches the engine's registers.
        memory_ports: ports to DDR.
        axi_bits: widths that these can have.
        plls: PLLs that may feed the logic's clock, in the order of their numbers in its register.
    """

    control_port: str
    memory_ports: tuple[str, ...]
    axi_bits: tuple[int, ...]
    plls: tuple[str, ...]


FAMILIES = {
    "zynq-7000": Family("M_AXI_GP0", ("HP0", "HP1", "HP2", "HP3"), (32, 64), ("IO PLL", "DDR PLL")),
    "zynq-ultrascale+": Family(
        "M_AXI_HPM0_FPD", ("HP0", "HP1", "HP2", "HP3", "HPC0", "HPC1"), (32, 64, 128), ("IOPLL", "RPLL")
    ),
}


@dataclass(frozen=True)
class ProcessingSystem:
    """The hard processor next to the logic.

    Attributes:
        memory_ports: four ports to DDR, in the order of the engine's: ifmap, weights, residual, ofmap. On Zynq
            UltraScale+, HP1 and HP2 share one port of the DDR controller, the others have one each (AMD UG1085, 17).
        plls_mhz: frequencies of the PLLs that may feed the logic's clock, by name; the preset implies them.
        preset: values of the parameters of the vendor's PS block: reference clock, DDR, boot media, console. They are
            taken from the boards' own design files, so that no vendor board files are needed.
        source: where the preset comes from.
    """

    memory_ports: tuple[str, ...]
    plls_mhz: dict[str, Positive] = field(hash=False)
    preset: dict[str, str] = field(hash=False)
    source: str

    def __post_init__(self) -> None:
        check_fields(self, "board.ps")

    def fabric_clock(self, clock_mhz: float) -> tuple[str, float]:
        """Return the PLL that comes nearest to a clock from below, and the frequency in MHz that it gives.

        Raises:
            InvalidValueError: no PLL can be divided down to so slow a clock.

        >>> load_board("pynq-z2").ps.fabric_clock(150), load_board("zcu104").ps.fabric_clock(200)
        (('DDR PLL', 150.0), ('RPLL', 187.5))
        """
        reachable = [
            (name, pll / divider)
            for name, pll in self.plls_mhz.items()
            for divider in DIVIDERS
            if pll / divider <= clock_mhz
        ]
        if not reachable:
            raise InvalidValueError("clock_mhz", clock_mhz, f"at least {min(self.plls_mhz.values()) / max(DIVIDERS):g}")
        # Of PLLs that give the same, the first one of the board file.
        return max(reachable, key=itemgetter(1))


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board.

    Attributes:
        name: as on the command line.
        title: as its maker writes it.
        part: device, package and speed grade for the vendor tools.
        family: one of :data:`FAMILIES`.
        dsp, bram_18k, uram, lut, ff: what the device holds; a BRAM36 counts as two of ``bram_18k``.
        clocks_mhz: clocks that designs of this kind reach on it, ascending.
        axi_bits_max: widest high-performance memory port.
        idle_power_w: supply power of the whole board with an idle design.
        ddr: external memory.
        ps: the processor, and its ports to the logic.
        source: where the figures come from.
        pynq_name: what PYNQ calls the board; empty where that is unknown or the same as ``name``.
        power_sensor: name under ``/sys/class/hwmon`` of the sensor of the board's power; empty where there is none.
    """

    name: Word
    title: str
    part: Word
    family: str
    dsp: PositiveInt
    bram_18k: PositiveInt
    uram: Annotated[int, Meta(ge=0, description="zero or more")]
    lut: PositiveInt
    ff: PositiveInt
    clocks_mhz: tuple[PositiveInt, ...]
    axi_bits_max: int
    idle_power_w: Annotated[float, Meta(gt=0, le=200, description="positive and in W, at most 200")]
    ddr: Ddr
    ps: ProcessingSystem
    source: str
    pynq_name: str = ""
    power_sensor: str = ""

    def __post_init__(self) -> None:
        check_fields(self, "board")
        _require(self.family in FAMILIES, "family", self.family, " or ".join(FAMILIES))
        family, ports, plls, clocks = FAMILIES[self.family], self.ps.memory_ports, self.ps.plls_mhz, self.clocks_mhz
        known = ", ".join(family.memory_ports)
        _require(
            len(ports) == len(set(ports)) == 4 and set(ports) <= set(family.memory_ports),
            "ps.memory_ports",
            ports,
            f"four different ones of {known}",
        )
        _require(self.axi_bits_max in family.axi_bits, "axi_bits_max", self.axi_bits_max, f"one of {family.axi_bits}")
        _require(plls and set(plls) <= set(family.plls), "ps.plls_mhz", list(plls), f"of {' and '.join(family.plls)}")
        _require(clocks and list(clocks) == sorted(set(clocks)), "clocks_mhz", clocks, "ascending and not empty")
        fastest_mhz = max(plls.values())
        _require(clocks[-1] <= fastest_mhz, "clocks_mhz", clocks, f"in MHz, at most {fastest_mhz:g} as the fastest PLL")
        # These become a part of Tcl scripts.
        texts = {"title": self.title, "source": self.source, "ps.source": self.ps.source}
        for name, text in (texts | {f"ps.preset.{name}": text for name, text in self.ps.preset.items()}).items():
            _require(text.isprintable() and not set(text) & set("{}\\"), name, text, "one line without { } and \\")
        for name in self.ps.preset:
            _require(re.match(_WORD, name), "ps.preset", name, "names of letters, digits and '_'")

    def slower_clock(self, clock_mhz: int) -> int | None:
        """Return the fastest clock of the board that is slower than one; None where there is none.

        >>> load_board("pynq-z2").slower_clock(125), load_board("pynq-z2").slower_clock(75)
        (100, None)
        """
        return max((mhz for mhz in self.clocks_mhz if mhz < clock_mhz), default=None)


def _require(holds: object, field: str, value: object, expected: str) -> None:
    if not holds:
        raise InvalidValueError(f"board.{field}", value, expected)


def _parse(name: str, table: dict[str, object]) -> Board:
    return check_record({**table, "name": name}, Board, "board")


BOARDS = Catalogue[Board]("board", files("hw_templates") / "boards", "codesign.boards", _parse)
board_names = BOARDS.names

BoardRecord = str | Board
"""What files keep of a board: the name of a shipped one, all of any other, whose own file may move or change."""


def load_board(board: Source | Path | Board) -> Board:
    """Return the board of a name, of a TOML file, or of a record.

    Raises:
        UnknownNameError: no board has that name.
        StorageError: a file, or what an installed package offers, does not describe a board; names the field.

    >>> load_board("pynq-z2").dsp
    220
    """
    if isinstance(board, Board):
        return board
    return BOARDS.load(str(board) if isinstance(board, Path) else board)


def board_record(board: Board) -> BoardRecord:
    """Return what a file keeps of a board, from which :func:`load_board` makes the same one."""
    return board.name if board.name in BOARDS.built_in else board


def board_name(board: BoardRecord) -> str:
    """Return the name of a board that a file keeps."""
    return board if isinstance(board, str) else board.name


def board_label(board: Board) -> str:
    """Return what tells a board from all others: its name and, unless it is a shipped one, a digest of its figures."""
    if board.name in BOARDS.built_in:
        return board.name
    return f"{board.name}-{hashlib.sha256(json.dumps(asdict(board), sort_keys=True).encode()).hexdigest()[:8]}"


def check_same_board(found: BoardRecord, expected: BoardRecord, field: str, which: str) -> None:
    """Make sure that two boards are one, and that its own file has not changed meanwhile.

    Args:
        found: the board of ``field``.
        expected: the board that it must be.
        which: words on the expected board, such as "which the project is for".

    Raises:
        InvalidValueError: it is another board, or a figure of it differs.
    """
    mine, other = asdict(load_board(found)), asdict(load_board(expected))
    if mine["name"] != other["name"]:
        raise InvalidValueError(field, mine["name"], f"{other['name']}, {which}")
    for name, value in other.items():
        if mine[name] != value:
            raise InvalidValueError(
                f"{field}.{name}", mine[name], f"{value} as before in {other['name']}, {which}; restore its file"
            )
