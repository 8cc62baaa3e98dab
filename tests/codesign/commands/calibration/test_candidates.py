from dataclasses import replace

import pytest

from codesign.commands.calibration.plan import candidates
from codesign.emit.random_program import random_program
from cost_models.measurements.measurement import RunPlan
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape

ACCELERATOR = Accelerator(
    pe_rows=8,
    pe_cols=8,
    pe_pixels=2,
    pack=1,
    ifmap_kib=16,
    weight_kib=16,
    ofmap_kib=16,
    axi_bits=64,
    clock_mhz=100,
    map_kib=32,
)


@pytest.mark.parametrize("map_kib", [0, 32])
def test_candidates_are_runs_that_an_engine_takes(map_kib: int) -> None:
    accelerator = replace(ACCELERATOR, map_kib=map_kib)
    runs = candidates(accelerator)
    assert RunPlan(board="pynq-z2", accelerator=accelerator, runs=tuple(runs)).runs == tuple(candidates(accelerator))
    stacks = [run for run in runs if len(run) > 1 and len(set(run)) == 1]
    kept = [run for run in runs if run[0].placement.group_layers]
    assert len(stacks) > 20
    assert bool(kept) == bool(map_kib)
    for run in [min(runs, key=lambda layers: sum(ran.layer.macs for ran in layers)), stacks[-1], *kept[-3:]]:
        made = random_program(run, EngineShape(accelerator=accelerator), 0)
        # A layer in bands has a descriptor for each.
        assert sorted(set(made.layer_of)) == list(range(len(run)))
        assert made.program.layer_count == len(made.layer_of) >= len(run)
