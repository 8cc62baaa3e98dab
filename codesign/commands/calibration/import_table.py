"""``codesign calibrate import``: published tables as measurements."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cost_models.measurements.importers.chaidnn import read_chaidnn
from cost_models.measurements.importers.mlperf_tiny import read_mlperf_tiny
from cost_models.measurements.importers.ofa_dpu import read_ofa_dpu
from cost_models.measurements.importers.table import Tell
from cost_models.measurements.importers.vta_tophub import read_vta_tophub
from cost_models.measurements.measurement import Measurement, append_measurements
from hw_templates.foundation.errors import StorageError, UnknownNameError

IMPORTERS: Mapping[str, Callable[[Path, Tell], tuple[Measurement, ...]]] = {
    "chaidnn": read_chaidnn,
    "mlperf-tiny": read_mlperf_tiny,
    "ofa-dpu": read_ofa_dpu,
    "vta-tophub": read_vta_tophub,
}


@dataclass(frozen=True)
class ImportedTable:
    """A table that was imported.

    Attributes:
        measurements: the file that was written.
        runs: how many measurements it holds.
        left_out: for each reason, how many rows were left out and why.
    """

    measurements: Path
    runs: int
    left_out: tuple[str, ...]


def import_table(kind: str, table: Path, out: Path) -> ImportedTable:
    """Write the rows of a published table as measurements.

    Raises:
        UnknownNameError: unknown kind of table.
        StorageError: the table cannot be read, a row of it is unsound, or ``out`` exists.
    """
    if kind not in IMPORTERS:
        raise UnknownNameError("kind", kind, IMPORTERS)
    if out.exists():
        raise StorageError(f"{out}: exists; choose another name, or fit to both files")
    left_out: list[str] = []
    runs = IMPORTERS[kind](table, left_out.append)
    append_measurements(out, runs)
    return ImportedTable(out, len(runs), tuple(left_out))
