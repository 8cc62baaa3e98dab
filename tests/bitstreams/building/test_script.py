"""build.sh with vendor tools that are there, missing, old, failing or silent."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from support.boards.fake_vendor import FakeVendor, use

from bitstreams.building.script import TimingError, build_bitstream, bundle, check_sources
from hw_templates.foundation.errors import StorageError, ToolError
from hw_templates.foundation.lock import exclusive


def build(project: Path, cosim: bool = False) -> tuple[Path, list[str]]:
    steps: list[str] = []
    return build_bitstream(project, cosim, steps.append), steps


def names_in(archive: Path) -> set[str]:
    with tarfile.open(archive) as tar:
        return {member.name.removeprefix("./") for member in tar if member.isreg()}


@pytest.fixture(params=["", "rtl_"])
def either(request: pytest.FixtureRequest) -> tuple[Path, FakeVendor]:
    """A project of either implementation, and the tools that build it."""
    return request.getfixturevalue(f"{request.param}project"), request.getfixturevalue(f"{request.param}vendor")


def test_a_build_leaves_everything_in_one_archive(project: Path, vendor: FakeVendor) -> None:
    design = f"engine_{check_sources(project)[:8]}"
    archive, steps = build(project)
    assert steps == ["hls: vitis_hls 2023.2", "vivado: 2023.2"]
    assert vendor.ran == ["vitis_hls", "vivado"]
    names = names_in(archive)
    assert {f"{design}.bit", f"{design}.hwh", f"{design}.xsa", "tools.txt"} <= names
    assert {
        f"reports/{name}" for name in ("csynth.xml", "timing.rpt", "utilization.rpt", "implementation.txt")
    } <= names
    assert {"hardware/hls/compute.cpp", "hardware/rtl/engine_id.v", "hardware/project.json"} <= names


def test_an_engine_in_verilog_needs_vivado_alone(rtl_project: Path, rtl_vendor: FakeVendor) -> None:
    design = f"engine_{check_sources(rtl_project)[:8]}"
    archive, steps = build(rtl_project)
    assert steps == ["vivado: 2023.2"]
    assert build(rtl_project) == (archive, [])
    assert rtl_vendor.ran == ["vivado"]
    sources = {f"rtl/{path.name}" for path in (rtl_project / "rtl").iterdir()}
    sources |= {f"tcl/{path.name}" for path in (rtl_project / "tcl").iterdir()}
    assert names_in(archive) == {
        *(f"{design}.{suffix}" for suffix in ("bit", "hwh", "xsa")),
        "tools.txt",
        *(f"reports/{name}.rpt" for name in ("timing", "utilization", "utilization_engine")),
        "reports/implementation.txt",
        *(f"hardware/{name}" for name in {*sources, "hardware.sha256", "project.json"}),
    }
    with tarfile.open(archive) as tar:
        tools = tar.extractfile("./tools.txt")
        assert tools is not None
        assert tools.read() == b"vivado 2023.2\n"


def test_a_project_of_version_1_of_the_engine_is_refused_with_what_to_do(project: Path) -> None:
    record = json.loads((project / "project.json").read_text())
    (project / "project.json").write_text(json.dumps({**record, "format": 1}))
    with pytest.raises(StorageError, match=r"project\.format: must be 2, .*, got 1; emit the project again$"):
        check_sources(project)


def test_make_builds_either_implementation(either: tuple[Path, FakeVendor]) -> None:
    project, _ = either
    command = ["make", "--no-print-directory", "bitstream"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "results.tar"
    assert build(project)[1] == []


def test_a_change_of_the_other_implementation_s_sources_changes_no_bitstream(
    project: Path, rtl_project: Path, vendor: FakeVendor, rtl_vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mine, theirs, tools, folder in (
        ("hls/compute.cpp", "rtl/store.v", vendor, project),
        ("rtl/store.v", "hls/compute.cpp", rtl_vendor, rtl_project),
    ):
        use(monkeypatch, tools)
        build(folder)
        with (folder / theirs).open("a") as file:
            file.write("// changed\n")
        assert build(folder)[1] == []
        with (folder / mine).open("a") as file:
            file.write("// changed\n")
        with pytest.raises(StorageError, match="a source was changed after it was emitted"):
            build(folder)


def test_cosimulation_is_of_the_cpp(rtl_project: Path, rtl_vendor: FakeVendor) -> None:
    with pytest.raises(ToolError, match=r"project: --cosim: no options are known; logs are in"):
        build(rtl_project, cosim=True)
    assert rtl_vendor.ran == []


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [
        ({"vitis_hls": "2021.2"}, "vitis_hls 2021.2"),
        ({"vitis_hls": "2023.2", "vitis-run": "2023.2", "v++": "2023.2"}, "vitis_hls 2023.2"),
        ({"vitis_hls": "2024.1", "vitis-run": "2024.1"}, "vitis-run 2024.1"),
        ({"vitis-run": "2025.2.1", "v++": "2025.2.1"}, "vitis-run 2025.2"),
        ({"v++": "2024.2"}, "v++ 2024.2"),
    ],
)
def test_the_tool_is_chosen_by_path_and_version(
    project: Path, vendor: FakeVendor, installed: dict[str, str], chosen: str
) -> None:
    vendor.remove("vitis_hls")
    for name, version in installed.items():
        vendor.install(name, version)
    _, steps = build(project)
    assert steps[0] == f"hls: {chosen}"
    assert vendor.ran == [chosen.split()[0], "vivado"]


def test_cosimulation_is_done_where_it_is_asked_for(project: Path, vendor: FakeVendor) -> None:
    assert "reports/conv_engine_cosim.rpt" not in names_in(build(project)[0])
    assert "reports/conv_engine_cosim.rpt" in names_in(build(project, cosim=True)[0])
    assert vendor.ran == ["vitis_hls", "vivado"] * 2


def test_what_is_done_is_not_repeated_and_a_failure_goes_on_where_it_failed(project: Path, vendor: FakeVendor) -> None:
    vendor.install("vivado", "2023.2", fault="echo 'ERROR: [Route 35-1] no licence'; exit 3")
    with pytest.raises(ToolError, match=r"vivado: stopped with code 3: ERROR: \[Route 35-1\] no licence; logs are in"):
        build(project)
    vendor.install("vivado", "2023.2")
    assert build(project)[1] == ["vivado: 2023.2"]
    assert build(project)[1] == []
    assert vendor.ran == ["vitis_hls", "vivado", "vivado"]
    # Another release of a tool makes another bitstream.
    vendor.install("vivado", "2024.1")
    assert build(project)[1] == ["vivado: 2024.1"]


@pytest.mark.parametrize(
    ("tool", "version", "fault", "message"),
    [
        ("vitis_hls", "2021.1", "", r"Vitis HLS is too old: vitis_hls 2021\.1 found; vitis_hls 2021\.2, or vitis-run"),
        ("vivado", "2019.2", "", r"vivado 2019\.2 is too old; 2020\.2 is the oldest"),
        (
            "vitis_hls",
            "2023.2",
            "echo 'ERROR: [HLS 1] bad'; exit 1",
            r"vitis_hls: stopped with code 1: ERROR: \[HLS 1\]",
        ),
        (
            "vitis_hls",
            "2023.2",
            "mkdir -p build/hls; kill -9 $$",
            r"vitis_hls: stopped with code 137: (Killed|no output)",
        ),
        ("vitis_hls", "2023.2", "echo 'no licence'; exit 0", r"ended well but left no IP in build/hls: no licence"),
        ("vivado", "2023.2", "exit 0", r"vivado: ended well but wrote no \.bit: no output"),
    ],
)
def test_bad_tools_are_named_and_nothing_is_left_that_looks_whole(
    project: Path, vendor: FakeVendor, tool: str, version: str, fault: str, message: str
) -> None:
    vendor.install(tool, version, fault)
    with pytest.raises(ToolError, match=message):
        build(project)
    assert not (project / "results.tar").exists()
    check_sources(project)
    vendor.install(tool, "2023.2")
    build(project)


def test_a_failed_rebuild_does_not_leave_an_older_archive(project: Path, vendor: FakeVendor) -> None:
    build(project)
    vendor.install("vivado", "2024.1", fault="exit 1")
    with pytest.raises(ToolError, match="vivado: stopped with code 1: no output"):
        build(project)
    assert not (project / "results.tar").exists()


def test_negative_slack_fails_the_build(either: tuple[Path, FakeVendor]) -> None:
    project, vendor = either
    vendor.install("vivado", "2023.2", fault="export WNS=-0.75")
    with pytest.raises(TimingError, match=r"project: timing: setup slack is -0\.75 ns at 100 MHz \(build/results/"):
        build(project)
    vendor.install("vivado", "2023.2", fault="export WHS=-0.02")
    with pytest.raises(ToolError, match=r"timing: hold slack is -0\.02 ns at 100 MHz, which no slower clock") as failed:
        build(project)
    assert not isinstance(failed.value, TimingError)
    assert not (project / "results.tar").exists()


def test_a_missing_or_old_vivado_is_named_for_either_implementation(either: tuple[Path, FakeVendor]) -> None:
    project, vendor = either
    vendor.install("vivado", "2020.1")
    with pytest.raises(ToolError, match=r"project: vivado 2020\.1 is too old; 2020\.2 is the oldest; logs"):
        build(project)
    vendor.remove("vivado")
    with pytest.raises(ToolError, match=r"project: vivado: not on the PATH; source its settings64\.sh first; logs"):
        build(project)
    assert vendor.ran == []


@pytest.mark.parametrize("tool", ["vitis_hls", "vivado"])
def test_a_missing_tool_is_named(project: Path, vendor: FakeVendor, tool: str) -> None:
    vendor.remove(tool)
    with pytest.raises(
        ToolError, match=r"(neither vitis_hls nor vitis-run is|vivado: not) on the PATH; source its settings"
    ):
        build(project)
    assert vendor.ran == []


def test_changed_sources_are_refused_before_any_tool_runs(project: Path, vendor: FakeVendor) -> None:
    source = project / "hls/compute.cpp"
    source.write_text(source.read_text() + "// faster\n")
    with pytest.raises(StorageError, match="a source was changed after it was emitted"):
        build(project)
    (project / "hardware.sha256").unlink()
    with pytest.raises(StorageError, match="is no whole project"):
        build(project)
    assert vendor.ran == []


def test_two_builds_of_one_project_do_not_mix(project: Path, vendor: FakeVendor) -> None:
    with (
        exclusive(project / "build/.lock"),
        pytest.raises(StorageError, match="the build is in use by another process"),
    ):
        build(project)
    assert vendor.ran == []
    build(project)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_stops_the_tools_and_can_go_on(
    project: Path, vendor: FakeVendor, kind: signal.Signals
) -> None:
    vendor.install("vitis_hls", "2023.2", fault=f"sleep 60 & echo $! > {project}/child; wait")
    code = (
        "import sys, signal; from pathlib import Path; from bitstreams.building.script import build_bitstream;"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(1));"
        f"build_bitstream(Path({str(project)!r}), False, print)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    child = project / "child"
    deadline = time.monotonic() + 120
    while not (child.exists() and child.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(kind)
    assert process.wait(timeout=120) != 0
    started = int(child.read_text())
    for _ in range(250):
        if not Path(f"/proc/{started}").exists() or "Z" in Path(f"/proc/{started}/stat").read_text().split()[2]:
            break
        time.sleep(0.02)
    else:
        pytest.fail("what the tool had started is still running")
    vendor.install("vitis_hls", "2023.2")
    build(project)


def test_a_bundle_builds_elsewhere_with_nothing_but_the_tools(either: tuple[Path, FakeVendor], tmp_path: Path) -> None:
    project, vendor = either
    (project / "build").mkdir()
    (project / "build/csim").write_text("a program that is of no use elsewhere")
    content = bundle(project)
    assert content == bundle(project)
    elsewhere = tmp_path / "elsewhere"
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert not [name for name in tar.getnames() if "/build/" in name]
    elsewhere.mkdir()
    subprocess.run(["tar", "xf", "-", "-C", elsewhere], input=content, check=True)
    (unpacked,) = elsewhere.iterdir()
    assert unpacked.name == f"engine_{check_sources(project)[:8]}"
    done = subprocess.run(
        ["sh", f"{unpacked}/build.sh"],
        cwd="/",
        env={"PATH": vendor.path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    archive, steps = build(project)
    assert done.stdout.splitlines() == [*(f"step {step}" for step in steps), "results.tar"]
    assert steps[-1] == "vivado: 2023.2"
    assert names_in(unpacked / "results.tar") == names_in(archive)


def test_a_folder_that_cannot_be_written_is_named(project: Path, vendor: FakeVendor) -> None:
    (project / "build").write_text("a file where a folder must be")
    with pytest.raises(StorageError, match=r"build/\.lock: cannot be written"):
        build(project)
    assert os.environ["PATH"] == vendor.path
