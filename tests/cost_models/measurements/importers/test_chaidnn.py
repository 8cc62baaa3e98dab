from pathlib import Path

import pytest
from support.mutations import drive, mutated_text
from support.shared_data import shared_data

from cost_models.measurements.importers.chaidnn import read_chaidnn
from hw_templates.foundation.errors import StorageError

TABLE = """device,board,compute_dsps,clk_mhz,dsp_clk_mhz,bits,network,scope,fps
ZU9,zcu102,128,300,600,6,Net,conv_only,50
ZU9,zcu102,128,300,600,6,Net,with_fc_on_cpu,20
"""


def test_rates_become_times_of_convolutions(tmp_path: Path) -> None:
    path = tmp_path / "fps.csv"
    path.write_text(TABLE)
    lines: list[str] = []
    (run,) = read_chaidnn(path, lines.append)
    assert lines == [f"1 of 2 rows: their scope is with_fc_on_cpu, not convolutions alone; the first is {path}:3"]
    assert (run.network, run.latency_ms.p50, run.clock_mhz) == ("Net", pytest.approx(20.0), 300.0)
    assert run.settings == {"compute_dsps": 128, "bits": 6, "dsp_clk_mhz": 600}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("conv_only,50", "conv_only,0", "fps must be above zero, got 0"),
        ("300,600", "600,300", "dsp_clk_mhz must be twice clk_mhz (1200), got 300"),
        ("conv_only,50", "convolutions,50", "scope must be conv_only or with_fc_on_cpu or whole, got 'convolutions'"),
    ],
)
def test_a_row_that_no_such_engine_gives_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "fps.csv"
    path.write_text(TABLE.replace(old, new, 1))
    with pytest.raises(StorageError) as caught:
        read_chaidnn(path)
    assert str(caught.value) == f"{path}:2: {message}"


def test_whatever_a_table_holds_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "fps.csv"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        assert read_chaidnn(path)

    accepted, refused = drive(read, mutated_text(TABLE, 2_000))
    assert accepted > 50
    assert refused > 500


def test_the_published_table() -> None:
    runs = read_chaidnn(shared_data("chaidnn") / "chaidnn_v2_fps.csv")
    assert len(runs) > 20
    # More DSPs are faster, all else equal.
    times = {run.settings["compute_dsps"]: run.latency_ms.p50 for run in runs
             if (run.network, run.settings["bits"], run.board) == ("AlexNet", 8, "zcu102")}  # fmt: skip
    assert sorted(times.values(), reverse=True) == [times[size] for size in sorted(times)]
