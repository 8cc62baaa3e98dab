import re
import shutil
import struct
from dataclasses import replace
from pathlib import Path

from support.json_file import read_json
from support.networks.named_spaces import DIGITS

from codesign.commands.report import report
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.records import CsimRecord
from codesign.supernet.lowering.workloads import lower
from codesign.templates.engine.template import on_chip_maps
from cost_models.closed_form.estimate import price
from cost_models.coefficients import load_coefficients
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.json_records import write_record


def png_size(content: bytes) -> tuple[int, int]:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_the_page_shows_pictures_that_are_there(finished_run: Run) -> None:
    page = (finished_run.report / "index.html").read_text()
    pictures = re.findall(r'<img src="([^"]+)"', page)
    assert set(pictures) == {"front.png", "layers.png", "resources.png", "training.png", "predictor.png"}
    for name in pictures:
        width, height = png_size((finished_run.report / name).read_bytes())
        assert width > 400
        assert height > 200


def test_the_page_states_what_the_run_found(finished_run: Run) -> None:
    page = (finished_run.report / "index.html").read_text()
    project, fronts = read_json(finished_run.project / "project.json"), read_json(finished_run.fronts)
    assert f"{project['predicted']['latency_ms']:.4f} ms" in page
    assert f"{project['origin']['test_accuracy']['int8']:.2%}" in page
    for volume in fronts["hypervolumes"].values():
        assert f"{volume:.4f}" in page
    for layer in project["layers"]:
        assert f"<td>{layer['name']}</td>" in page
        assert f"<td>{layer['compute_cycles']:,}</td>" in page


def test_blocks_that_do_not_fit_the_chip_are_named_with_what_would_hold_them() -> None:
    workload = lower(DIGITS, DIGITS.largest())
    wide = Accelerator(
        pe_rows=8,
        pe_cols=8,
        pe_pixels=2,
        pack=2,
        ifmap_kib=8,
        weight_kib=8,
        ofmap_kib=8,
        axi_bits=64,
        clock_mhz=150,
        map_kib=32,
    )
    said = []
    for accelerator in (wide, replace(wide, map_kib=0)):
        estimate = price(workload, accelerator, load_board("pynq-z2"), load_coefficients())
        said.append(on_chip_maps(workload, estimate, accelerator))
    kept = [int(text.split(" of ")[0]) for text in said]
    assert kept[0] > kept[1] == 0
    short = [re.findall(r" (\S+) to (\S+) run layer by layer: map_kib is 0, (\d+) would do\.", text) for text in said]
    assert short[0] == []
    assert short[1]
    for first, last, least_kib in short[1]:
        assert {first, last} <= {node.name for node in workload.nodes}
        assert 1 <= int(least_kib) <= 32


def test_the_page_shows_a_simulation_of_verilog(finished_run: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))
    assert "The engine in Verilog" not in report(run, Silent()).page.read_text()
    digest = read_json(run.emitted)["digest"]
    record = CsimRecord(program_sha256=digest, images=7, cycles=12_345, cycles_per_second=1e5)
    write_record(run.verification, record)
    page = report(run, Silent()).page.read_text()
    assert "7 test images ran through the engine, simulated clock by clock" in page
    assert "An image takes 12,345 cycles" in page
