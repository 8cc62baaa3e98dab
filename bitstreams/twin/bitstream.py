"""What a board twin takes in place of a bitstream: a .bit and a .hwh of our own making, with nothing for a device.

They have the vendor's formats, the right part, design and addresses, so that everything that reads such files reads
these; the configuration data are a marker and the digest of the hardware.
"""

import re
import struct
from pathlib import Path

import numpy as np

from bitstreams.building.design import ENGINES, PREAMBLE, PROCESSORS, SYNC
from bitstreams.store.bitstream import NAME_DIGITS
from hw_templates.board import FAMILIES, Board
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.registers import ADDRESS_MAPS, WINDOW_BYTES
from hw_templates.foundation.atomic_file import write_bytes_atomically

TOOL = "twin"
_MARKER = b"codesign twin\0\0\0"
_CLOCK_PARAMETERS = {
    "zynq-7000": '<PARAMETER NAME="PCW_EN_CLK{index}_PORT" VALUE="{on}"/>'
    '<PARAMETER NAME="PCW_FPGA_FCLK{index}_ENABLE" VALUE="{on}"/>'
    '<PARAMETER NAME="PCW_FCLK{index}_PERIPHERAL_DIVISOR0" VALUE="1"/>'
    '<PARAMETER NAME="PCW_FCLK{index}_PERIPHERAL_DIVISOR1" VALUE="1"/>'
    '<PARAMETER NAME="PCW_FCLK{index}_PERIPHERAL_CLKSRC" VALUE="IO PLL"/>'
    '<PARAMETER NAME="PCW_ACT_FPGA{index}_PERIPHERAL_FREQMHZ" VALUE="{mhz}"/>',
    "zynq-ultrascale+": '<PARAMETER NAME="PSU__FPGA_PL{index}_ENABLE" VALUE="{on}"/>'
    '<PARAMETER NAME="PSU__CRL_APB__PL{index}_REF_CTRL__DIVISOR0" VALUE="1"/>'
    '<PARAMETER NAME="PSU__CRL_APB__PL{index}_REF_CTRL__DIVISOR1" VALUE="1"/>'
    '<PARAMETER NAME="PSU__CRL_APB__PL{index}_REF_CTRL__SRCSEL" VALUE="RPLL"/>'
    '<PARAMETER NAME="PSU__CRL_APB__PL{index}_REF_CTRL__FREQMHZ" VALUE="{mhz}"/>'
    '<PARAMETER NAME="PSU__CRL_APB__PL{index}_REF_CTRL__ACT_FREQMHZ" VALUE="{mhz}"/>',
}
"""Board family to the parameters of the PS block from which PYNQ learns one of the four clocks of the logic."""


def write_twin_bitstream(
    folder: Path,
    board: Board,
    hardware_sha256: str,
    clock_mhz: float,
    implementation: Implementation = Implementation.HLS,
) -> Path:
    """Write the pair that stands for a bitstream; return the path of the .bit, next to which the .hwh lies.

    Raises:
        StorageError: the folder cannot be written.
    """
    path = folder / f"{TOOL}_{hardware_sha256[:NAME_DIGITS]}.bit"
    write_bytes_atomically(path.with_suffix(".hwh"), _handoff(board, hardware_sha256, clock_mhz, implementation))
    write_bytes_atomically(path, _bit_file(board, hardware_sha256))
    return path


def hardware_of(configuration: bytes) -> str | None:
    """Return the digest in what the FPGA manager was given, or None where it is not for a twin.

    Args:
        configuration: the .bit's data with the bytes of each word reversed, as the manager takes them.
    """
    plain = np.frombuffer(configuration, np.uint32, len(configuration) // 4).byteswap().tobytes()
    _, _, rest = plain.partition(_MARKER)
    return rest[:32].hex() if len(rest) >= 32 else None


def _device_and_package(board: Board) -> tuple[str, str]:
    """Return device and package as Vivado writes them: 7z020 and clg400, zu7ev and ffvc1156."""
    match = re.match("xc(7z[0-9]+|zu[0-9]+[a-z]+|k26)-?([a-z]+[0-9]+)", board.part)
    assert match is not None, board.part
    return match[1].replace("k26", "xck26"), match[2]


def _bit_file(board: Board, hardware_sha256: str) -> bytes:
    design = f"engine_{hardware_sha256[:8]}_wrapper;UserID=0X{hardware_sha256[:8].upper()};Version={TOOL}"
    # No time stamp: equal hardware gives equal bytes.
    fields = (design, "".join(_device_and_package(board)), "1970/01/01", "00:00:00")
    content = PREAMBLE
    for tag, text in zip("abcd", fields, strict=True):
        value = text.encode() + b"\0"
        content += tag.encode() + struct.pack(">H", len(value)) + value
    payload = b"\xff" * 16 + SYNC + _MARKER + bytes.fromhex(hardware_sha256) + bytes(64)
    return content + b"e" + struct.pack(">I", len(payload)) + payload


def _handoff(board: Board, hardware_sha256: str, clock_mhz: float, implementation: Implementation) -> bytes:
    device, package = _device_and_package(board)
    addresses = ADDRESS_MAPS[board.family]
    kind, clock = PROCESSORS[board.family]
    interface = FAMILIES[board.family].control_port
    engine = ENGINES[implementation]
    library = "hls" if implementation == Implementation.HLS else "module_ref"
    blocks = {
        "engine": (f"xilinx.com:{library}:{engine}:1.0", engine, "s_axi_control", addresses.engine),
        "identity": ("xilinx.com:module_ref:engine_id:1.0", "engine_id", "s_axi", addresses.identity),
    }
    parameters = "".join(
        _CLOCK_PARAMETERS[board.family].format(index=index, on=int(index == 0), mhz=50 if index else clock_mhz)
        for index in range(4)
    )
    ranges = "".join(
        f'<MEMRANGE ADDRESSBLOCK="Reg" BASENAME="C_BASEADDR" BASEVALUE="0x{address:08X}" HIGHNAME="C_HIGHADDR" '
        f'HIGHVALUE="0x{address + WINDOW_BYTES - 1:08X}" INSTANCE="{instance}" IS_DATA="TRUE" IS_INSTRUCTION="TRUE" '
        f'MASTERBUSINTERFACE="{interface}" MEMTYPE="REGISTER" SLAVEBUSINTERFACE="{slave}"/>'
        for instance, (_, _, slave, address) in blocks.items()
    )
    modules = "".join(
        f'<MODULE FULLNAME="/{instance}" HWVERSION="1.0" INSTANCE="{instance}" IPTYPE="PERIPHERAL" IS_ENABLE="1" '
        f'MODCLASS="PERIPHERAL" MODTYPE="{name}" VLNV="{vlnv}"><ADDRESSBLOCKS/><PARAMETERS/><PORTS/>'
        f'<BUSINTERFACES><BUSINTERFACE BUSNAME="control_{instance}" NAME="{slave}" TYPE="SLAVE" '
        f'VLNV="xilinx.com:interface:aximm:1.0"><PORTMAPS/></BUSINTERFACE></BUSINTERFACES></MODULE>'
        for instance, (vlnv, name, slave, _) in blocks.items()
    )
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<EDKSYSTEM EDWVERSION="1.2" TIMESTAMP="" VIVADOVERSION="{TOOL}">
  <SYSTEMINFO ARCH="zynq" BOARD="{board.name}" DEVICE="{device}" NAME="engine_{hardware_sha256[:8]}" \
PACKAGE="{package}" SPEEDGRADE=""/>
  <EXTERNALPORTS/>
  <EXTERNALINTERFACES/>
  <MODULES>
    <MODULE FULLNAME="/ps" HWVERSION="5.5" INSTANCE="ps" IPTYPE="PERIPHERAL" IS_ENABLE="1" IS_PL="FALSE" \
MODTYPE="{kind}" VLNV="xilinx.com:ip:{kind}:5.5">
      <PARAMETERS>{parameters}</PARAMETERS>
      <PORTS><PORT CLKFREQUENCY="{clock_mhz * 1e6:.0f}" DIR="O" NAME="{clock}" SIGIS="clk"/></PORTS>
      <BUSINTERFACES><BUSINTERFACE BUSNAME="control" NAME="{interface}" TYPE="MASTER" \
VLNV="xilinx.com:interface:aximm:1.0"><PORTMAPS/></BUSINTERFACE></BUSINTERFACES>
      <MEMORYMAP>{ranges}</MEMORYMAP>
    </MODULE>
    {modules}
  </MODULES>
</EDKSYSTEM>
""".encode()
