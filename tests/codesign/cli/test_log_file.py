import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from codesign.cli.console import LogFile
from hw_templates.foundation.errors import InvalidValueError


def test_lines_are_added_with_the_time_of_day(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.log"
    for text in ("first", "second"):
        log = LogFile(path, now=lambda: datetime(2026, 1, 31, 12, 0, tzinfo=UTC))
        log.write(text)
        assert path.read_text().endswith(f"{text}\n")
        log.close()
    assert path.read_text() == "2026-01-31T12:00:00+00:00 first\n2026-01-31T12:00:00+00:00 second\n"


def test_the_time_of_day_has_its_zone(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "run.log")
    log.write("x")
    log.close()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d x\n", (tmp_path / "run.log").read_text())


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path, tmp_path / "file" / "run.log"):
        with pytest.raises(InvalidValueError, match="log_file: must be a file that can be written"):
            LogFile(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_ends_the_log_and_not_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    log = LogFile(Path("/dev/full"))
    for _ in range(3):
        log.write("x")
    log.close()
    assert capsys.readouterr().err == "codesign: warning: /dev/full: no more lines are kept (No space left on device)\n"
