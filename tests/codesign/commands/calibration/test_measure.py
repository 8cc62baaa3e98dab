"""Campaigns on a twin that the real pynq client reaches, and what may go wrong in them."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.boards.ssh_server import SshServer, logged_in, ssh_server
from support.boards.twins import ACCELERATOR, twin_process, zynq_project
from support.json_file import read_json, write_json
from support.pricing.cutting_proxy import CuttingProxy
from support.recorded_progress import RecordedProgress
from typer.testing import CliRunner

from bitstreams.board import bench
from bitstreams.board.control import EngineControl
from bitstreams.board.remote_session import RemoteSession
from bitstreams.board.session import Buffer, ConnectionLostError
from bitstreams.board.target import parse_target
from bitstreams.twin.fabric import build_fabric
from codesign.cli.main import app
from codesign.cli.text.calibration import measured_lines
from codesign.commands.calibration.campaign import Campaign
from codesign.commands.calibration.measure import CampaignRequest, measure_plan
from cost_models.coefficients import load_coefficients
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import draw_mapping
from cost_models.measurements.measurement import Measurement, RunPlan, read_measurements, write_plan
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine import isa
from hw_templates.foundation.errors import BoardError, CodesignError, InvalidValueError, StorageError
from hw_templates.foundation.lock import board_claim

__all__ = ["zynq_project"]

pytest.importorskip("pynq", reason="pynq is not installed: pip install --editable '.[board]'")
ROOT = Path(__file__).parents[4]
SHAPES = (
    Layer(
        operation=Operation.CONV,
        in_channels=16,
        out_channels=24,
        in_height=10,
        in_width=10,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    ),
    Layer(
        operation=Operation.DEPTHWISE,
        in_channels=24,
        out_channels=24,
        in_height=9,
        in_width=9,
        kernel_height=5,
        kernel_width=5,
        stride=2,
        padding=2,
    ),
    Layer(operation=Operation.CONV, in_channels=24, out_channels=16, in_height=8, in_width=8, residual=True),
    Layer(operation=Operation.SCALE, in_channels=32, out_channels=32, in_height=6, in_width=6),
)


@pytest.fixture
def request_(zynq_project: Path, tmp_path: Path) -> CampaignRequest:
    """Twelve runs on a twin of its own."""
    build_fabric(zynq_project)
    rng, runs = np.random.default_rng(0), []
    for layer in SHAPES:
        drawn = dict.fromkeys(draw_mapping(layer, ACCELERATOR, rng) for _ in range(20))
        runs += [(MappedLayer(layer, mapping),) for mapping in [*drawn][:3]]
    write_plan(tmp_path / "plan.json", RunPlan(board="pynq-z2", accelerator=ACCELERATOR, runs=tuple(runs)))
    target = parse_target("pynq-z2", "twin", insecure_remote=False)
    return CampaignRequest(
        target=target, plan=tmp_path / "plan.json", project=zynq_project, out=tmp_path / "board.jsonl"
    )


def lines_of(request: CampaignRequest) -> list[str]:
    return said(request, RecordedProgress())


def said(request: CampaignRequest, progress: RecordedProgress) -> list[str]:
    """What a user reads of a campaign."""
    result = measure_plan(request, progress, progress.say)
    return [*progress.lines, *measured_lines(result)]


def runs_of(request: CampaignRequest) -> int:
    """Runs measured, each once."""
    runs = read_measurements([request.out])
    assert len({run.layers for run in runs}) == len(runs)
    return len(runs)


def home_with_keys(server: SshServer, port: int, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's home with the key to a server, which is known at a port."""
    keys = home / ".ssh"
    keys.mkdir(parents=True)
    known = server.known_hosts.read_text().replace(f":{server.port} ", f":{port} ")
    (keys / "known_hosts").write_text(known)
    shutil.copy(server.key, keys / "id_ed25519")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def after_third_run(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Has something happen to a campaign once three of its runs are kept."""
    add, kept = Campaign.add, 0

    def adding(campaign: Campaign, run: Measurement) -> None:
        nonlocal kept
        add(campaign, run)
        kept += 1
        if kept == 3:
            act()

    monkeypatch.setattr(Campaign, "add", adding)


def test_a_plan_is_measured_once_and_says_what_it_is(request_: CampaignRequest) -> None:
    lines = lines_of(request_)
    assert re.match(
        r"campaign   pynq-z2 \(twin simulated by a model, 127\.0\.0\.1:\d+\): engine \w{12} at 100 MHz, bitst", lines[0]
    )
    assert lines[1:] == ["           12 of 12 runs are measured", f"measurements  {request_.out}"]
    runs = read_measurements([request_.out])
    for run in runs:
        assert run.source == "twin simulated by a model"
        assert run.campaign.startswith("twin simulated by a model ")
        assert (run.accelerator, run.clock_mhz, run.repetitions) == (ACCELERATOR, 100, 1)
        assert run.bitstream is not None
        assert run.counters["compute_trips"] < run.latency_ms.p50 * 1e5
    assert len({run.group for run in runs}) == len(SHAPES)
    assert len({run.run_id for run in runs}) == 12
    before = request_.out.read_bytes()
    assert lines_of(request_) == lines[1:]
    assert request_.out.read_bytes() == before


def test_a_campaign_that_is_killed_goes_on_where_it_was(request_: CampaignRequest) -> None:
    with twin_process(request_.project) as (_, port):
        arguments = ["--plan", request_.plan, "--project", request_.project, "--out", request_.out, "--via", "remote"]
        command = [sys.executable, "-m", "codesign", "calibrate", "run", "--board", f"pynq-z2@127.0.0.1:{port}"]
        process = subprocess.Popen(
            [*command, *map(str, arguments)], stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        while not (request_.out.exists() and request_.out.read_bytes().count(b"\n") >= 3):
            assert process.poll() is None
            time.sleep(0.002)
        process.kill()
        process.wait()
        before = request_.out.read_bytes()
        target = parse_target(f"pynq-z2@127.0.0.1:{port}", "remote", insecure_remote=False)
        lines = lines_of(replace(request_, target=target))
    assert lines[-2] == "           12 of 12 runs are measured"
    assert runs_of(request_) == 12
    assert request_.out.read_bytes().startswith(before[: before.rfind(b"\n") + 1])


def test_a_board_that_is_switched_off_and_on_is_found_again(
    request_: CampaignRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "PAUSES_S", (0.2,) * 100)
    looking = "           the board is looked for again in 0.2 s"
    with twin_process(request_.project) as (process, port), ExitStack() as back:

        def switch_off() -> None:
            process.kill()
            process.wait()

        class SwitchingOn(RecordedProgress):
            def say(self, text: str) -> None:
                super().say(text)
                if text == looking and self.lines.count(looking) == 3:
                    back.enter_context(twin_process(request_.project, port))

        after_third_run(monkeypatch, switch_off)
        request = replace(request_, target=parse_target(f"pynq-z2@127.0.0.1:{port}", "twin", insecure_remote=False))
        lines = said(request, SwitchingOn())
    assert lines.count(looking) >= 3
    assert lines[-2] == "           12 of 12 runs are measured"
    assert runs_of(request) == 12


def start_fails(monkeypatch: pytest.MonkeyPatch, at: Callable[[int], bool], error: CodesignError | None) -> None:
    """Let every start for which ``at`` is true of its number hang, or raise."""
    wait, starts = EngineControl.wait, iter(range(1000))

    def failing(control: EngineControl, timeout_s: float) -> float | None:
        if not at(next(starts)):
            return wait(control, timeout_s)
        if error is not None:
            raise error
        return None

    monkeypatch.setattr(EngineControl, "wait", failing)


def test_a_run_that_hangs_is_skipped_and_stays_so(request_: CampaignRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    start_fails(monkeypatch, lambda number: number == 4, None)
    lines = lines_of(request_)
    assert lines[1].endswith("did not finish within 10 s; it has been configured again, check the program; run skipped")
    assert (
        lines[2]
        == f"           11 of 12 runs are measured, 1 skipped ({request_.out.parent}/board.failures.jsonl says why)"
    )
    assert lines_of(request_) == lines[2:]
    (request_.out.parent / "board.failures.jsonl").unlink()
    assert "12 of 12 runs are measured" in lines_of(request_)[1]
    assert runs_of(request_) == 12


def test_a_run_during_which_the_board_is_lost_again_and_again_is_skipped(
    request_: CampaignRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "PAUSES_S", (0.0,))
    start_fails(monkeypatch, lambda number: number in (1, 5, 6, 7), ConnectionLostError("gone"))
    lines = lines_of(request_)
    assert [line for line in lines if "gone" in line] == ["           gone"] * 3 + ["           gone; run skipped"]
    assert "11 of 12 runs are measured, 1 skipped" in lines[-2]
    assert runs_of(request_) == 11


def test_garbage_in_counters_results_and_times_is_refused(
    request_: CampaignRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, reads = Buffer.read, iter(range(1000))

    def spoilt(buffer: Buffer, offset: int, size: int) -> bytes:
        content, number = bytearray(read(buffer, offset, size)), next(reads)
        # Of each run the counters are read, then the result.
        if number in (4, 11):
            content[isa.COUNTERS.fields["ifmap_words"][1] if number == 4 else 0] ^= 1
        return bytes(content)

    monkeypatch.setattr(Buffer, "read", spoilt)
    lines = lines_of(request_)
    assert re.search(r"counters\.ifmap_words: must be \d+ for Layer.*, got \d+; run skipped", lines[1])
    assert re.search(r"result: the engine's first pixel of Layer.* is not the reference's; run skipped", lines[2])
    assert "10 of 12 runs are measured, 2 skipped" in lines[3]
    (request_.out.parent / "board.failures.jsonl").unlink()
    monkeypatch.setattr(EngineControl, "cycles", lambda _: 7)
    lines = lines_of(request_)
    assert re.search(r"a run must take more cycles than its \d+ iterations, the engine counts 7; run skipped", lines[1])
    assert runs_of(request_) == 10


def test_a_dead_board_does_not_skip_the_whole_plan(request_: CampaignRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    start_fails(monkeypatch, lambda number: number >= 4, None)
    with pytest.raises(BoardError, match=r"3 runs in a row failed, the last so: .*did not finish.*; see to the board"):
        lines_of(request_)
    assert runs_of(request_) == 4


def test_another_bitstream_is_refused_before_it_is_loaded(
    request_: CampaignRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines_of(request_)
    first = read_measurements([request_.out])[0]
    assert first.bitstream is not None
    lines = request_.out.read_text().splitlines(keepends=True)
    request_.out.write_text("".join(line.replace(first.bitstream, "cd" * 32) for line in lines[:6]))

    def loaded(session: RemoteSession, bit: Path) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(RemoteSession, "load", loaded)
    with pytest.raises(InvalidValueError, match=f"must be cdcdcdcdcdcd, whose runs .*, got '{first.bitstream[:12]}'"):
        lines_of(request_)
    assert runs_of(request_) == 6


def test_a_second_campaign_on_the_board_is_refused(request_: CampaignRequest) -> None:
    target = parse_target("pynq-z2@127.0.0.1:7", "twin", insecure_remote=False)
    with (
        board_claim("127.0.0.1:7"),
        pytest.raises(StorageError, match=r"the board at 127\.0\.0\.1:7 is in use by another process"),
    ):
        measure_plan(replace(request_, target=target), RecordedProgress(), print)


def test_plans_and_projects_of_something_else_are_refused(request_: CampaignRequest, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=r"plan\.board: must be zcu104, .* got 'pynq-z2'"):
        lines_of(replace(request_, target=parse_target("zcu104", "twin", insecure_remote=False)))
    with pytest.raises(StorageError, match=r"project\.json: is missing"):
        lines_of(replace(request_, project=tmp_path))
    record = read_json(request_.project / "project.json")
    other = {**record, "accelerator": {**record["accelerator"], "ofmap_kib": 16}}
    write_json(tmp_path / "project.json", other)
    with pytest.raises(InvalidValueError, match=r"plan\.accelerator\.ofmap_kib: must be 16, as the project's.* got 8"):
        lines_of(replace(request_, project=tmp_path))
    write_json(tmp_path / "project.json", {**record, "board": "zcu104"})
    with pytest.raises(InvalidValueError, match=r"project\.board: must be pynq-z2.* got 'zcu104'"):
        lines_of(replace(request_, project=tmp_path))
    assert not request_.out.exists()


def test_a_campaign_over_ssh_whose_connection_is_cut_goes_on(
    request_: CampaignRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "PAUSES_S", (0.2, 0.5, 1.0))
    with ssh_server(tmp_path / "server", request_.project) as server:
        proxy = CuttingProxy(server.port, budget=10**9)
        home_with_keys(server, proxy.port, tmp_path / "home", monkeypatch)
        target = parse_target(f"pynq-z2@root@127.0.0.1:{proxy.port}", "ssh", insecure_remote=False)
        progress = RecordedProgress()
        after_third_run(monkeypatch, proxy.cut)
        lines = said(replace(request_, target=target), progress)
    assert "           the board is looked for again in 0.2 s" in lines
    assert lines[-2] == "           12 of 12 runs are measured"
    assert runs_of(request_) == 12
    assert {run.source for run in read_measurements([request_.out])} == {"twin simulated by a model"}


def test_two_hosts_do_not_measure_on_one_board_over_ssh(
    request_: CampaignRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ssh_server(tmp_path / "server", request_.project) as server:
        home_with_keys(server, server.port, tmp_path / "home", monkeypatch)
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr("platform.node", lambda: "elsewhere")
            other = logged_in(server)
        target = parse_target(f"pynq-z2@root@127.0.0.1:{server.port}", "ssh", insecure_remote=False)
        with pytest.raises(BoardError, match=r"in use by root@elsewhere, process \d+"):
            lines_of(replace(request_, target=target))
        other.close()
        assert "12 of 12 runs are measured" in lines_of(replace(request_, target=target))[-2]


def test_what_was_measured_becomes_coefficients_and_a_report(request_: CampaignRequest, tmp_path: Path) -> None:
    arguments = ["--plan", request_.plan, "--project", request_.project, "--out", request_.out, "--via", "twin"]
    for command in (
        ["run", "--board", "pynq-z2", *arguments],
        ["fit", "--measurements", request_.out, "--out", tmp_path / "fitted"],
        ["report", tmp_path / "fitted"],
    ):
        done = CliRunner().invoke(app, ["calibrate", *map(str, command)])
        assert done.exit_code == 0, done.output
    coefficients = load_coefficients(str(tmp_path / "fitted"))
    assert (coefficients.board, coefficients.measurements, coefficients.source) == (
        "pynq-z2",
        12,
        "twin simulated by a model",
    )
    assert "twin simulated by a model" in (tmp_path / "fitted/report/index.html").read_text()
