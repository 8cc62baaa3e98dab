import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.boards.emitted_projects import FUSING, emit_fused_project, emit_random_project
from support.boards.twins import (
    ACCELERATOR,
    IMAGES,
    bitstream,
    connected,
    golden_of,
    hardware,
    images_of,
    running,
    served,
    spoil_endless,
    spoil_loaded,
    stated_of,
)

from bitstreams.board import control
from bitstreams.board.control import UnfinishedRunError
from bitstreams.board.driver import Engine
from bitstreams.board.session import Session
from bitstreams.board.timing import Timing
from bitstreams.twin import fabric
from bitstreams.twin.bitstream import write_twin_bitstream
from bitstreams.twin.server import TwinServer
from cost_models.coefficients import load_coefficients
from hw_templates.board import load_board
from hw_templates.conv_engine.program import read_program
from hw_templates.foundation.errors import BoardError, InvalidValueError, StorageError


def project_of(twin: TwinServer, zynq: Path, ultrascale: Path) -> Path:
    return zynq if twin.board.board.family == "zynq-7000" else ultrascale


def test_a_twin_of_either_family_runs_a_program_and_takes_what_its_layers_and_its_start_do(
    twin: TwinServer, zynq_project: Path, ultrascale_project: Path, tmp_path: Path
) -> None:
    project = project_of(twin, zynq_project, ultrascale_project)
    with running(twin, tmp_path) as engine:
        engine.load_program(read_program(project))
        assert list(engine.run(images_of(project))) == golden_of(project)
        assert [tuple(row) for row in engine.trips()] == stated_of(project)
        assert engine.twin is Timing.MODEL
        assert engine.clock_mhz == pytest.approx(100)
        timing = engine.measure(images_of(project)[0], 2)
        assert engine.result() == golden_of(project)[0]
        counted = engine.counters()
        inference_ms = engine.time_inferences(images_of(project)[0], 2)
    assert inference_ms.shape == (2,)
    assert (inference_ms > 0).all()
    assert timing.cycles is not None
    assert timing.ms == pytest.approx([timing.cycles / 1e5] * 2)
    # Beside its layers a run takes its start; each layer its setup, computation and waiting.
    start_cycles = load_coefficients().latency.start_cycles
    assert counted["total_cycles"].sum() == pytest.approx(timing.cycles - start_cycles, abs=len(counted))
    assert (counted["compute_cycles"] > counted["compute_trips"]).all()
    waited = counted["load_wait_cycles"] + counted["store_wait_cycles"]
    assert (counted["compute_cycles"] + waited < counted["total_cycles"]).all()
    assert waited.any()


def test_programs_follow_each_other_on_one_loaded_bitstream(
    zynq_twin: TwinServer, zynq_project: Path, tmp_path: Path
) -> None:
    projects = []
    for seed in range(2, 7):
        projects.append(tmp_path / f"project{seed}")
        emit_random_project(projects[-1], ACCELERATOR, seed, images=IMAGES, board_name="pynq-z2")
    loads = 0

    def counting(bit: Path) -> None:
        nonlocal loads
        loads += 1
        load(bit)

    with connected(zynq_twin) as session:
        load, session.load = session.load, counting  # type: ignore[method-assign]
        engine = Engine(session, hardware(zynq_twin.board), bitstream(zynq_twin.board, tmp_path))
        for project in [*projects, projects[0]]:
            engine.load_program(read_program(project))
            assert list(engine.run(images_of(project))) == golden_of(project)
        engine.close()
    assert loads == 1


def test_blocks_that_stay_on_chip_run_and_take_what_is_predicted(tmp_path: Path) -> None:
    project = tmp_path / "project"
    placements = emit_fused_project(project, FUSING, seed=1, images=IMAGES)
    assert any(placement.group_layers for placement in placements)
    predicted = json.loads((project / "project.json").read_text())["predicted"]["latency_ms"]
    with served(project) as server, running(server, tmp_path) as engine:
        engine.load_program(read_program(project))
        assert list(engine.run(images_of(project))) == golden_of(project)
        assert engine.measure(images_of(project)[0], 1).ms[0] == pytest.approx(predicted, rel=0.1)


def test_the_twin_faults_at_the_first_word_behind_and_before_each_buffer(
    zynq_twin: TwinServer, zynq_project: Path, tmp_path: Path
) -> None:
    program, image = read_program(zynq_project), images_of(zynq_project)[:1]
    shape, word = program.descriptors[0], program.axi_bytes
    words = int(shape["in_height"] * shape["in_width"]) * -(-int(shape["in_channels"]) // word)
    with running(zynq_twin, tmp_path, timeout_s=20) as engine:
        engine.load_program(program)
        loaded = engine._loaded
        assert loaded is not None
        lower, higher = sorted((loaded.arena, loaded.results), key=lambda buffer: buffer.address)
        gap, end = (higher.address - lower.address) // word, (higher.address + higher.size - lower.address) // word
        reaches = "0x{:08X}: the engine's program reaches it"
        for place, message in (
            (0, None),
            (lower.size // word - words, None),
            (lower.size // word - words + 1, reaches.format(lower.address + lower.size)),
            (gap - 1, reaches.format(higher.address - word)),
            (gap, None),
            (end - words, None),
            # Beyond the arena the engine itself asks for nothing.
            (end - words + 1, "descriptor 0 of the program ended with error 1, a read outside the arena"),
        ):
            engine.load_program(program)
            spoil_loaded(engine, ifmap_word=place)
            if message is None:
                assert len(list(engine.run(image))) == 1
            else:
                with pytest.raises(UnfinishedRunError, match=message):
                    list(engine.run(image))


def test_a_program_that_runs_beyond_the_twins_limit_is_ended(
    zynq_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fabric, "RUN_LIMIT_S", 1)
    with served(zynq_project) as server, running(server, tmp_path, timeout_s=60) as engine:
        engine.load_program(read_program(zynq_project))
        spoil_endless(engine)
        monkeypatch.setattr(engine, "_loaded", replace(engine._program(), most_cycles=2**31 - 1))
        with pytest.raises(UnfinishedRunError, match="the engine ran for more than 1 s and was ended"):
            list(engine.run(images_of(zynq_project)))


def test_results_that_were_had_stay_when_a_later_run_hangs(
    zynq_twin: TwinServer, zynq_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "STOP_S", 0.3)
    had = []
    with running(zynq_twin, tmp_path) as engine:
        engine.load_program(read_program(zynq_project))
        results = engine.run(images_of(zynq_project))
        had.append(next(results))
        # The engine stops answering, as one does whose clock has died.
        zynq_twin.board.engine.stop()
        engine.timeout_s = 0.3
        with pytest.raises(BoardError):
            had.extend(results)
    assert had == golden_of(zynq_project)[: len(had)]
    assert had


def test_a_run_that_nobody_reads_to_its_end_leaves_the_engine_idle(
    zynq_twin: TwinServer, zynq_project: Path, tmp_path: Path
) -> None:
    with running(zynq_twin, tmp_path) as engine:
        engine.load_program(read_program(zynq_project))
        results = engine.run(images_of(zynq_project))
        assert next(results) == golden_of(zynq_project)[0]
        results.close()
        assert list(engine.run(images_of(zynq_project))) == golden_of(zynq_project)


def test_another_board_another_part_and_another_design_are_refused_before_anything_is_written(
    zynq_twin: TwinServer, tmp_path: Path
) -> None:
    here = zynq_twin.board
    digest = here.hardware_sha256
    with connected(zynq_twin) as session:
        other = load_board("zcu104")
        with pytest.raises(BoardError, match="is pynq-z2, not zcu104"):
            Engine(session, replace(hardware(here), board=other), write_twin_bitstream(tmp_path, other, digest, 100))
        with pytest.raises(StorageError, match="is for part zu7evffvc1156, pynq-z2 has xc7z020clg400-1"):
            Engine(session, hardware(here), write_twin_bitstream(tmp_path, other, digest, 100))
        bit = bitstream(here, tmp_path)
        foreign = write_twin_bitstream(tmp_path / "foreign", here.board, "0" * 64, 100)
        shutil.copy(foreign.with_suffix(".hwh"), bit.with_suffix(".hwh"))
        with pytest.raises(StorageError, match="its hand-off of engine_00000000"):
            Engine(session, hardware(here), bit)
        text = foreign.with_suffix(".hwh").read_text().replace("0x43C00000", "0x43D00000")
        foreign.with_suffix(".hwh").write_text(text)
        with pytest.raises(StorageError, match="conv_engine must lie at 0x43c00000"):
            Engine(session, hardware(here), foreign)
        assert session.read_file("/sys/class/fpga_manager/fpga0/state") == b"unknown\n"


def test_an_engine_that_is_not_the_expected_one_is_refused(zynq_twin: TwinServer, tmp_path: Path) -> None:
    here = zynq_twin.board
    bit = bitstream(here, tmp_path)
    with connected(zynq_twin) as session:
        with pytest.raises(BoardError, match=f"the engine is {here.hardware_sha256[:12]}, expected ffffffffffff"):
            Engine(session, replace(hardware(here), hardware_sha256="f" * 64), bit)
        with pytest.raises(BoardError, match="was routed for 100 MHz, expected 125"):
            Engine(session, replace(hardware(here), accelerator=replace(ACCELERATOR, clock_mhz=125)), bit)
        for register, value, message in (
            (0x00, 7, "none of this project's"),
            (0x04, 1, r"has register map 1 and runs programs of format 5, .* \(expected 3 and 5\); build it again$"),
            (0x08, 4, r"has register map 3 and runs programs of format 4, .* \(expected 3 and 5\); build it again$"),
            (0x04, 2, r"implementation is rtl, expected hls; load or build that one"),
        ):
            with pytest.raises(BoardError, match=message):
                Engine(Lying(session, 0x43C10000 + register, value), hardware(here), bit)


class Lying:
    """A session in which one register reads something else."""

    def __init__(self, session: Session, address: int, value: int) -> None:
        self._session, self._address, self._value = session, address, value

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    def read(self, address: int) -> int:
        return self._value if address == self._address else self._session.read(address)


def test_images_that_do_not_fit_the_program_are_refused(
    zynq_twin: TwinServer, zynq_project: Path, tmp_path: Path
) -> None:
    program = read_program(zynq_project)
    with running(zynq_twin, tmp_path) as engine:
        engine.load_program(program)
        with pytest.raises(InvalidValueError, match="image: must be"):
            list(engine.run([b"too short"]))


def test_two_sessions_may_drive_a_twin_one_after_the_other(zynq_project: Path, tmp_path: Path) -> None:
    with served(zynq_project) as server:
        for _ in range(2):
            with running(server, tmp_path) as engine:
                engine.load_program(read_program(zynq_project))
                assert next(engine.run(images_of(zynq_project)[:1])) == golden_of(zynq_project)[0]
                engine.close()
