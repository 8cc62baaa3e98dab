import json
from pathlib import Path

import numpy as np
import pytest
from support.boards.emitted_projects import emit_fused_project

from bitstreams.board.descriptors import descriptor_layer, mapped_layers
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.program import read_program
from hw_templates.foundation.errors import CodesignError


@pytest.mark.parametrize("seed", range(4))
def test_a_program_says_again_what_it_was_compiled_from(seed: int, tmp_path: Path) -> None:
    placements = emit_fused_project(
        tmp_path,
        Accelerator(
            pe_rows=8,
            pe_cols=4,
            pe_pixels=2,
            pack=2,
            ifmap_kib=16,
            weight_kib=8,
            ofmap_kib=4,
            axi_bits=32,
            clock_mhz=150,
            depthwise_lanes=8,
            map_kib=64,
            weight_port_words=2,
        ),
        seed,
    )
    program = read_program(tmp_path)
    records = np.frombuffer(program.arena, isa.DESCRIPTOR, program.layer_count)
    mapped = mapped_layers(records)
    assert [ran.placement for ran in mapped] == list(placements)
    emitted = json.loads((tmp_path / "project.json").read_text())["layers"]
    for record, layer, ran in zip(records, emitted, mapped, strict=True):
        assert json.loads(json.dumps(vars(ran.mapping))) == layer["mapping"]
        assert (ran.layer.out_height, ran.layer.out_width) == (record["out_height"], record["out_width"])


def test_what_no_engine_runs_is_refused() -> None:
    with pytest.raises((CodesignError, ValueError)):
        descriptor_layer(np.full(1, -1, "<i4").repeat(isa.DESCRIPTOR_FIELDS).view(isa.DESCRIPTOR)[0])
