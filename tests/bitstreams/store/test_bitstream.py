from dataclasses import replace

import pytest

from bitstreams.building.comparison import Quantity
from bitstreams.building.reports import Timing, Utilisation
from bitstreams.store.bitstream import Bitstream
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError

MADE = Bitstream(
    determined_by={"hardware_sha256": "ab", "vivado": "2023.2"},
    board="pynq-z2",
    part="xc7z020clg400-1",
    design="engine_ab",
    clock_mhz=142.857,
    hardware_sha256="ab",
    accelerator=Accelerator(
        pe_rows=8,
        pe_cols=8,
        pe_pixels=2,
        pack=1,
        ifmap_kib=8,
        weight_kib=8,
        ofmap_kib=8,
        axi_bits=64,
        clock_mhz=100,
        depthwise_lanes=8,
    ),
    tools={"vivado": "2023.2"},
    timing=Timing(0.1, 0.0, None, 0.0),
    utilisation=Utilisation(lut=1000),
    figures=(Quantity("lut", 900.0, None, 1000.0),),
)


def test_the_digest_is_of_what_determines_the_hardware_only() -> None:
    assert replace(MADE, clock_mhz=None, timing=Timing()).digest == MADE.digest
    assert replace(MADE, determined_by={"vivado": "2023.2", "hardware_sha256": "ab"}).digest == MADE.digest
    assert replace(MADE, determined_by={"hardware_sha256": "ab", "vivado": "2024.1"}).digest != MADE.digest


@pytest.mark.parametrize("clock_mhz", [0.0, -100.0, float("inf"), float("nan")])
def test_a_clock_that_cannot_be_is_refused(clock_mhz: float) -> None:
    with pytest.raises(InvalidValueError, match=r"bitstream\.clock_mhz"):
        replace(MADE, clock_mhz=clock_mhz)
