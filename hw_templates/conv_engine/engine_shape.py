"""The parameters of the engine's Verilog that follow from an accelerator: ``rtl/engine_config.vh``."""

from dataclasses import dataclass

from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.isa import MAX_CHANNELS
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the layers that an engine can run: compile-time parameters of its Verilog that no accelerator has.

    Attributes:
        max_kernel: greatest kernel rows and columns, 1 to 11.
        max_pool: greatest rows and columns of a pool of stride and dilation 1, as one of a whole map is; 1 to 4095.
        max_stride, max_dilation: greatest stride and dilation, 1 to 4.
        zero_point: whether maps may be padded with other values than 0.
        edges: whether average pools may have border classes.

    Raises:
        InvalidValueError: a limit is outside its range.
    """

    max_kernel: int = 7
    max_pool: int = 127
    max_stride: int = 2
    max_dilation: int = 1
    zero_point: bool = False
    edges: bool = True

    def __post_init__(self) -> None:
        for name, most in (("max_kernel", isa.TAPS), ("max_pool", 4095), ("max_stride", 4), ("max_dilation", 4)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise InvalidValueError(f"limits.{name}", value, f"a whole number from 1 to {most}")


SUPERNETS = Limits()
"""What the layers of supernets need."""

MAX_BURST = 16
"""Most words of a burst; bursts are cut at multiples of as many words."""

READ_FIFO = 256
WRITE_FIFO = 64
"""Words that wait behind a port that reads, and in front of the one that writes."""


def bits_for(greatest: int) -> int:
    """Return the bits of an unsigned number up to ``greatest``, at least 1."""
    return max(1, greatest.bit_length())


@dataclass(frozen=True, kw_only=True)
class EngineShape:
    """Sizes and widths of one engine for the layers within its limits, on a family of devices."""

    accelerator: Accelerator
    limits: Limits = SUPERNETS
    family: str = "zynq-7000"

    @property
    def lanes(self) -> int:
        """Channels of a channel-wise layer that are computed in parallel."""
        return self.accelerator.lanes

    @property
    def residual_depth(self) -> int:
        """Words of the residual buffer, in one half: what all sums become."""
        return self.accelerator.ofmap_depth * self.accelerator.ofmap_banks // self.accelerator.axi_bytes

    @property
    def parameter_depth(self) -> int:
        """Lines of one half of the parameter memory, of channels that are post-processed together; a power of two."""
        return 1 << bits_for(-(-MAX_CHANNELS // self.accelerator.post_lanes) - 1)

    @property
    def field_bits(self) -> int:
        """Bits of the lower field of a packed product: what the family's pre-adder leaves."""
        return 17 if self.family == "zynq-7000" else 18

    @property
    def chain(self) -> int:
        """Slices of a chain: the greatest divisor of the columns for which packed sums are exact."""
        most = 4 if self.field_bits == 17 else 8
        return max(n for n in range(1, most + 1) if self.accelerator.pe_cols % n == 0)

    def widths(self) -> dict[str, int]:
        """Return the bits of the widths that :data:`hw_templates.conv_engine.isa.FIELDS` names."""
        constants = self.constants()
        named = {name: constants[name] for name in ("IA", "KW", "DW", "MA", "BW")} | {"LW": constants["RW"]}
        return {"AW": 26, "CW": 12} | {name: int(value) for name, value in named.items()}

    def field_bits_of(self, width: str) -> int:
        """Return the bits of a field whose width :data:`hw_templates.conv_engine.isa.FIELDS` names or gives."""
        return self.widths().get(width) or int(width)

    def field_ranges(self) -> dict[str, tuple[int, int]]:
        """Return the least and the greatest value that the engine takes of each field of a descriptor."""
        greatest = {
            "kernel_height": max(self.limits.max_kernel, self.limits.max_pool),
            "stride_height": self.limits.max_stride,
            "dilation_height": self.limits.max_dilation,
        }
        if not self.accelerator.map_kib:
            greatest |= {"map_in": 0, "map_out": 0}
        greatest |= dict.fromkeys(("in_tile_banks", "out_tile_banks"), self.accelerator.map_banks - 1)
        greatest |= {name.replace("height", "width"): value for name, value in greatest.items()} | isa.GREATEST
        ranges = {}
        for name, width, _ in isa.FIELDS:
            bits = self.field_bits_of(width)
            least, most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if name in isa.SIGNED else (0, (1 << bits) - 1)
            ranges[name] = isa.LEAST.get(name, least), greatest.get(name, most)
        return ranges

    def unit_ranges(self) -> list[tuple[int, int, int, int]]:
        """Return (least, greatest - least) as unsigned int32 of the upper, then the lower field of each 64-bit unit."""
        ranges = [(least % (1 << 32), most - least) for least, most in self.field_ranges().values()]
        # What is reserved is 0.
        ranges += [(0, 0)] * (isa.DESCRIPTOR_FIELDS - len(ranges))
        return [(*upper, *lower) for lower, upper in zip(ranges[::2], ranges[1::2], strict=True)]

    def program_sizes(self) -> dict[str, int]:
        """Return what a program is made for, by name: it runs only on an engine for which all of it is the same."""
        a = self.accelerator
        return {
            "isa_version": isa.VERSION,
            "axi_bytes": a.axi_bytes,
            "weight_port_words": a.weight_port_words,
            "pe_rows": a.pe_rows,
            "pe_cols": a.pe_cols,
            "pe_pixels": a.pe_pixels,
            "ifmap_depth": a.ifmap_depth,
            "weight_depth": a.weight_depth,
            "ofmap_depth": a.ofmap_depth,
            "map_depth": a.map_depth,
            **{name: int(value) for name, value in vars(self.limits).items()},
        }

    def constants(self) -> dict[str, int | str]:
        """Return the macros of ``engine_config.vh`` by name, without the prefix ``ENGINE_``."""
        a = self.accelerator
        ifmap_words = a.ifmap_depth * a.ifmap_buffers
        return {
            "BYTES": a.axi_bytes,
            "PORT_WORDS": a.weight_port_words,
            "ROWS": a.pe_rows,
            "COLS": a.pe_cols,
            "PIXELS": a.pe_pixels,
            "LANES": self.lanes,
            "PACK": a.pack,
            "FIELD": self.field_bits,
            "CHAIN": self.chain,
            "ZERO_POINT": int(self.limits.zero_point),
            "EDGES": int(self.limits.edges),
            "IFMAP_DEPTH": a.ifmap_depth,
            "WEIGHT_DEPTH": a.weight_depth,
            "SUM_DEPTH": a.ofmap_depth,
            "RESIDUAL_DEPTH": self.residual_depth,
            "PARAMETER_DEPTH": self.parameter_depth,
            "POST_LANES": a.post_lanes,
            "MAP_BANKS": a.map_banks,
            "MAP_DEPTH": a.map_depth,
            "IFMAP_BUFFERS": a.ifmap_buffers,
            "WEIGHT_BUFFERS": a.weight_buffers,
            "OFMAP_BUFFERS": a.ofmap_buffers,
            "IFMAP_STYLE": '"block"',
            "WEIGHT_STYLE": '"block"',
            "SUM_STYLE": '"distributed"' if a.ofmap_depth * a.ofmap_buffers <= 64 else '"block"',
            "PARAMETER_STYLE": '"block"',
            "MAP_STYLE": '"block"',
            "IA": bits_for(ifmap_words - 1),
            "WA": bits_for(a.weight_depth * a.weight_buffers - 1) + 1,
            "OA": bits_for(a.ofmap_depth * a.ofmap_buffers - 1),
            "RA": bits_for(self.residual_depth * a.ofmap_buffers - 1),
            "PA": bits_for(2 * self.parameter_depth - 1),
            "MA": bits_for(2 * a.map_depth),
            "BW": bits_for(a.map_banks - 1),
            # Two bits at least, as loops and choices by them are written.
            "KW": max(2, bits_for(max(self.limits.max_kernel, self.limits.max_pool))),
            "TW": bits_for(max(self.limits.max_kernel, a.pe_pixels) - 1),
            "DW": max(2, bits_for(max(self.limits.max_stride, self.limits.max_dilation))),
            "RW": bits_for(a.pe_pixels - 1),
            "PW": bits_for(a.channelwise_steps - 1),
            "ADDRESS": 40,
            "MAX_BURST": MAX_BURST,
            "READ_FIFO": READ_FIFO,
            "WRITE_FIFO": WRITE_FIFO,
        }
