"""The Tcl scripts, run in tclsh: commands, ports and addresses as the vendor's tools would see them."""

import re
from pathlib import Path

import pytest
from support.boards.vendor_tcl import Recorded, run_script, write_rendered

from hw_templates.board import Board, board_names, load_board
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
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

SMARTCONNECT = {"aclk", "aresetn", "S00_AXI", "M00_AXI"}
INTERFACES = {"s_axi_control", "m_axi_ifmap", "m_axi_weights", "m_axi_residual", "m_axi_ofmap", "interrupt"}
ENGINE = {
    Implementation.HLS: INTERFACES | {"ap_clk", "ap_rst_n", *(f"clocks_{stage}" for stage in range(7))},
    Implementation.RTL: INTERFACES | {"aclk", "aresetn"},
}

both = pytest.mark.parametrize("implementation", Implementation)


def project(folder: Path, board: Board, implementation: Implementation = Implementation.HLS) -> str:
    """Write the rendered files, and what C synthesis leaves; returns the design's name."""
    files = render(ACCELERATOR, board, implementation=implementation)
    write_rendered(files, folder)
    if implementation == Implementation.HLS:
        (folder / "build/hls/solution/impl/ip").mkdir(parents=True)
    return f"engine_{files[DIGEST_FILE][:8]}"


def settings_of(recorded: Recorded, cell: str) -> dict[str, str]:
    """CONFIG name to value of one cell, from ``set_property -dict``."""
    found: dict[str, str] = {}
    for call in recorded.of("set_property"):
        if call[1] == "-dict" and call[3] == f"/{cell}":
            found |= dict(pairs(call[2]))
    return found


def pairs(text: str) -> list[tuple[str, str]]:
    """Name and value of a flat Tcl dictionary whose values are bare or braced."""
    words: list[str] = []
    rest = text.strip()
    while rest:
        word, _, rest = rest[1:].partition("}") if rest[0] == "{" else rest.partition(" ")
        words.append(word)
        rest = rest.strip()
    return list(zip(words[::2], words[1::2], strict=True))


def pins_of_processor(settings: dict[str, str]) -> set[str]:
    """Pins that the processor has with these settings, by the vendor's naming (PG082, PG201)."""
    pins: set[str] = set()
    if settings.get("CONFIG.PCW_USE_M_AXI_GP0") == "1":
        pins |= {"M_AXI_GP0", "M_AXI_GP0_ACLK", "FCLK_CLK0", "FCLK_RESET0_N", "DDR", "FIXED_IO"}
    if settings.get("CONFIG.PSU__USE__M_AXI_GP0") == "1":
        pins |= {"M_AXI_HPM0_FPD", "maxihpm0_fpd_aclk", "pl_clk0", "pl_resetn0"}
    if settings.get("CONFIG.PCW_USE_FABRIC_INTERRUPT") == settings.get("CONFIG.PCW_IRQ_F2P_INTR") == "1":
        pins |= {"IRQ_F2P"}
    if settings.get("CONFIG.PSU__USE__IRQ0") == "1":
        pins |= {"pl_ps_irq0"}
    for number in range(4):
        if settings.get(f"CONFIG.PCW_USE_S_AXI_HP{number}") == "1":
            pins |= {f"S_AXI_HP{number}", f"S_AXI_HP{number}_ACLK"}
    for number, name in enumerate(("HPC0", "HPC1", "HP0", "HP1", "HP2", "HP3")):
        if settings.get(f"CONFIG.PSU__USE__S_AXI_GP{number}") == "1":
            pins |= {f"S_AXI_{name}_FPD", f"saxi{name.lower()}_fpd_aclk"}
    return pins


@both
@pytest.mark.parametrize("name", board_names())
def test_every_pin_exists_and_is_connected(tmp_path: Path, name: str, implementation: Implementation) -> None:
    board = load_board(name)
    project(tmp_path, board, implementation)
    recorded = run_script(tmp_path, "tcl/bitstream.tcl")
    assert recorded.code == 0, recorded.output
    expected = {
        "ps": pins_of_processor(settings_of(recorded, "ps")),
        "engine": ENGINE[implementation],
        "identity": {"aclk", "aresetn", "s_axi"},
        "reset": {"slowest_sync_clk", "ext_reset_in", "peripheral_aresetn"},
        "control": SMARTCONNECT | {"M01_AXI"},
        **{f"memory_{port}": SMARTCONNECT for port in ("ifmap", "weights", "residual", "ofmap")},
    }
    if implementation == Implementation.HLS:
        expected["counter"] = {"aclk", "aresetn", "cycles"}
    assert len(expected["ps"]) == (15 if board.family == "zynq-7000" else 13)
    touched: dict[str, set[str]] = {}
    for call in recorded.of("connect_bd_net", "connect_bd_intf_net"):
        for end in call[1:]:
            _, cell, *pin = end.split("/")
            if pin:
                touched.setdefault(cell, set()).add(pin[0])
    assert touched == expected
    cells = [call[-1] for call in recorded.of("create_bd_cell")]
    assert sorted(cells) == sorted(expected)


def test_every_port_of_the_module_says_which_interface_it_belongs_to() -> None:
    text = render(ACCELERATOR, load_board("zcu104"), implementation=Implementation.RTL)["rtl/engine_axi.v"]
    said = dict.fromkeys(re.findall(r'X_INTERFACE_INFO = "\S+ (\S+) (\S+)" \*\)', text))
    interfaces = {interface for interface, _ in said}
    assert interfaces == ENGINE[Implementation.RTL]
    ports = re.findall(r"^    (?:in|out)put wire (?:\[\d+:0\] )?(\w+),?$", text, re.MULTILINE)
    busses = [f"{interface}_{signal.lower()}" for interface, signal in said if interface.startswith(("s_", "m_"))]
    assert ports == ["aclk", "aresetn", *busses, "interrupt"]
    (associated,) = re.findall(r"ASSOCIATED_BUSIF ([\w:]+), ASSOCIATED_RESET aresetn", text)
    assert set(associated.split(":")) == INTERFACES - {"interrupt"}
    for interface in INTERFACES - {"interrupt"}:
        (width,) = re.findall(rf"XIL_INTERFACENAME {interface}, .*DATA_WIDTH (\d+)", text)
        assert re.search(rf"wire \[{int(width) - 1}:0\] {interface}_[rw]data,", text)


@both
@pytest.mark.parametrize("name", board_names())
def test_each_engine_port_reaches_its_memory_port_and_sees_ddr_only(
    tmp_path: Path, name: str, implementation: Implementation
) -> None:
    board = load_board(name)
    project(tmp_path, board, implementation)
    recorded = run_script(tmp_path, "tcl/bitstream.tcl")
    joined = {call[1]: call[2] for call in recorded.of("connect_bd_intf_net")}
    suffix = "" if board.family == "zynq-7000" else "_FPD"
    for engine_port, memory_port in zip(("ifmap", "weights", "residual", "ofmap"), board.ps.memory_ports, strict=True):
        assert joined[f"/engine/m_axi_{engine_port}"] == f"/memory_{engine_port}/S00_AXI"
        assert joined[f"/memory_{engine_port}/M00_AXI"] == f"/ps/S_AXI_{memory_port}{suffix}"
        space = f"/engine/{'Data_' if implementation == Implementation.HLS else ''}m_axi_{engine_port}"
        mapped = [call[-1] for call in recorded.of("assign_bd_address") if space in call]
        hidden = [call[-1] for call in recorded.of("exclude_bd_addr_seg") if space in call]
        assert mapped
        assert all(memory_port in segment and "DDR" in segment for segment in mapped)
        assert not any("DDR" in segment for segment in hidden)


def test_memory_ports_of_zynq_7000_stay_64_bits_wide_and_others_follow_the_engine(tmp_path: Path) -> None:
    narrow = Accelerator(
        pe_rows=16,
        pe_cols=8,
        pe_pixels=3,
        pack=2,
        ifmap_kib=16,
        weight_kib=8,
        ofmap_kib=4,
        axi_bits=32,
        clock_mhz=125,
    )
    for name, expected in (("pynq-z2", "64"), ("zcu104", "32")):
        folder = tmp_path / name
        project(folder, load_board(name))
        write_rendered(render(narrow, load_board(name)), folder)
        settings = settings_of(run_script(folder, "tcl/bitstream.tcl"), "ps")
        widths = {key: value for key, value in settings.items() if key.endswith("DATA_WIDTH") and "_S" in key}
        assert len(widths) == 4
        assert set(widths.values()) == {expected}


@pytest.mark.parametrize("name", board_names())
def test_the_processor_gets_the_board_file_s_preset_and_the_clock(tmp_path: Path, name: str) -> None:
    board = load_board(name)
    project(tmp_path, board)
    settings = settings_of(run_script(tmp_path, "tcl/bitstream.tcl"), "ps")
    for parameter, value in board.ps.preset.items():
        assert settings[f"CONFIG.{parameter}"] == value
    clock = {
        "zynq-7000": "CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ",
        "zynq-ultrascale+": "CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ",
    }[board.family]
    assert settings[clock] == "125"
    source = settings.get(
        "CONFIG.PCW_FCLK0_PERIPHERAL_CLKSRC", settings.get("CONFIG.PSU__CRL_APB__PL0_REF_CTRL__SRCSEL")
    )
    assert source == {"pynq-z2": "IO PLL", "ultra96-v2": "IOPLL", "zcu104": "RPLL", "kv260": "RPLL"}[name]


@both
@pytest.mark.parametrize("name", ["pynq-z2", "zcu104"])
def test_registers_lie_where_the_table_says(tmp_path: Path, name: str, implementation: Implementation) -> None:
    board = load_board(name)
    project(tmp_path, board, implementation)
    recorded = run_script(tmp_path, "tcl/bitstream.tcl")
    places = {}
    for call in recorded.of("assign_bd_address"):
        options = dict(zip(call[1:-1:2], call[2:-1:2], strict=True))
        if "-offset" in options:
            places[call[-1]] = (int(options["-offset"], 16), int(options["-range"], 16))
            assert options["-target_address_space"] == "/ps/Data"
    addresses = registers.ADDRESS_MAPS[board.family]
    segment = {Implementation.HLS: "Reg", Implementation.RTL: "reg0"}[implementation]
    assert places == {
        f"/engine/s_axi_control/{segment}": (addresses.engine, registers.WINDOW_BYTES),
        "/identity/s_axi/reg0": (addresses.identity, registers.WINDOW_BYTES),
    }


@both
def test_steps_come_in_order_and_leave_the_results(tmp_path: Path, implementation: Implementation) -> None:
    design = project(tmp_path, load_board("zcu104"), implementation)
    recorded = run_script(tmp_path, "tcl/bitstream.tcl")
    order = [
        "create_project",
        "add_files",
        "create_bd_design",
        "validate_bd_design",
        "save_bd_design",
        "generate_target",
        "make_wrapper",
        "launch_runs",
        "open_run",
        "report_timing_summary",
        "report_utilization",
        "write_hw_platform",
    ]
    first = [next(index for index, call in enumerate(recorded.calls) if call[0] == name) for name in order]
    assert first == sorted(first)
    assert [call[1:-2] for call in recorded.of("launch_runs")] == [
        ("synth_1",),
        ("impl_1", "-to_step", "route_design"),
        ("impl_1", "-to_step", "write_bitstream"),
    ]
    assert recorded.of("create_project") == [
        ("create_project", "-force", "vivado", "build/vivado", "-part", "xczu7ev-ffvc1156-2-e")
    ]
    results = {path.name for path in (tmp_path / "build/results").iterdir()}
    assert results == {"reports", f"{design}.bit", f"{design}.hwh", f"{design}.xsa"}
    assert (tmp_path / "build/results/reports/implementation.txt").read_text() == (
        f"design {design}\npart xczu7ev-ffvc1156-2-e\nvivado 2023.2\n"
        "wns_ns 0.125\ntns_ns 0.000\nwhs_ns 0.021\nths_ns 0.000\n"
    )
    assert f"0x{design.removeprefix('engine_')}" in (tmp_path / "build/identity.xdc").read_text()


def test_the_verilog_is_synthesised_with_its_headers_and_without_hls(tmp_path: Path) -> None:
    project(tmp_path, load_board("zcu104"), Implementation.RTL)
    recorded = run_script(tmp_path, "tcl/bitstream.tcl")
    added = {path for call in recorded.of("add_files") for path in call[-1].split()}
    sources = {str(path.relative_to(tmp_path)) for path in (tmp_path / "rtl").iterdir()}
    assert sources <= added
    properties = [call[1:3] for call in recorded.of("set_property")]
    assert ("include_dirs", str(tmp_path / "rtl")) in properties
    assert ("synth_checkpoint_mode", "None") in properties
    assert not recorded.of("update_ip_catalog")
    assert {path.name for path in (tmp_path / "tcl").iterdir()} == {
        "bitstream.tcl",
        "block_design.tcl",
        "engine.tcl",
        "hardware.tcl",
    }


def test_the_newest_ip_is_taken_and_no_version_is_named(tmp_path: Path) -> None:
    project(tmp_path, load_board("zcu104"))
    cells = run_script(tmp_path, "tcl/bitstream.tcl").of("create_bd_cell")
    # 3.10 comes after 3.3, though not in the alphabet.
    assert ("create_bd_cell", "-type", "ip", "-vlnv", "xilinx.com:ip:zynq_ultra_ps_e:3.10", "ps") in cells
    for script in (tmp_path / "tcl").glob("*.tcl"):
        assert ":ip:" not in script.read_text()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"WNS": "-0.310"}, "ERROR: timing: setup slack is -0.310 ns at 125 MHz"),
        ({"WHS": "-0.002"}, "ERROR: timing: hold slack is -0.002 ns at 125 MHz"),
        ({"WNS": ""}, "ERROR: timing: no setup slack was reported"),
        ({"STATUS": "synth_design ERROR"}, "ERROR: synth_1: synth_design did not finish (synth_design ERROR)"),
    ],
)
@both
def test_a_failed_implementation_writes_no_bitstream(
    tmp_path: Path, settings: dict[str, str], message: str, implementation: Implementation
) -> None:
    project(tmp_path, load_board("pynq-z2"), implementation)
    recorded = run_script(tmp_path, "tcl/bitstream.tcl", **settings)
    assert recorded.code == 1
    assert message in recorded.output
    assert not list((tmp_path / "build/results").glob("engine_*"))
    assert not any("write_bitstream" in call for call in recorded.calls)


def test_a_design_without_the_engine_s_ip_says_so(tmp_path: Path) -> None:
    project(tmp_path, load_board("pynq-z2"))
    (tmp_path / "build/hls/solution/impl/ip").rmdir()
    recorded = run_script(tmp_path, "tcl/bitstream.tcl")
    assert recorded.code == 1
    assert "ERROR: build/hls: no IP of the engine; run csynth first" in recorded.output


@pytest.mark.parametrize("cosim", [False, True])
def test_csynth_synthesises_the_engine_for_the_part_and_clock(tmp_path: Path, cosim: bool) -> None:
    project(tmp_path, load_board("pynq-z2"))
    if cosim:
        (tmp_path / "build/options.tcl").write_text("set cosim 1\n")
    recorded = run_script(tmp_path, "tcl/csynth.tcl")
    assert recorded.code == 0, recorded.output
    sources = [Path(call[1]).name for call in recorded.of("add_files") if "-tb" not in call]
    assert sources == sorted(path.name for path in (tmp_path / "hls").glob("*.cpp"))
    flags = f"-I{tmp_path}/hls -std=c++17 -DVENDOR_HEADERS"
    assert all(call[-1] == flags for call in recorded.of("add_files") if "-tb" not in call)
    [bench] = [call for call in recorded.of("add_files") if "-tb" in call]
    assert bench == ("add_files", "-tb", f"{tmp_path}/tb/csim.cpp", "-cflags", f"{flags} -I{tmp_path}/tb")
    steps = [call for call in recorded.calls if call[0] != "add_files"]
    assert steps == [
        ("open_project", "-reset", "hls"),
        ("set_top", "conv_engine"),
        ("open_solution", "-reset", "solution", "-flow_target", "vivado"),
        ("set_part", "xc7z020clg400-1"),
        ("create_clock", "-period", "8.000"),
        ("set_clock_uncertainty", "27%"),
        ("config_interface", "-m_axi_addr64=true"),
        ("csynth_design",),
        *(
            [("cosim_design", "-argv", f"{tmp_path}/program --images {tmp_path}/program/images.bin --count 1")]
            if cosim
            else []
        ),
        ("export_design", "-format", "ip_catalog"),
    ]


def test_the_recorder_refuses_what_no_vendor_tool_knows(tmp_path: Path) -> None:
    for line, message in (
        ("make_coffee", "make_coffee: not a vendor command"),
        ("launch_runs impl_1 -fast", "launch_runs: no option -fast"),
        ("set_part", "set_part: 0 arguments"),
    ):
        (tmp_path / "bad.tcl").write_text(line + "\n")
        recorded = run_script(tmp_path, "bad.tcl")
        assert recorded.code == 1
        assert message in recorded.output
