import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from support.mutations import drive, from_file, mutated_json

from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.mapping.placement import Placement
from cost_models.measurements.measurement import RunPlan, read_plan, write_plan
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError, MappingError, StorageError

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
    map_kib=16,
)
LAYER = Layer(
    operation=Operation.CONV,
    in_channels=8,
    out_channels=16,
    in_height=6,
    in_width=6,
    kernel_height=3,
    kernel_width=3,
    stride=1,
    padding=1,
)
MAPPING = Mapping(
    tile_out_channels=8, tile_in_channels=8, tile_height=3, tile_width=6, loop_order=LoopOrder.CHANNELS_OUTER
)
KEPT = Placement(ofmap_ring=5, bands=((0, 3), (3, 6)), group_layers=2)
RUNS = (
    (MappedLayer(LAYER, MAPPING),),
    (MappedLayer(LAYER, MAPPING, KEPT), MappedLayer(LAYER, MAPPING)),
)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = RunPlan(board="pynq-z2", accelerator=ACCELERATOR, runs=RUNS, deviations=(0.5, 0.1, 0.05))
    write_plan(tmp_path / "plan.json", plan)
    assert read_plan(tmp_path / "plan.json") == plan


@pytest.mark.parametrize("key", ["format", "plan"])
def test_a_plan_for_an_engine_of_before_is_to_be_made_again(key: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, RunPlan(board="pynq-z2", accelerator=ACCELERATOR, runs=RUNS))
    values = json.loads(path.read_text())
    del values["format"]
    path.write_text(json.dumps({**values, key: 3}))
    with pytest.raises(
        StorageError, match=r"plan\.format: must be 4, which this version reads, got 3; `codesign calibrate plan` makes"
    ):
        read_plan(path)


def test_a_plan_that_nothing_could_run_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"plan\.runs: must be at least one"):
        RunPlan(board="pynq-z2", accelerator=ACCELERATOR, runs=())
    with pytest.raises(InvalidValueError, match=r"plan\.runs\[1\]: must be one that is new"):
        RunPlan(board="pynq-z2", accelerator=ACCELERATOR, runs=(RUNS[0], RUNS[0]))
    with pytest.raises(MappingError, match="map_kib"):
        RunPlan(board="pynq-z2", accelerator=replace(ACCELERATOR, map_kib=0), runs=RUNS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, r"plan\.format: must be 4, which this version reads, got 1; `codesign calibrate plan` makes"),
        ({"runs": [[{"layer": asdict(LAYER)}]]}, r"plan\.runs\[0\]\[0\]\.mapping: must be given"),
        ({"runs": [[]]}, r"plan\.runs\[0\]: must be one that is new"),
        ({"runs": [[{"layer": {}}]]}, r"plan\.runs\[0\]\[0\]\.layer\.operation: must be given"),
        ({"runs": 3}, r"plan\.runs: must be a list, got 3; `codesign calibrate plan` makes one"),
        ({"accelerator": {"pe_rows": 8}}, "accelerator"),
    ],
)
def test_a_spoilt_file_is_named_with_its_fault(change: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, RunPlan(board="pynq-z2", accelerator=ACCELERATOR, runs=RUNS))
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StorageError, match=message) as raised:
        read_plan(path)
    assert str(raised.value).startswith(str(path))


def test_what_is_no_plan_is_named(tmp_path: Path) -> None:
    for name, text, fault in (
        ("absent", None, "is missing"),
        ("text", "plan", "plan: must"),
        ("list", "[]", "plan: must"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(StorageError, match=f"{name}: {fault}.*`codesign calibrate plan` makes one"):
            read_plan(tmp_path / name)


def test_any_spoilt_plan_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, RunPlan(board="pynq-z2", accelerator=ACCELERATOR, runs=RUNS, deviations=(0.5, 0.1, 0.05)))

    accepted, refused = drive(
        from_file(path, lambda: read_plan(path)), mutated_json(json.loads(path.read_text()), 3_000)
    )
    assert accepted > 20
    assert refused > 1_000
