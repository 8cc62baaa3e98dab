"""The register table against the C++ pragmas that repeat it and the Verilog that answers it."""

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
from support.boards.vendor_tcl import write_rendered

from hw_templates.board import load_board
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.project.render import DIGEST_FILE, render

ACCELERATOR = Accelerator(
    pe_rows=16,
    pe_cols=8,
    pe_pixels=3,
    pack=2,
    ifmap_kib=16,
    weight_kib=8,
    ofmap_kib=4,
    axi_bits=64,
    clock_mhz=125,
)


HLS = files("hw_templates") / "conv_engine/hls"
C_BITS = {"uint32_t": 32, "uint64_t": 64}


def registers_of_the_cpp() -> dict[str, dict[str, registers.Register]]:
    """Argument of the engine's C++ to the registers that it takes, by the names of its struct where it is one."""
    source = (HLS / "conv_engine.cpp").read_text()
    signature = re.search(r'extern "C" void conv_engine\((.*?)\) \{', source, re.DOTALL)
    assert signature is not None
    types = {name: kind for kind, name in re.findall(r"([\w<>]+)&? (\w+)(?:,|$)", signature.group(1))}
    headers = "".join((HLS / name).read_text() for name in ("conv_engine.h", "sequencer.h"))
    found: dict[str, dict[str, registers.Register]] = {}
    for name, offset in re.findall(r"s_axilite port = (\w+) bundle = control offset = (0x[0-9a-f]+)", source):
        if types[name].startswith(("ReadPort", "WritePort")):
            found[name] = {name: registers.Register(int(offset, 16), 64)}
            continue
        members = [(types[name], name)]
        if types[name] not in C_BITS:
            struct = re.search(rf"struct {types[name]} \{{(.*?)\}};", headers, re.DOTALL)
            assert struct is not None
            lines = re.findall(r"(uint\d+_t) ([\w, ]+);", struct.group(1))
            members = [(kind, member) for kind, names in lines for member in names.split(", ")]
        found[name], at = {}, int(offset, 16)
        for kind, member in members:
            found[name][member] = registers.Register(at, C_BITS[kind])
            at += C_BITS[kind] // 8
    return found


def test_pragmas_of_the_engine_place_each_argument_where_the_table_does() -> None:
    placed = registers_of_the_cpp()
    assert placed.keys() == registers.HLS_ARGUMENTS.keys()
    for argument, names in registers.HLS_ARGUMENTS.items():
        used = {name: register for name, register in placed[argument].items() if not name.startswith("unused")}
        assert used == {name: registers.ENGINE[name] for name in names}
    own = {"control", "global_interrupt", "interrupt_enable", "interrupt_status"}
    assert {name for names in registers.HLS_ARGUMENTS.values() for name in names} == registers.ENGINE.keys() - own


def test_each_argument_has_a_word_behind_it_for_its_protocol() -> None:
    # AMD UG1399, "S_AXILITE Offset Option": as many words as hold the data, and one more, even for ap_none.
    end = 0x10
    arguments = [[*members.values()] for members in registers_of_the_cpp().values()]
    for first, last in sorted(((members[0], members[-1]) for members in arguments), key=lambda ends: ends[0].offset):
        assert first.offset >= end, hex(first.offset)
        end = last.offset + last.bits // 8 + 4


def test_the_verilog_has_all_registers_of_the_cpp_and_more() -> None:
    for name, register in registers.ENGINE.items():
        assert registers.RTL_ENGINE[name].offset == register.offset
    assert registers.RTL_ENGINE.keys() - registers.ENGINE.keys() == {"watchdog", "abort"}


@pytest.mark.parametrize("block", [registers.ENGINE, registers.RTL_ENGINE, registers.IDENTITY])
def test_registers_do_not_overlap(block: dict[str, registers.Register]) -> None:
    end = 0
    for register in sorted(block.values(), key=lambda register: register.offset):
        assert register.offset >= end
        assert register.offset % 4 == 0
        end = register.offset + register.bits // 8
    assert end <= registers.WINDOW_BYTES


def test_blocks_lie_in_the_window_of_their_control_port() -> None:
    # UG585 table 4-1 and UG1085 table 10-1.
    windows = {"zynq-7000": (0x40000000, 0x7FFFFFFF), "zynq-ultrascale+": (0xA0000000, 0xAFFFFFFF)}
    for family, (first, last) in windows.items():
        addresses = registers.ADDRESS_MAPS[family]
        assert abs(addresses.engine - addresses.identity) >= registers.WINDOW_BYTES
        for address in (addresses.engine, addresses.identity):
            assert first <= address <= last - registers.WINDOW_BYTES + 1


@pytest.mark.parametrize("digest", ["", "ab", "x" * 64, "A" * 64])
def test_what_is_no_digest_is_refused(digest: str) -> None:
    with pytest.raises(InvalidValueError, match="digest: must be 64 hexadecimal digits"):
        registers.digest_words(digest)


BENCH = """
module bench;
    reg clock = 0;
    reg reset_n = 0;
    reg [15:0] address = 0;
    reg ask = 0, take = 0, write = 0, taken = 0;
    wire awready, wready, bvalid, arready, rvalid;
    wire [31:0] data;
    wire [1:0] bresp, rresp;
    integer offset;
    always #5 clock = !clock;
    engine_id dut (
        .aclk(clock), .aresetn(reset_n),
        .s_axi_awaddr(16'h0000), .s_axi_awprot(3'b000), .s_axi_awvalid(write), .s_axi_awready(awready),
        .s_axi_wdata(32'hffffffff), .s_axi_wstrb(4'hf), .s_axi_wvalid(write), .s_axi_wready(wready),
        .s_axi_bresp(bresp), .s_axi_bvalid(bvalid), .s_axi_bready(taken),
        .s_axi_araddr(address), .s_axi_arprot(3'b000), .s_axi_arvalid(ask), .s_axi_arready(arready),
        .s_axi_rdata(data), .s_axi_rresp(rresp), .s_axi_rvalid(rvalid), .s_axi_rready(take)
    );
    initial begin
        #3000000 $display("hangs");
        $finish;
    end
    initial begin
        repeat (3) @(negedge clock);
        reset_n = 1;
        @(negedge clock);
        write = 1;  // ignored, and answered once
        @(negedge clock);
        write = 0;
        if (!bvalid || bresp != 0) $display("write was not answered");
        repeat (2) @(negedge clock);
        if (!bvalid) $display("answer was dropped");
        taken = 1;
        @(negedge clock);
        taken = 0;
        if (bvalid) $display("write was answered twice");
        for (offset = 0; offset < 65536; offset = offset + 4) begin
            address = offset;
            ask = 1;
            while (!arready) @(negedge clock);
            @(negedge clock);
            ask = 0;
            address = 16'hffff;
            repeat (offset % 3) @(negedge clock);  // a master that is slow to take the answer
            if (!rvalid || rresp != 0 || arready) $display("read %h was not answered", offset);
            if (data != 0) $display("%h %h", offset[15:0], data);
            take = 1;
            @(negedge clock);
            take = 0;
            if (rvalid) $display("read %h was answered twice", offset);
        end
        $finish;
    end
endmodule
"""


@pytest.mark.parametrize("implementation", Implementation)
def test_the_identity_block_answers_the_table_and_zero_elsewhere(
    implementation: Implementation, tmp_path: Path
) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not on the PATH (Debian: apt-get install iverilog)")
    rendered = render(ACCELERATOR, load_board("pynq-z2"), implementation=implementation)
    write_rendered(rendered, tmp_path)
    (tmp_path / "bench.v").write_text(BENCH)
    sources = ["rtl/engine_id.v", "rtl/digest.v", "bench.v"]
    command = ["iverilog", "-g2001", "-Wall", "-Wno-timescale", "-o", "bench", *sources]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert "rtl/" not in built.stderr
    shown = subprocess.run(["./bench"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    answered = {
        int(offset, 16): int(word, 16) for offset, word in re.findall(r"^(\w{4}) (\w{8})$", shown, re.MULTILINE)
    }
    assert len(answered) == len(shown.split("\n")) - 1, shown
    constants = registers.identity_constants(implementation, clock_mhz=125)
    assert answered == constants | registers.digest_words(rendered[DIGEST_FILE].strip())
    assert constants[0] == int.from_bytes(b"CDSG", "big")
    assert (constants[4], constants[8]) == ({Implementation.HLS: 3, Implementation.RTL: 2}[implementation], 5)


def test_error_codes_count_up_from_none_as_the_simulation_looks_them_up() -> None:
    assert list(registers.ENGINE_ERRORS) == list(range(9))
    sizes = render(ACCELERATOR, load_board("pynq-z2"))["tb/engine_sizes.h"]
    table = re.search(r"ENGINE_ERRORS\[\] = \{(.*?)\};", sizes, re.DOTALL)
    assert table is not None
    assert re.findall('"(.*)"', table[1]) == list(registers.ENGINE_ERRORS.values())
