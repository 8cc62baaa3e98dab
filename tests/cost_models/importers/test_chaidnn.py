from pathlib import Path

import pytest
from shared_data import shared_data

from cost_models.importers.chaidnn import read_chaidnn

TABLE = """device,board,compute_dsps,clk_mhz,dsp_clk_mhz,bits,network,scope,fps
ZU9,zcu102,128,300,600,6,Net,conv_only,50
ZU9,zcu102,128,300,600,6,Net,with_fc_on_cpu,20
"""


def test_rates_become_times_of_convolutions(tmp_path: Path) -> None:
    path = tmp_path / "fps.csv"
    path.write_text(TABLE)
    (run,) = read_chaidnn(path)
    assert (run.network, run.latency_ms.p50, run.clock_mhz) == ("Net", pytest.approx(20.0), 300.0)
    assert run.settings == {"compute_dsps": 128, "bits": 6, "dsp_clk_mhz": 600}


def test_the_published_table() -> None:
    runs = read_chaidnn(shared_data("chaidnn") / "chaidnn_v2_fps.csv")
    assert len(runs) > 20
    # More DSPs are faster, all else equal.
    times = {run.settings["compute_dsps"]: run.latency_ms.p50 for run in runs
             if (run.network, run.settings["bits"], run.board) == ("AlexNet", 8, "zcu102")}  # fmt: skip
    assert sorted(times.values(), reverse=True) == [times[size] for size in sorted(times)]
