"""The commands that build and keep bitstreams, as a user meets them."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from support.boards.built_projects import (
    archive,
    emitted,
    project,
    rtl_archive,
    rtl_emitted,
    rtl_project,
    rtl_vendor,
    vendor,
)
from support.boards.fake_vendor import FakeVendor
from support.boards.vendor_files import bit_file, handoff
from support.nameless import become_nameless
from support.small_disk import small_disk
from typer.testing import CliRunner, Result

from bitstreams.store.store import Store
from codesign.cli.main import app

__all__ = [
    "archive",
    "emitted",
    "project",
    "rtl_archive",
    "rtl_emitted",
    "rtl_project",
    "rtl_vendor",
    "vendor",
]

FIXTURES = Path(__file__).parents[4] / "shared/fixtures/pynq_z2_ad08"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store that the commands take from the environment."""
    folder = tmp_path / "store"
    monkeypatch.setenv("CODESIGN_STORE", str(folder))
    return Store(folder)


def codesign(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def check_refused(done: Result, *words: str) -> None:
    """Exit code 2 and one line that holds all the words."""
    assert done.exit_code == 2, done.output
    line = done.stderr.strip()
    assert "\n" not in line
    for word in words:
        assert word in line, line


def test_help_lists_the_commands_and_each_has_an_example() -> None:
    assert "bitstreams" in codesign("--help").stdout
    for command in (
        ("build",),
        ("import",),
        *(("bitstreams", name) for name in ("list", "show", "verify", "import", "gc")),
    ):
        assert "Example: codesign" in codesign(*command, "--help").stdout


def test_a_build_ends_in_the_store_beside_the_prediction(project: Path, vendor: FakeVendor, store: Store) -> None:
    run = project.parent
    done = codesign("build", run, "--tool", "vitis", "--cosim")
    assert done.exit_code == 0, done.stderr
    (entry,) = store.entries()
    assert f"build      {entry.digest[:12]}  zcu104: {entry.bitstream.design}, 100 MHz, slack 0.125 ns" in done.stdout
    for name in ("lut", "clock_mhz", "latency_cycles"):
        assert name in done.stdout
    record = json.loads((run / "build.json").read_text())
    assert record["digest"] == entry.digest
    assert record["store"] == str(store.folder)
    again = codesign("build", run, "--cosim")
    assert again.exit_code == 0
    assert vendor.ran == ["vitis_hls", "vivado"]
    assert len(store.entries()) == 1


def test_an_engine_in_verilog_is_built_and_shown(rtl_project: Path, rtl_vendor: FakeVendor, store: Store) -> None:
    done = codesign("build", rtl_project.parent)
    assert done.exit_code == 0, done.stderr
    assert rtl_vendor.ran == ["vivado"]
    assert "latency_cycles" in done.stdout
    (entry,) = store.entries()
    shown = codesign("bitstreams", "show", entry.digest[:8]).stdout
    for text in ("engine    rtl, pe_rows 8", "tools     vivado 2023.2", "setup 0.125 ns"):
        assert text in shown
    check_refused(codesign("build", rtl_project.parent, "--cosim"), "--cosim: must be left out, as", "is of Verilog")
    assert codesign("build", rtl_project.parent, "--bundle").exit_code == 0


def test_results_of_another_project_are_not_taken_for_the_build_s(
    project: Path, vendor: FakeVendor, rtl_archive: Path, store: Store
) -> None:
    assert codesign("build", project.parent).exit_code == 0
    record = (project.parent / "build.json").read_bytes()
    (project / "results.tar").write_bytes(rtl_archive.read_bytes())
    check_refused(
        codesign("build", project.parent), "results.tar: is of engine", "(rtl), the project of", "(hls); delete"
    )
    assert (project.parent / "build.json").read_bytes() == record
    (project / "results.tar").unlink()
    assert codesign("build", project.parent).exit_code == 0


def test_a_bundle_is_built_elsewhere_and_imported(
    project: Path, archive: Path, vendor: FakeVendor, store: Store, tmp_path: Path
) -> None:
    done = codesign("build", project.parent, "--bundle")
    assert done.exit_code == 0, done.stderr
    assert "codesign import results.tar" in done.stdout
    with tarfile.open(fileobj=io.BytesIO((project.parent / "bundle.tar").read_bytes())) as tar:
        assert any(name.endswith("/build.sh") for name in tar.getnames())
    assert vendor.ran == []
    assert codesign("import", archive).stdout.startswith("imported: ")
    assert codesign("bitstreams", "import", archive).stdout.startswith("already there: ")
    (entry,) = store.entries()
    assert codesign("bitstreams", "list").stdout.startswith(f"{entry.digest[:12]}  zcu104: engine_")
    shown = codesign("bitstreams", "show", entry.digest[:6]).stdout
    for text in (entry.digest, "xczu7ev-ffvc1156-2-e", "pe_rows 8", "setup 0.125 ns", "vitis_hls 2023.2", "deviation"):
        assert text in shown
    verified = codesign("bitstreams", "verify")
    assert verified.exit_code == 0
    assert "files are sound" in verified.stdout


BITSTREAM = (
    "determined_by board part design clock_mhz hardware_sha256 implementation accelerator tools timing utilisation "
    "figures digest imported files"
)


def test_results_are_documents_under_keys_that_scripts_know(
    project: Path, archive: Path, vendor: FakeVendor, store: Store
) -> None:
    def keys(value: dict[str, object]) -> str:
        return " ".join(value)

    imported = json.loads(codesign("import", archive, "--json").stdout)
    assert keys(imported) == "entry new"
    assert keys(imported["entry"]) == "folder bitstream"
    assert keys(imported["entry"]["bitstream"]) == BITSTREAM
    assert keys(imported["entry"]["bitstream"]["figures"][0]) == "name predicted synthesis implementation deviation"
    for command in ("list", "verify"):
        content = json.loads(codesign("bitstreams", command, "--json").stdout)
        assert keys(content) == "folder entries damaged"
        assert content["entries"] == [imported["entry"]]
    digest = imported["entry"]["bitstream"]["digest"]
    assert json.loads(codesign("bitstreams", "show", digest, "--json").stdout) == imported["entry"]
    built = json.loads(codesign("build", project.parent, "--json").stdout)
    assert built == {"steps": ["hls: vitis_hls 2023.2", "vivado: 2023.2"], "entry": imported["entry"]}
    assert json.loads(codesign("build", project.parent, "--bundle", "--json").stdout) == str(
        project.parent / "bundle.tar"
    )
    assert json.loads(codesign("bitstreams", "gc", "--older-than", "0", "--json").stdout) == [
        f"{digest}: imported {imported['entry']['bitstream']['imported']}"
    ]


def test_csim_builds_with_the_compiler(project: Path) -> None:
    done = codesign("build", project.parent, "--tool", "csim")
    assert done.exit_code == 0, done.stderr
    assert "logits equal the integer reference" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--tool", "quartus"), ("--tool", "vitis, csim", "quartus")),
        (("--tool", "csim", "--bundle"), ("--bundle: must be left out with --tool csim",)),
        (("--tool", "csim", "--cosim"), ("--cosim: must be left out with --tool csim",)),
        (("--tool", "csim", "--clock-mhz", "75"), ("--clock-mhz: must be left out with --tool csim",)),
        (("--bundle", "--cosim"), ("--cosim: ", "build.sh")),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    project: Path, vendor: FakeVendor, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    check_refused(codesign("build", project.parent, *arguments), *words)
    assert vendor.ran == []


def test_building_before_emitting_says_what_to_do(tmp_path: Path, store: Store) -> None:
    check_refused(codesign("build", tmp_path / "new"), "project.json", "is missing")
    check_refused(codesign("build", tmp_path / "new", "--bundle"), "project.json", "is missing")
    assert not (tmp_path / "new").exists()


def test_a_missing_tool_is_one_line(project: Path, vendor: FakeVendor, store: Store) -> None:
    vendor.remove("vitis_hls")
    check_refused(codesign("build", project.parent), "neither vitis_hls nor vitis-run is on the PATH")
    assert store.entries() == ()


def test_a_store_that_cannot_be_written_keeps_the_build(
    project: Path, vendor: FakeVendor, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.folder.write_text("a file where a folder must be")
    check_refused(codesign("build", project.parent), "store", "cannot be written")
    store.folder.unlink()
    assert codesign("build", project.parent).exit_code == 0
    assert vendor.ran == ["vitis_hls", "vivado"]
    assert len(store.entries()) == 1


def test_a_full_disk_keeps_the_build_and_what_the_store_holds(
    project: Path, vendor: FakeVendor, archive: Path, tmp_path: Path, store: Store
) -> None:
    with small_disk(tmp_path / "disk", kib=64) as disk:
        check_refused(codesign("build", project.parent, "--store", disk / "store"), "disk/store", "No space left")
        check_refused(codesign("import", archive, "--store", disk / "store"), "disk/store", "No space left")
        assert "no bitstreams yet" in codesign("bitstreams", "list", "--store", disk / "store").stdout
    assert codesign("build", project.parent).exit_code == 0
    assert vendor.ran == ["vitis_hls", "vivado"]
    assert len(store.entries()) == 1


@pytest.mark.skipif(not FIXTURES.exists(), reason="the real bitstream is not at ../shared/fixtures")
def test_a_real_bitstream_is_kept_for_its_board_only(store: Store) -> None:
    bit = FIXTURES / "design_1_wrapper.bit"
    check_refused(codesign("import", bit), "board", "pynq-z2", "None")
    check_refused(codesign("import", bit, "--board", "ultra96-v2"), "7z020clg400", "ultra96-v2")
    check_refused(codesign("import", bit, "--board", "zedboard"), "board", "zedboard")
    assert codesign("import", bit, "--board", "pynq-z2").exit_code == 0
    (entry,) = store.entries()
    assert "made elsewhere" in codesign("bitstreams", "show", entry.digest[:8]).stdout
    assert codesign("bitstreams", "verify", entry.digest[:8]).exit_code == 0


def test_bad_imports_are_refused(tmp_path: Path, store: Store, archive: Path) -> None:
    bit = tmp_path / "a.bit"
    bit.write_bytes(bit_file("design_1", "7z020clg400")[:-1])
    check_refused(codesign("import", bit, "--board", "pynq-z2"), "a.bit", "truncated")
    bit.write_bytes(bit_file("design_1", "7z020clg400"))
    check_refused(codesign("import", bit, "--board", "pynq-z2"), "a.hwh", "cannot be read")
    other = tmp_path / "other.hwh"
    other.write_bytes(handoff("design_2", "7z020", "clg400", "processing_system7", 100_000_000, {}))
    check_refused(codesign("import", bit, "--board", "pynq-z2", "--hwh", other), "design_1_wrapper", "design_2")
    check_refused(codesign("import", archive, "--board", "pynq-z2"), "board", "left out for a results.tar")
    check_refused(codesign("import", tmp_path / "gone.tar"), "gone.tar")
    assert store.entries() == ()


def test_an_empty_store_says_how_to_fill_it(store: Store) -> None:
    assert "no bitstreams yet" in codesign("bitstreams", "list").stdout
    assert codesign("bitstreams", "verify").exit_code == 0
    assert codesign("bitstreams", "gc").stdout == "nothing to remove\n"
    check_refused(codesign("bitstreams", "show", "ab"), "no bitstream ab")


def test_damage_has_its_own_exit_code_and_is_collected(archive: Path, store: Store) -> None:
    codesign("import", archive)
    (entry,) = store.entries()
    entry.path("xsa").write_bytes(b"other")
    verified = codesign("bitstreams", "verify")
    assert verified.exit_code == 1
    assert f"{entry.digest[:12]}  {entry.path('xsa').name}: its content has changed" in verified.stdout
    assert "1 of 1 bitstreams are damaged" in verified.stderr
    (entry.folder / "build.json").write_text("{")
    assert "damaged: " in codesign("bitstreams", "list").stdout
    assert codesign("bitstreams", "verify").exit_code == 1
    assert codesign("bitstreams", "gc").stdout.startswith(f"removed {entry.digest}: ")
    assert codesign("import", archive).stdout.startswith("imported: ")
    assert codesign("bitstreams", "gc", "--older-than", "0").stdout.startswith("removed ")
    assert store.entries() == ()


def test_without_a_home_the_store_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    become_nameless(monkeypatch)
    for arguments in (("bitstreams", "list"), ("import", tmp_path / "design.bit", "--board", "pynq-z2")):
        check_refused(codesign(*arguments), "CODESIGN_STORE: must name a folder", "user 54321 has no home")
