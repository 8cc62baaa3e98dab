import json
from dataclasses import replace

import numpy as np
import pytest
from support.networks.named_spaces import DIGITS, DIGITS_STREAM
from support.pricing.capacity_accuracy import CapacityAccuracy

from codesign.search.joint_search import joint_search
from codesign.search.joint_space import JointSpace
from codesign.search.problem import SearchSettings
from codesign.search.study import SearchTask, StudyLocation, is_feasible
from codesign.supernet.lowering.workloads import lower
from codesign.templates.hls4ml.problem import Hls4mlProblem
from cost_models.hls4ml.estimate import check_hls4ml_fits, price_hls4ml
from hw_templates.board import load_board
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError, StorageError, UnsupportedLayerError
from hw_templates.hls4ml.parameters import Hls4mlSpace

BOARD = load_board("pynq-z2")
JOINT = JointSpace(DIGITS_STREAM, Hls4mlSpace(BOARD))
LOSSES = {"6 bits": 0.02, "8 bits": 0.001}


@pytest.fixture
def make_stream_task(tmp_path):
    def make(pairs, name="a", joint=JOINT, losses=LOSSES, workers=1):
        location = StudyLocation(str(tmp_path / f"{name}.journal"), "search")
        oracle = CapacityAccuracy(joint.space)
        return SearchTask(
            location=location,
            problem=Hls4mlProblem(joint, losses=losses),
            oracle=oracle,
            accuracy_name="capacity",
            settings=SearchSettings(pairs, 0, workers),
        )

    return make


def test_pairs_of_the_front_fit_and_are_priced_as_one_by_one(make_stream_task):
    task = make_stream_task(2_000)
    front = joint_search(task).front
    for row, values in zip(front.rows, front.values, strict=True):
        pair = JOINT.decode(row)
        estimate = price_hls4ml(lower(DIGITS_STREAM, pair.subnet), pair.accelerator, BOARD)
        check_hls4ml_fits(estimate, BOARD)
        loss = LOSSES[f"{pair.accelerator.precision_bits} bits"]
        accuracy = task.oracle.accuracy(row[None, : JOINT.gene_count])[0] - loss
        assert values == pytest.approx([accuracy, estimate.latency_ms, estimate.energy_mj])


def test_a_search_goes_on_where_it_stopped(make_stream_task):
    joint_search(make_stream_task(700, "stopped"))
    resumed = joint_search(make_stream_task(2_000, "stopped"))
    whole = joint_search(make_stream_task(2_000, "whole"))
    assert resumed.progress.pairs >= 2_000
    assert len(resumed.front) > 3
    best = [front.values.max(axis=0)[0] for front in (resumed.front, whole.front)]
    assert best[0] == pytest.approx(best[1], abs=0.05)


def test_the_study_is_an_ordinary_one(make_stream_task):
    task = make_stream_task(500)
    joint_search(task)
    trials = task.open_study().get_trials()
    assert all(is_feasible(trial) for trial in trials)
    assert {"precision_bits", "io_type", "interval_cycles", "clock_mhz", "resolution"} <= set(trials[0].params)
    json.dumps(trials[0].params)


def test_other_losses_make_another_study(make_stream_task):
    joint_search(make_stream_task(100))
    with pytest.raises(StorageError, match="its accuracy is"):
        joint_search(make_stream_task(100, losses={"6 bits": 0.5, "8 bits": 0.0}))


def test_precision_that_costs_too_much_accuracy_is_not_on_the_front(make_stream_task):
    front = joint_search(make_stream_task(2_000, losses={"6 bits": 1.0, "8 bits": 0.0})).front
    assert {JOINT.decode(row).accelerator.precision_bits for row in front.rows[front.accuracy > 0]} == {8}


def test_bad_tasks(make_stream_task):
    with pytest.raises(InvalidValueError, match=r"search\.workers: must be 1 for template hls4ml, got 2"):
        make_stream_task(100, workers=2)
    with pytest.raises(UnsupportedLayerError, match="stem: not for template hls4ml: hswish"):
        make_stream_task(100, joint=JointSpace(DIGITS, Hls4mlSpace(BOARD)))
    tiny = JointSpace(DIGITS_STREAM, Hls4mlSpace(replace(BOARD, dsp=1)))
    with pytest.raises(InfeasibleError, match="no subnet of digits-stream with template hls4ml fits pynq-z2"):
        joint_search(make_stream_task(600, joint=tiny))


def test_rows_decode_to_pairs_of_the_space():
    row = np.array([len(choices) - 1 for _, choices in JOINT.parameters])
    pair = JOINT.decode(row)
    assert pair.subnet == DIGITS_STREAM.largest()
    assert JOINT.encode_params(JOINT.params(row[None])[0]).tolist() == row.tolist()
