"""Lines about a stage: when they come, and what they estimate. No test waits for time to pass."""

import itertools
import queue

from codesign.cli.progress_lines import INTERVAL_S, ProgressLines, StageProgress


class Clock:
    """A clock that goes on only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_line_says_what_how_far_for_how_long_and_how_much_longer() -> None:
    clock = Clock()
    stage = StageProgress("train", clock)
    clock.now += 40
    assert stage.line() == "train: 0:00:40 elapsed, time left unknown"
    stage.update(0.0, "step 0")
    assert stage.line() == "train: 0%, step 0, 0:00:40 elapsed, time left unknown"
    clock.now += 60
    stage.update(0.25, "step 10")
    assert stage.line() == "train: 25%, step 10, 0:01:40 elapsed, about 0:03:00 left"
    clock.now += 3600
    assert stage.line() == "train: 25%, step 10, 1:01:40 elapsed, about 3:03:00 left"


def test_the_share_done_before_does_not_count_as_speed() -> None:
    clock = Clock()
    stage = StageProgress("train", clock)
    stage.update(0.8, "")
    clock.now += 100
    stage.update(0.9, "")
    assert stage.line() == "train: 90%, 0:01:40 elapsed, about 0:01:40 left"


def test_no_half_minute_passes_without_a_line() -> None:
    clock, written, waits = Clock(), [], []
    lines = ProgressLines(written.append, clock)
    begin = clock.now

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        clock.now += seconds
        return clock.now > begin + 120

    with lines.stage("search"):
        lines.run(wait)
    assert INTERVAL_S < 30
    assert max(waits) <= INTERVAL_S
    assert len(written) == 120 // INTERVAL_S
    assert all(line.startswith("search: ") for line in written)


def test_a_line_comes_no_sooner_than_needed_after_another_and_counts_time_before_the_stage() -> None:
    clock, written = Clock(), []
    lines = ProgressLines(written.append, clock)
    clock.now += 15
    lines.written()
    clock.now += 15
    waits = iter((INTERVAL_S - 15, INTERVAL_S))

    def wait(seconds: float) -> bool:
        assert seconds == next(waits)
        clock.now += seconds
        return len(written) == 1

    with lines.stage("csim"):
        lines.run(wait)
    assert written == ["csim: 0:00:05 elapsed, time left unknown"]


def test_lines_are_of_the_innermost_stage_and_none_is_written_outside_of_stages() -> None:
    clock, written = Clock(), []
    lines = ProgressLines(written.append, clock)

    def once() -> None:
        turns = iter((False, True))

        def wait(seconds: float) -> bool:
            clock.now += seconds
            return next(turns)

        lines.run(wait)

    once()
    assert written == []
    with lines.stage("search"):
        with lines.stage("random"):
            once()
        once()
    assert [line.partition(":")[0] for line in written] == ["random", "search"]


def test_lines_come_from_the_background_while_the_work_says_nothing() -> None:
    written: queue.Queue[str] = queue.Queue()
    ticks = itertools.count(step=INTERVAL_S)
    lines = ProgressLines(written.put, lambda: next(ticks))
    with lines.stage("csim"), lines.running():
        assert written.get(timeout=60).startswith("csim: ")
