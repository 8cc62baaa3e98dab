"""Rows of published tables as measurements, and rows that are left out."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from cost_models.calibration.engines import engine_model
from cost_models.calibration.timing_model import check_attainable
from cost_models.measurements.measurement import Measurement
from hw_templates.foundation.csv_table import Row
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import reading

Tell = Callable[[str], None]
"""Hears a clause for each reason for which rows of a table are left out."""


def tell_left_out(tell: Tell, rows: Sequence[Row], of: int, why: str, what: str = "rows") -> None:
    """Tell how many of ``of`` rows, or of what else of them, are left out and why, if any are."""
    if rows:
        tell(f"{len(rows)} of {of} {what}: {why}; the first is {rows[0].place}")


def converted(rows: Iterable[Row], convert: Callable[[Row], Measurement]) -> dict[Row, Measurement]:
    """Return rows with their measurements.

    Raises:
        StorageError: a row breaks a rule of measurements; names its line.
    """
    runs = {}
    for row in rows:
        with reading(row.place):
            runs[row] = convert(row)
    return runs


def check_roofline(engine: str, runs: Mapping[Row, Measurement]) -> None:
    """Check that no run is faster than its engine can be.

    Raises:
        StorageError: names the first such row.
    """
    try:
        check_attainable(engine_model(engine), {f"{row.place}: latency_ms": run for row, run in runs.items()})
    except InvalidValueError as error:
        raise StorageError(f"{error}; correct its time, clock or shape, or take the row out") from error
