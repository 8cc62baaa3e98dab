import hashlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.boards.engine_faults import FAULTS
from support.boards.ssh_server import ssh_server
from support.boards.twins import served, twin_process
from support.json_file import read_json, write_json
from support.recorded_progress import RecordedProgress

from bitstreams.board import control
from bitstreams.board.driver import REPEATS, Engine
from bitstreams.board.linking import Layout
from bitstreams.board.processor import KERNEL_FILE
from bitstreams.board.target import Target, parse_target
from bitstreams.store.bitstream import Bitstream, Entry
from bitstreams.store.store import Store
from bitstreams.twin.bitstream import write_twin_bitstream
from bitstreams.twin.board import FPGA_MANAGER, TwinBoard
from bitstreams.twin.fabric import Fabric, build_fabric
from bitstreams.twin.modelled import ModelledEngine
from bitstreams.twin.server import TwinServer
from codesign.cli.text.deploy import deploy_lines
from codesign.commands import deploy as deploy_module
from codesign.commands.deploy import deploy
from codesign.emit.network import PROGRAM_FILES
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.folder import read_json as read_record
from codesign.run.records import DeployRecord
from cost_models.calibration.engines.conv_engine import stated_counters
from cost_models.coefficients import load_coefficients
from cost_models.measurements.measurement import read_measurements
from hw_templates.board import load_board
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.program import FOLDER, Program, read_program
from hw_templates.foundation.errors import BoardError, InvalidValueError, StorageError, VerificationError
from hw_templates.project.render import files_sha256

pytest.importorskip("pynq", reason="pynq is not installed: pip install --editable '.[board]'")
ROOT = Path(__file__).parents[3]
MODELLED = "twin simulated by a model"


@pytest.fixture
def run(finished_run: Run, tmp_path: Path) -> Run:
    """A finished run to deploy and to spoil, its engine compiled once for all tests."""
    build_fabric(finished_run.project)
    return Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))


def deployed(run: Run, board: str = "pynq-z2", via: str = "twin", **wanted: object) -> list[str]:
    record = deploy(run, parse_target(board, via), None, Silent(), **{"repetitions": 3, **wanted})  # type: ignore[arg-type]
    assert record == read_record(run.deployment, DeployRecord)
    return list(deploy_lines(record))


def test_all_test_images_run_on_the_twin_as_the_integer_reference_has_them(run: Run) -> None:
    lines = deployed(run)
    project, record = read_json(run.project / "project.json"), read_json(run.deployment)
    assert (record["complete"], record["source"], record["images"]) == (True, MODELLED, 359)
    assert record["accuracy"] == project["origin"]["test_accuracy"]["int8"]
    assert record["latency_ms"]["p50"] == pytest.approx(project["predicted"]["latency_ms"], rel=0.1)
    assert record["energy"] is None
    assert " ".join(record) == (
        "format complete error right source where board bitstream hardware_sha256 measured_at clock_mhz images "
        "accuracy latency_ms inference_ms cycles cycle_shares energy predicted"
    )
    assert lines[0].startswith(f"deploy     pynq-z2 ({MODELLED}, 127.0.0.1:")
    assert "simulated by a model" in lines[2]
    shares = record["cycle_shares"]
    assert 0.1 < shares["compute"] < shares["compute"] + shares["load_wait"] + shares["store_wait"] < 1
    assert f"{shares['compute']:.0%} computing" in lines[3]
    assert "not measured" in lines[4]
    deployed(run)
    first, second = read_measurements([run.measurements])
    assert first.source == MODELLED
    # The twin repeats itself exactly; only the identity tells the runs apart.
    assert first.run_id is not None
    assert second == replace(first, run_id=second.run_id, date=second.date)
    assert first.counters == {}
    assert first.campaign == second.campaign
    assert first.bitstream == record["bitstream"]
    # The layers stand as they ran, those of blocks that stay on chip too.
    assert first.accelerator is not None
    trips = stated_counters(first.layers, first.accelerator, load_board("pynq-z2"))["compute_trips"]
    assert trips.tolist() == [layer["compute_cycles"] for layer in project["layers"]]


def test_a_board_is_reached_over_ssh_with_the_users_own_keys(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ssh_server(tmp_path / "server", run.project) as server:
        keys = tmp_path / "home/.ssh"
        keys.mkdir(parents=True)
        shutil.copy(server.known_hosts, keys / "known_hosts")
        shutil.copy(server.key, keys / "id_ed25519")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        # Power is read between starts, of which the twin makes a few a second.
        monkeypatch.setattr(deploy_module, "WINDOW_S", 1.5)
        lines = deployed(run, board=f"pynq-z2@root@127.0.0.1:{server.port}", via="ssh", power="rails")
    assert f"({MODELLED}, root@127.0.0.1:{server.port})" in lines[0]
    record = read_json(run.deployment)
    assert record["accuracy"] == read_json(run.project / "project.json")["origin"]["test_accuracy"]["int8"]
    assert record["energy"]["busy_w"] == pytest.approx(3.5)
    assert record["energy"]["source"] == "rails 12V"


def test_what_is_no_twin_is_timed_by_the_cycles_that_its_engine_counts(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(run)
    simulated, check = read_json(run.deployment)["latency_ms"]["p50"], Engine._check_identity

    def as_a_board(engine: Engine) -> None:
        check(engine)
        engine.twin = None

    monkeypatch.setattr(Engine, "_check_identity", as_a_board)
    with twin_process(run.project) as (_, port):
        lines = deployed(run, board=f"pynq-z2@127.0.0.1:{port}", via="remote")
    predicted, record = read_json(run.project / "project.json")["predicted"], read_json(run.deployment)
    assert record["cycles"] is None
    assert record["latency_ms"]["p50"] == pytest.approx(simulated)
    shown = re.search(r"predicted ([0-9.]+) ms, ([+-][0-9.]+)%", lines[2])
    assert shown is not None
    assert float(shown[1]) == pytest.approx(predicted["latency_ms"], rel=1e-3)
    assert float(shown[2]) / 100 == pytest.approx(simulated / predicted["latency_ms"] - 1, abs=6e-4)
    measured = read_measurements([run.measurements])[-1]
    assert measured.settings == {}


class Killing(RecordedProgress):
    """Kills a process once so many images have run."""

    def __init__(self, process: "subprocess.Popen[str]", after: int) -> None:
        super().__init__()
        self._process, self._after = process, after

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[float, str], None]]:
        def update(share: float, text: str) -> None:
            if text.startswith(f"{self._after} of"):
                self._process.kill()

        yield update


def test_a_twin_that_is_killed_in_the_middle_is_one_line_and_what_ran_is_kept(run: Run) -> None:
    with twin_process(run.project) as (process, port):
        target = parse_target(f"pynq-z2@127.0.0.1:{port}", "remote")
        with pytest.raises(BoardError, match=r"127\.0\.0\.1:\d+: unavailable .*\(\d+ of 359 images ran, \d+ right\)"):
            deploy(run, target, None, Killing(process, after=100))
        record = read_json(run.deployment)
        assert record["complete"] is False
        assert 100 <= record["images"] < 359
    with twin_process(run.project) as (_, port):
        deployed(run, board=f"pynq-z2@127.0.0.1:{port}", via="remote")
    assert read_json(run.deployment)["complete"] is True


def test_energy_comes_from_a_meters_file_that_covers_the_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_module, "WINDOW_S", 0.5)
    meter, now = run.folder / "meter.csv", time.time()
    meter.write_text("time,power_w\n" + "".join(f"{now + second / 10:.1f},2\n" for second in range(6000)))
    assert "meter meter.csv: 2 W busy, 2 W idle" in deployed(run, power=str(meter))[-1]
    assert read_json(run.deployment)["energy"]["above_idle_mj"] == pytest.approx(0, abs=1e-6)
    meter.write_text(f"time,power_w\n{now - 100},2\n{now - 90},2\n")
    with pytest.raises(StorageError, match="must cover"):
        deployed(run, power=str(meter))
    # What was measured before the energy is kept.
    record = read_json(run.deployment)
    assert (record["complete"], record["images"]) == (False, 359)
    first, second = read_measurements([run.measurements])
    assert (first.power_w, second.power_w) == (2, None)
    assert second.latency_ms.p50 == record["latency_ms"]["p50"]


@pytest.mark.parametrize("code", [code for code, fault in FAULTS.items() if fault.in_cpp])
def test_each_error_of_the_engine_is_one_line_and_the_next_deployment_succeeds(
    code: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Engine.load_program

    def spoiling(engine: Engine, program: Program) -> None:
        load(engine, program)
        FAULTS[code].cause(engine, monkeypatch)

    with served(run.project) as server:
        place = f"pynq-z2@127.0.0.1:{server.port}"
        with monkeypatch.context() as spoilt:
            spoilt.setattr(Engine, "load_program", spoiling)
            ended = rf"of the program ended with error {code}, {FAULTS[code].message}; the board takes the next program"
            with pytest.raises(BoardError, match=rf"^127\.0\.0\.1:\d+: descriptor \d+ {ended} \(0 of 359 images ran"):
                deployed(run, board=place, via="remote")
        record = read_json(run.deployment)
        assert (record["images"], record["complete"]) == (0, False)
        assert "\n" not in record["error"]
        deployed(run, board=place, via="remote")
    assert read_json(run.deployment)["complete"] is True


def test_an_engine_that_does_not_end_is_configured_again_and_takes_the_next_program(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(run.project) as server:
        place = f"pynq-z2@127.0.0.1:{server.port}"
        with monkeypatch.context() as hung:
            hung.setattr(control, "STOP_S", 0.1)
            hung.setattr(Fabric, "finished", lambda _: None)
            with pytest.raises(
                BoardError, match=r"did not finish within 0\.5 s; it has been configured again.*\(0 of 359"
            ):
                deployed(run, board=place, via="remote", timeout_s=0.5)
        assert read_json(run.deployment)["images"] == 0
        deployed(run, board=place, via="remote")
    assert read_json(run.deployment)["complete"] is True


def move_a_map_beyond_the_arena(run: Run) -> int:
    """Move the place of a map in memory, and return its layer."""
    program = read_program(run.project)
    table = program.descriptors.copy()
    moved = int(np.flatnonzero(table["map_out"] == 0)[1])
    table["ofmap_word"][moved] += (96 << 20) // program.axi_bytes
    (run.project / FOLDER / "arena.bin").write_bytes(table.tobytes() + program.arena[table.nbytes :])
    return moved


def seal(run: Run) -> None:
    """Record the digest of the files as they are."""
    files = {path: (run.project / path).read_bytes() for path in PROGRAM_FILES}
    record = read_json(run.project / "project.json")
    write_json(run.project / "project.json", {**record, "program_sha256": files_sha256(files)})


def test_a_changed_program_is_refused_before_anything_is_reached(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_: object) -> None:
        raise AssertionError("reached")

    monkeypatch.setattr(TwinBoard, "__init__", reached)
    for name in PROGRAM_FILES:
        content = (run.project / name).read_bytes()
        (run.project / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(StorageError, match=r"program: a file was changed after the project was emitted; emit it"):
            deployed(run)
        (run.project / name).write_bytes(content)
    moved = move_a_map_beyond_the_arena(run)
    with pytest.raises(StorageError, match="program: a file was changed"):
        deployed(run)
    seal(run)
    with pytest.raises(
        StorageError,
        match=rf"arena\.bin: program\.layers\[{moved}\]\.ofmap_word: must be .* lie in the maps.*; emit it again",
    ):
        deployed(run)
    assert not run.measurements.exists()


def test_garbage_that_the_board_counts_is_said_and_no_measurement(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def counting(engine: ModelledEngine, *arguments: Any) -> None:
        count(engine, *arguments)
        layout = Layout(read_program(run.project), REPEATS)
        memory = boards[-1].memory
        memory.physical(max(memory.sizes()) + layout.counter_offset, isa.COUNTERS.itemsize)[:] = 0xFF

    boards: list[TwinBoard] = []
    count, configured = ModelledEngine._count, TwinBoard._configure
    monkeypatch.setattr(TwinBoard, "_configure", lambda board, name: (boards.append(board), configured(board, name)))  # type: ignore[func-returns-value]
    monkeypatch.setattr(ModelledEngine, "_count", counting)
    with pytest.raises(VerificationError, match=r"counters of layer 0 are \(4294967295"):
        deployed(run)
    record = read_json(run.deployment)
    assert (record["complete"], record["images"]) == (False, 359)
    assert "counters of layer 0" in record["error"]
    assert not run.measurements.exists()


def test_ctrl_c_keeps_what_ran(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "measure", interrupt)
    with pytest.raises(KeyboardInterrupt):
        deployed(run)
    record = read_json(run.deployment)
    assert (record["complete"], record["error"], record["images"]) == (False, "interrupted", 359)
    assert record["accuracy"] == record["right"] / 359


def test_logits_and_counters_that_differ_are_said(run: Run) -> None:
    stated = run.project / FOLDER / "stated.txt"
    lines = stated.read_text().splitlines(keepends=True)
    kind, iterations, rest = lines[1].split(" ", 2)
    lines[1] = f"{kind} {int(iterations) ^ 1} {rest}"
    stated.write_text("".join(lines))
    seal(run)
    with pytest.raises(VerificationError, match="counters of layer 1 are"):
        deployed(run)
    golden = run.project / FOLDER / "golden.bin"
    content = bytearray(golden.read_bytes())
    content[0] ^= 1
    golden.write_bytes(content)
    seal(run)
    with pytest.raises(VerificationError, match="logits of 1 of 359 images differ from the reference"):
        deployed(run)


def test_a_project_that_does_not_say_how_its_layers_run_is_to_be_emitted_again(run: Run) -> None:
    record = read_json(run.project / "project.json")
    record["layers"][0]["mapped"]["mapping"]["tile_height"] = "all"
    write_json(run.project / "project.json", record)
    with pytest.raises(
        StorageError,
        match=r"project\.json: project\.layers\.mapping\.tile_height: must be a whole number.*; emit it again",
    ):
        deployed(run)


def stored(store: Store, run: Run, folder: Path) -> Entry:
    """The engine's bitstream, as a build would have put it into a store."""
    digest, board = read_json(run.project / "project.json")["hardware_sha256"], load_board("pynq-z2")
    bit = write_twin_bitstream(folder, board, digest, 100)
    bitstream = Bitstream(
        determined_by={"hardware_sha256": digest},
        board=board.name,
        part=board.part,
        design=f"engine_{digest[:8]}",
        clock_mhz=100.0,
        hardware_sha256=digest,
    )
    return store.add(bitstream, {"bit": bit.read_bytes(), "hwh": bit.with_suffix(".hwh").read_bytes()}, {})[0]


def test_a_board_gets_the_stored_bitstream_of_its_engine_or_none(run: Run, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    server = TwinServer(TwinBoard(run.project, load_coefficients()), port=0)
    server.board.files[KERNEL_FILE] = b"Linux version 6.1 armv7l\n"  # does not say that it is a twin
    target = parse_target(f"pynq-z2@127.0.0.1:{server.port}", "remote")
    try:
        with pytest.raises(StorageError, match=r"no bitstream of engine [0-9a-f]{12}; `codesign build .*` makes it"):
            deploy(run, target, store.folder, Silent(), repetitions=3)
        entry = stored(store, run, tmp_path)
        whole = entry.path("bit").read_bytes()
        entry.path("bit").write_bytes(whole[:-8])
        with pytest.raises(StorageError, match=r"\.bit: its content has changed; import or build it again"):
            deploy(run, target, store.folder, Silent(), repetitions=3)
        assert server.board.files[f"{FPGA_MANAGER}state"] == b"unknown\n"
        entry.path("bit").write_bytes(whole)
        deploy(run, target, store.folder, Silent(), repetitions=3)
    finally:
        server.close()
    record = read_json(run.deployment)
    assert (record["complete"], record["bitstream"]) == (True, hashlib.sha256(whole).hexdigest())


def test_bad_input_is_refused_before_anything_is_reached(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(*_: object) -> None:
        raise AssertionError("the board was reached")

    monkeypatch.setattr(Target, "open", reached)
    monkeypatch.setattr(deploy_module, "claimed", reached)
    with pytest.raises(InvalidValueError, match="via: must be one of ssh"):
        deployed(run, via="telnet")
    with pytest.raises(InvalidValueError, match="board: must be pynq-z2"):
        deployed(run, board="zcu104")
    for via in ("twin", "remote"):
        with pytest.raises(InvalidValueError, match=f"power: must be hwmon or a meter's file with --via {via}"):
            deployed(run, via=via, power="rails")
    with pytest.raises(InvalidValueError, match=r"power: must be hwmon, rails, or the CSV .*, got 'nofile\.csv'"):
        deployed(run, power="nofile.csv")
    (tmp_path / "meter.csv").write_text("when,watts\n1,2\n")
    with pytest.raises(StorageError, match=r"meter\.csv: must have columns time and power_w"):
        deployed(run, power=str(tmp_path / "meter.csv"))
    with pytest.raises(StorageError):
        deployed(Run(tmp_path / "nothing"))


def test_a_board_without_its_host_is_refused_before_anything_is_sent(run: Run) -> None:
    with pytest.raises(InvalidValueError, match=r"board\.host: must be given, as pynq-z2@HOST \(.* --via twin"):
        deployed(run, via="ssh")
    with pytest.raises(InvalidValueError, match="--insecure-remote"):
        deployed(run, board="pynq-z2@192.0.2.1", via="remote")


def test_a_sensor_that_is_missing_is_told_before_the_engine_is_loaded(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*_: object) -> None:
        raise AssertionError("the engine was loaded")

    monkeypatch.setattr(deploy_module, "Engine", loaded)
    with pytest.raises(BoardError, match="has no power sensor"):
        deployed(run, power="hwmon")
