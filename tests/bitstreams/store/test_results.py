"""Results of a build, whole and spoilt in every way, on their way into a store."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.boards.fake_vendor import FakeVendor
from support.boards.vendor_files import bit_file, handoff
from support.mutations import drive, mutated_bytes, mutated_json

from bitstreams.building.archive import read_members
from bitstreams.building.design import parse_design
from bitstreams.building.reports import CoSimulation, Synthesis, Timing, Utilisation
from bitstreams.building.script import build_bitstream
from bitstreams.store.bitstream import Bitstream, Quantity
from bitstreams.store.results import check_build, compare, import_files, import_results
from bitstreams.store.store import Store
from cost_models.engine.blocks import engine_blocks
from cost_models.resources import estimate_resources
from hw_templates.board import Board, load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import StorageError

FIXTURES = Path(__file__).parents[4] / "shared/fixtures/pynq_z2_ad08"
ZCU104 = load_board("zcu104")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        found = {member.name.removeprefix("./"): tar.extractfile(member) for member in tar if member.isreg()}
        return {name: file.read() for name, file in found.items() if file is not None}


def packed(contents: dict[str, bytes], path: Path) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_a_build_becomes_an_entry_with_everything_known_about_it(project: Path, archive: Path, store: Store) -> None:
    entry, new = import_results(store, archive)
    assert new
    assert import_results(store, archive) == (entry, False)
    record = json.loads((project / "project.json").read_text())
    made = entry.bitstream
    assert made.hardware_sha256 == record["hardware_sha256"]
    assert made.design == f"engine_{record['hardware_sha256'][:8]}"
    assert (made.board, made.part, made.clock_mhz) == ("zcu104", ZCU104.part, 100.0)
    assert made.accelerator is not None
    assert made.accelerator.as_dict() == record["accelerator"]
    assert made.tools == {"hls": "vitis_hls 2023.2", "vivado": "2023.2"}
    assert (made.timing.wns_ns, made.timing.whs_ns) == (0.125, 0.021)
    assert (made.utilisation.lut, made.utilisation.dsp) == (28000, 135)
    assert store.verify(entry) == []
    assert entry.path("bit").name == f"{entry.digest[:16]}.bit"
    assert (entry.folder / "hardware/hls/compute.cpp").read_bytes() == (project / "hls/compute.cpp").read_bytes()


def test_each_figure_stands_beside_the_prediction(project: Path, archive: Path, store: Store) -> None:
    made = import_results(store, archive)[0].bitstream
    assert made.accelerator is not None
    needed = estimate_resources(made.accelerator, ZCU104)
    figures = {figure.name: figure for figure in made.figures}
    lut = figures["lut"]
    assert (lut.predicted, lut.synthesis, lut.implementation) == (needed.lut, 30000, 25000)
    assert lut.deviation == pytest.approx(25000 / needed.lut - 1)
    assert figures["bram_18k"].implementation == 57
    clock = figures["clock_mhz"]
    assert clock.predicted == made.accelerator.clock_mhz == 100
    assert clock.implementation == pytest.approx(1000 / (10 - 0.125))
    latency = figures["latency_cycles"]
    record = json.loads((project / "project.json").read_text())
    assert latency.predicted == pytest.approx(record["predicted"]["latency_ms"] * 100e3)
    assert (latency.synthesis, latency.implementation) == (None, 9900)


def test_a_build_of_the_verilog_has_no_figures_of_hls(rtl_archive: Path, store: Store) -> None:
    entry, _ = import_results(store, rtl_archive)
    made = entry.bitstream
    assert store.verify(entry) == []
    assert (made.implementation, made.tools) == (Implementation.RTL, {"vivado": "2023.2"})
    assert (made.timing.wns_ns, made.timing.whs_ns) == (0.125, 0.021)
    figures = {figure.name: figure for figure in made.figures}
    assert made.accelerator is not None
    blocks = engine_blocks(EngineShape(accelerator=made.accelerator, family=ZCU104.family))
    assert (figures["dsp"].predicted, figures["dsp"].implementation) == (blocks.dsp, 135)
    assert figures["bram_18k"].predicted == blocks.ramb18 + 2 * blocks.ramb36
    assert figures["lut"].implementation == 25000
    assert figures["clock_mhz"].implementation == pytest.approx(1000 / (10 - 0.125))
    assert all(figure.synthesis is None for figure in made.figures)
    # Nothing of a build states cycles.
    assert figures["latency_cycles"].implementation is None
    assert figures["latency_cycles"].deviation is None


def test_where_an_engine_is_not_stored_the_newest_one_is_named(
    archive: Path, rtl_archive: Path, rtl_emitted: Path, store: Store
) -> None:
    wanted = (rtl_emitted / "hardware.sha256").read_text().strip()
    with pytest.raises(StorageError, match=f"no bitstream of engine {wanted[:12]}; `codesign build RUN`"):
        store.find_engine(wanted)
    hls = import_results(store, archive)[0].bitstream.hardware_sha256
    assert hls is not None
    with pytest.raises(StorageError, match=rf"{wanted[:12]} \(the newest one is of {hls[:12]}, hls for zcu104\); `"):
        store.find_engine(wanted)
    entry, _ = import_results(store, rtl_archive)
    assert store.find_engine(wanted) == entry.path("bit")


def test_the_store_s_digest_follows_hardware_and_tools(
    project: Path, archive: Path, vendor: FakeVendor, store: Store
) -> None:
    first, _ = import_results(store, archive)
    vendor.install("vivado", "2024.1")
    second, new = import_results(store, build_bitstream(project, True, lambda _: None))
    assert new
    assert first.digest != second.digest
    assert first.bitstream.hardware_sha256 == second.bitstream.hardware_sha256


def replaced(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
    def spoil(contents: dict[str, bytes]) -> None:
        (found,) = [path for path in contents if path.endswith(name)]
        assert old in contents[found]
        contents[found] = contents[found].replace(old, new)

    return spoil


def without(ending: str) -> Callable[[dict[str, bytes]], None]:
    def spoil(contents: dict[str, bytes]) -> None:
        for path in [path for path in contents if path.endswith(ending)]:
            del contents[path]

    return spoil


def truncated(ending: str) -> Callable[[dict[str, bytes]], None]:
    def spoil(contents: dict[str, bytes]) -> None:
        for path in [path for path in contents if path.endswith(ending)]:
            contents[path] = contents[path][:-5]

    return spoil


def changed(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def spoil(contents: dict[str, bytes]) -> None:
        record = json.loads(contents["hardware/project.json"])
        change(record)
        contents["hardware/project.json"] = json.dumps(record).encode()

    return spoil


def recording(name: str, value: object) -> Callable[[dict[str, bytes]], None]:
    return changed(lambda record: record.update({name: value}))


def named_for(implementation: str) -> Callable[[dict[str, bytes]], None]:
    return recording("implementation", implementation)


def predicting(values: dict[str, object]) -> Callable[[dict[str, bytes]], None]:
    return changed(lambda record: record["predicted"].update(values))


def with_file(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda contents: contents.update({name: content})


def other_bit(contents: dict[str, bytes]) -> None:
    (path,) = [path for path in contents if path.endswith(".bit")]
    contents[path] = bit_file("engine_cafecafe", ZCU104.part, 0xCAFECAFE)


def other_part(contents: dict[str, bytes]) -> None:
    (path,) = [path for path in contents if path.endswith(".bit")]
    contents[path] = bit_file(path.removesuffix(".bit"), "7z020clg400", int(path[7:15], 16))


def other_user_id(contents: dict[str, bytes]) -> None:
    (path,) = [path for path in contents if path.endswith(".bit")]
    contents[path] = bit_file(path.removesuffix(".bit"), ZCU104.part, 1)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without(".bit"), r"\.bit: is missing"),
        (without(".hwh"), r"\.hwh: is missing"),
        (without(".xsa"), r"\.xsa: is missing"),
        (without("project.json"), r"hardware/project\.json: is missing"),
        (without("hardware.sha256"), r"hardware/hardware\.sha256: is missing"),
        (without("implementation.txt"), r"implementation\.txt: is missing"),
        (without("tools.txt"), r"tools\.txt: is missing"),
        (truncated(".bit"), r"\.bit: is truncated"),
        (truncated(".hwh"), r"\.hwh: is corrupt"),
        (truncated("project.json"), r"hardware/project\.json: project: must be sound JSON"),
        (named_for("rtl"), r"hardware/hls/\S+: is no source of an engine of implementation rtl"),
        (other_bit, r"is of design engine_cafecafe_wrapper, its hand-off of"),
        (other_part, r"is for part 7z020clg400, zcu104 has xczu7ev"),
        (other_user_id, r"its sources make engine_"),
        (replaced("hls/store.cpp", b"{", b"{ "), "a source was changed after it was emitted"),
        (replaced(".hwh", b"0xA0010000", b"0xA0020000"), "engine_id must lie at 0xa0010000, there is 0xa0020000"),
        (
            replaced(".hwh", b"conv_engine", b"another_one"),
            "conv_engine must lie at 0xa0000000, there is no such block",
        ),
        (
            replaced("xconv_engine_hw.h", b"OUTCOME_DATA 0x60", b"OUTCOME_DATA 0x64"),
            "outcome must lie at 0x60, this Vitis HLS put it at 0x64",
        ),
        (
            replaced("xconv_engine_hw.h", b"REGISTERS_DATA", b"REGISTERS_PROGRAM_WORD_DATA"),
            "registers must lie at 0x40, this Vitis HLS put it nowhere",
        ),
        (replaced("implementation.txt", b"wns_ns 0.125", b"wns_ns -0.125"), r"setup slack is -0\.125 ns"),
        (replaced("implementation.txt", b"whs_ns 0.021", b"whs_ns -0.021"), r"hold slack is -0\.021 ns"),
        (replaced("implementation.txt", b"wns_ns 0.125", b"wns_ns ?"), r"no setup slack is reported"),
        (replaced("conv_engine_cosim.rpt", b"Pass", b"Fail"), "the RTL disagrees with the C"),
        (replaced("implementation.txt", b"wns_ns 0.125", b"wns_ns 1e999"), r"timing\.wns_ns: must be a finite number"),
        (
            replaced("csynth.xml", b"<DSP>140", b"<DSP>-140"),
            r"csynth\.xml: utilisation\.dsp: must be a number, zero or more",
        ),
        (predicting({"latency_ms": -1.0}), r"predicted\.latency_ms: must be a positive number, got -1\.0"),
        (predicting({"latency_ms": 0.0}), r"predicted\.latency_ms"),
        (predicting({"latency_ms": 10**400}), r"project\.json: project"),
        (predicting({"latency_ms": "1"}), r"project\.predicted\.latency_ms: must be a number, got '1'"),
        (predicting({"energy_mj": -1.0}), r"predicted\.energy_mj"),
        *(
            (recording("predicted", value), r"project\.json: project\.predicted")
            for value in ({}, "x", None, [], 10**400, True)
        ),
        (recording("board", "../pynq-z2"), r"project\.json: board: must be one of"),
        (recording("format", 1), r"project\.format: must be 2"),
        (with_file("tools.txt", b"hls 1\nvivado 2\nhardware_sha256 cafe\n"), "tools.txt: must hold a version of hls"),
        (with_file("tools.txt", b"hls a\x1b[31m\nvivado 2\n"), "tools.txt: must hold a version of hls"),
        (with_file("engine_cafecafe.bit", b"x"), "engine_cafecafe.bit: is of another design"),
        (with_file("build.json", b"{}"), "holds 'build.json', which no build leaves"),
        (with_file("0123456789abcdef.bit", b"x"), "holds '0123456789abcdef.bit', which no build leaves"),
        (with_file("././/tools.txt", b"x"), "holds '././/tools.txt', which no build leaves"),
        (with_file("reports/other.rpt", b"x"), "holds 'reports/other.rpt', which no build leaves"),
    ],
)
def test_spoilt_results_are_refused_and_leave_nothing(
    archive: Path, store: Store, tmp_path: Path, spoil: Callable[[dict[str, bytes]], None], message: str
) -> None:
    contents = members(archive)
    spoil(contents)
    with pytest.raises(StorageError, match=message) as refused:
        import_results(store, packed(contents, tmp_path / "spoilt.tar"))
    assert str(refused.value).startswith(f"{tmp_path / 'spoilt.tar'}: ")
    assert "codesign-" not in str(refused.value)
    assert store.entries() == ()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (named_for("hls"), "hardware/rtl/.*: is no source of an engine of implementation hls"),
        (with_file("hardware/hls/store.cpp", b"x"), "hardware/hls/store.cpp: is no source of .* implementation rtl"),
        (
            replaced(".hwh", b"engine_axi", b"conv_engine"),
            "implementation hls .conv_engine., expected rtl .engine_axi.",
        ),
        (with_file("reports/csynth.xml", b"<a/>"), "reports/csynth.xml: is of Vitis HLS, which does not build"),
        (with_file("tools.txt", b"hls vitis_hls 2023.2\nvivado 2023.2\n"), "tools.txt: must hold a version of vivado;"),
        (replaced("rtl/store.v", b";", b" ;"), "a source was changed after it was emitted"),
    ],
)
def test_results_that_mix_the_implementations_are_refused(
    rtl_archive: Path, store: Store, tmp_path: Path, spoil: Callable[[dict[str, bytes]], None], message: str
) -> None:
    contents = members(rtl_archive)
    spoil(contents)
    with pytest.raises(StorageError, match=message):
        import_results(store, packed(contents, tmp_path / "mixed.tar"))
    assert store.entries() == ()


@pytest.mark.parametrize("ending", ["csynth.xml", "_cosim.rpt", "xconv_engine_hw.h", "utilization.rpt", "timing.rpt"])
def test_reports_that_may_be_missing_are_survived(archive: Path, store: Store, tmp_path: Path, ending: str) -> None:
    contents = members(archive)
    without(ending)(contents)
    entry, _ = import_results(store, packed(contents, tmp_path / "less.tar"))
    assert store.verify(entry) == []
    assert len(entry.bitstream.figures) == 7


def test_what_is_stored_are_the_bytes_that_were_checked(archive: Path, store: Store) -> None:
    contents = members(archive)
    entry, _ = import_results(store, archive)
    stored = {
        str(path.relative_to(entry.folder)): path.read_bytes() for path in entry.folder.rglob("*") if path.is_file()
    }
    del stored["build.json"]
    design = entry.bitstream.design
    expected = {name.replace(design, entry.digest[:16]): content for name, content in contents.items()}
    assert stored == expected
    assert entry.bitstream.files == {name: hashlib.sha256(content).hexdigest() for name, content in expected.items()}


def test_an_archive_that_changes_after_it_was_read_changes_nothing(
    archive: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.tar"
    path.write_bytes(archive.read_bytes())

    def check(contents: dict[str, bytes]) -> Bitstream:
        path.write_bytes(b"other")
        return check_build(contents)

    monkeypatch.setattr("bitstreams.store.results.check_build", check)
    entry, _ = import_results(store, path)
    assert store.verify(entry) == []


def test_files_that_change_after_they_were_read_change_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bit, hwh = tmp_path / "a.bit", tmp_path / "a.hwh"
    bit.write_bytes(bit_file("design_1", "7z020clg400"))
    hwh.write_bytes(handoff("design_1", "7z020", "clg400", "processing_system7", 100_000_000, {}))

    def parse(bit_path: Path, bit_content: bytes, hwh_path: Path, hwh_content: bytes, board: Board) -> object:
        bit.write_bytes(b"other")
        hwh.write_bytes(b"other")
        return parse_design(bit_path, bit_content, hwh_path, hwh_content, board)

    monkeypatch.setattr("bitstreams.store.results.parse_design", parse)
    entry, _ = import_files(store, bit, hwh, load_board("pynq-z2"))
    assert store.verify(entry) == []


def test_any_spoilt_project_record_is_read_or_refused_in_one_line(archive: Path) -> None:
    contents = members(archive)
    record = json.loads(contents["hardware/project.json"])
    del record["layers"][1:]

    def read(content: bytes) -> None:
        check_build({**contents, "hardware/project.json": content})

    accepted, refused = drive(read, mutated_json(record, 2_000))
    assert accepted > 50
    assert refused > 1_000


def test_any_spoilt_archive_is_read_or_refused_in_one_line(archive: Path) -> None:
    content = archive.read_bytes()

    def read(spoilt: bytes) -> None:
        check_build(dict(read_members(io.BytesIO(spoilt))))

    accepted, refused = drive(read, mutated_bytes(content, 2_000))
    assert accepted > 10
    assert refused > 1_500


@pytest.mark.skipif(not FIXTURES.exists(), reason="the real bitstream is not at ../shared/fixtures")
def test_a_real_bitstream_is_imported_verified_and_refused_for_another_board(store: Store) -> None:
    bit, hwh = FIXTURES / "design_1_wrapper.bit", FIXTURES / "design_1_wrapper.hwh"
    with pytest.raises(StorageError, match="is for part 7z020clg400, ultra96-v2 has xczu3eg-sbva484-1-i"):
        import_files(store, bit, hwh, load_board("ultra96-v2"))
    assert store.entries() == ()
    entry, new = import_files(store, bit, hwh, load_board("pynq-z2"))
    assert new
    assert import_files(store, bit, hwh, load_board("pynq-z2")) == (entry, False)
    assert store.verify(entry) == []
    made = entry.bitstream
    assert (made.design, made.clock_mhz, made.tools) == ("design_1", 100.0, {"vivado": "2019.1"})
    assert (made.accelerator, made.hardware_sha256, made.figures) == (None, None, ())
    assert entry.path("bit").read_bytes() == bit.read_bytes()


def test_a_hand_off_of_another_design_is_refused(tmp_path: Path, store: Store) -> None:
    bit, hwh = tmp_path / "a.bit", tmp_path / "a.hwh"
    bit.write_bytes(bit_file("design_1", "7z020clg400"))
    hwh.write_bytes(handoff("design_2", "7z020", "clg400", "processing_system7", 100_000_000, {}))
    with pytest.raises(StorageError, match="is of design design_1_wrapper, its hand-off of design_2"):
        import_files(store, bit, hwh, load_board("pynq-z2"))
    with pytest.raises(StorageError, match=r"gone\.hwh: cannot be read"):
        import_files(store, bit, tmp_path / "gone.hwh", load_board("pynq-z2"))


ACCELERATOR = Accelerator(
    pe_rows=8,
    pe_cols=8,
    pe_pixels=2,
    pack=1,
    ifmap_kib=8,
    weight_kib=8,
    ofmap_kib=8,
    axi_bits=64,
    clock_mhz=100,
)
BOARD = load_board("pynq-z2")


def test_unknown_reports_leave_the_prediction_alone() -> None:
    needed = estimate_resources(ACCELERATOR, BOARD, Implementation.HLS)
    figures = compare(needed, 100, 1234.0, None, Synthesis(), CoSimulation(), Timing(), Utilisation())
    assert [figure.name for figure in figures] == [
        "dsp",
        "bram_18k",
        "uram",
        "lut",
        "ff",
        "clock_mhz",
        "latency_cycles",
    ]
    assert [figure.predicted for figure in figures] == [*vars(needed).values(), 100, 1234]
    assert all(figure.synthesis is None and figure.implementation is None for figure in figures)
    assert all(figure.deviation is None for figure in figures)


def test_slack_says_how_fast_the_design_could_run() -> None:
    slack, periods = Timing(wns_ns=2.0), Synthesis(estimated_clock_ns=8.0)
    needed = estimate_resources(ACCELERATOR, BOARD, Implementation.RTL)
    figures = compare(needed, 100, 1.0, 100.0, periods, CoSimulation(True, 50.0), slack, Utilisation(dsp=3))
    by_name = {figure.name: figure for figure in figures}
    assert by_name["clock_mhz"] == Quantity(name="clock_mhz", predicted=100.0, synthesis=125.0, implementation=125.0)
    assert by_name["latency_cycles"] == Quantity(
        name="latency_cycles", predicted=1.0, synthesis=None, implementation=50.0
    )
    assert by_name["dsp"].implementation == 3
