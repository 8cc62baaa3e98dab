from dataclasses import replace

from bitstreams.board.power import Energy
from codesign.cli.text.deploy import deploy_lines
from codesign.run.records import DeployRecord
from cost_models.measurements.measurement import Percentiles
from hw_templates.project.record import Prediction

ON_TWIN = DeployRecord(
    complete=True,
    source="twin simulated at RTL",
    where="127.0.0.1:7967",
    board="pynq-z2",
    bitstream="89abcdef" * 8,
    hardware_sha256="0123456789abcdef" * 4,
    measured_at="2026-01-31T12:00:00+00:00",
    clock_mhz=150.0,
    images=359,
    right=352,
    accuracy=352 / 359,
    latency_ms=Percentiles(p50=0.22, p05=0.22, p95=0.22),
    cycles=33_000,
    cycle_shares={"compute": 0.25, "load_wait": 0.5, "store_wait": 0.125},
    predicted=Prediction(0.2, 0.35),
)
ON_BOARD = replace(
    ON_TWIN,
    source="codesign deploy, ssh",
    where="root@10.0.0.2:22",
    latency_ms=Percentiles(p50=0.2, p05=0.19, p95=0.21),
    inference_ms=Percentiles(p50=0.7, p05=0.6, p95=0.9),
    cycles=None,
    energy=Energy(total_mj=0.7, above_idle_mj=0.1, busy_w=3.5, idle_w=3.0, source="rails 12V"),
)


def test_a_twin_is_compared_with_the_prediction_as_it_is() -> None:
    assert list(deploy_lines(ON_TWIN)) == [
        "deploy     pynq-z2 (twin simulated at RTL, 127.0.0.1:7967): engine 0123456789ab at 150 MHz",
        "           accuracy: 98.05% of 359 test images, bit for bit as the integer reference",
        "           latency: 0.22 ms an image (simulated at RTL); predicted 0.2 ms, +10.0%",
        "           cycles: 25% computing, 50% waiting for loads, 12% for stores, the rest setting up",
        "           energy: not measured; predicted 0.35 mJ an image",
    ]


def test_a_board_is_compared_with_the_prediction_too() -> None:
    lines = list(deploy_lines(ON_BOARD))
    assert lines[2] == "           latency: 0.2 ms an image (5 to 95 %: 0.19 to 0.21 ms); predicted 0.2 ms, +0.0%"
    assert lines[4] == "           host: 0.5 ms more an image, 95 % below 0.9 ms in all"
    assert lines[5] == (
        "           energy: 0.7 mJ an image, 0.1 of it above idle (rails 12V: 3.5 W busy, 3 W idle); predicted 0.35 mJ"
    )
