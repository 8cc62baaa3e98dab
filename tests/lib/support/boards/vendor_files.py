"""Small .bit and .hwh files of our own making, in the vendor's formats."""

import struct

SYNC = bytes.fromhex("aa995566")


def bit_file(
    design: str, part: str, user_id: int = 0xFFFFFFFF, payload: bytes = b"\xff" * 16 + SYNC + bytes(64)
) -> bytes:
    """A .bit file."""
    fields = (f"{design}_wrapper;UserID=0X{user_id:08X};Version=2023.2", part, "2026/01/31", "12:00:00")
    content = bytes.fromhex("00090ff00ff00ff00ff0000001")
    for tag, text in zip("abcd", fields, strict=True):
        value = text.encode() + b"\0"
        content += tag.encode() + struct.pack(">H", len(value)) + value
    return content + b"e" + struct.pack(">I", len(payload)) + payload


def handoff(
    design: str, device: str, package: str, processor: str, clock_hz: int, blocks: dict[str, tuple[str, int]]
) -> bytes:
    """A .hwh file; ``blocks`` is kind to (interface, address)."""
    clock = {"processing_system7": "FCLK_CLK0", "zynq_ultra_ps_e": "pl_clk0"}[processor]
    ranges = "".join(
        f'<MEMRANGE BASEVALUE="0x{address:08X}" INSTANCE="{kind}_0" MEMTYPE="REGISTER" '
        f'SLAVEBUSINTERFACE="{interface}"/>'
        for kind, (interface, address) in blocks.items()
    )
    modules = "".join(
        f'<MODULE INSTANCE="{kind}_0" MODTYPE="{kind}" VLNV="xilinx.com:hls:{kind}:1.0"/>' for kind in blocks
    )
    return f"""\ufeff<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<EDKSYSTEM EDWVERSION="1.2" TIMESTAMP="Sat Jan 31 12:00:00 2026" VIVADOVERSION="2023.2">
  <SYSTEMINFO ARCH="zynq" BOARD="" DEVICE="{device}" NAME="{design}" PACKAGE="{package}" SPEEDGRADE="-1"/>
  <MODULES>
    <MODULE INSTANCE="ps" MODTYPE="{processor}" VLNV="xilinx.com:ip:{processor}:1.0">
      <PORTS><PORT CLKFREQUENCY="{clock_hz}" DIR="O" NAME="{clock}" SIGIS="clk"/></PORTS>
      <MEMORYMAP>{ranges}<MEMRANGE BASEVALUE="0x0" INSTANCE="ps" MEMTYPE="MEMORY"/></MEMORYMAP>
    </MODULE>
    {modules}
  </MODULES>
</EDKSYSTEM>
""".encode()
