"""Searches through the front door: accuracies of one's own, and what does not go with them."""

from pathlib import Path
from typing import Any

import pytest
from support.pricing.capacity_accuracy import CapacityAccuracy

from codesign.api.joint import SearchOptions, joint_problem, search
from codesign.supernet.spaces.named import load_space
from cost_models.coefficients import load_coefficients
from cost_models.resources import check_fits
from hw_templates.board import load_board
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError

DIGITS = load_space("digits")


class Worse(CapacityAccuracy):
    """Less accuracy for the same subnets, under the name of the other oracle."""

    def accuracy(self, genes: Any) -> Any:
        return super().accuracy(genes) - 0.1


Worse.__qualname__ = CapacityAccuracy.__qualname__


def test_oracles_of_one_class_whose_accuracies_differ_have_studies_of_their_own(tmp_path: Path) -> None:
    better, worse = (
        search(tmp_path, space="digits", accuracy=kind(DIGITS), pairs=1) for kind in (CapacityAccuracy, Worse)
    )
    assert better.study.study_name != worse.study.study_name
    assert max(pair.accuracy for pair in worse.front) < 0.9 < max(pair.accuracy for pair in better.front)
    again = search(tmp_path, space="digits", accuracy=CapacityAccuracy(DIGITS), pairs=1)
    assert again.front == better.front
    assert len(again.study.trials) == len(better.study.trials)


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        (None, SearchOptions(), "space: must be given"),
        ("digits", SearchOptions(baselines=True), "baselines: must be left out"),
        (
            "digits-stream",
            SearchOptions(template="hls4ml"),
            "accuracy: must be predictor or measured, as template hls4ml",
        ),
        ("digits", SearchOptions(workers=0), "search.workers: must be at least 1"),
    ],
)
def test_what_does_not_go_with_an_oracle_of_ones_own_is_refused_before_anything_is_made(
    space: str | None, options: SearchOptions, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        search(tmp_path / "run", space=space, accuracy=CapacityAccuracy(DIGITS), options=options)
    assert not (tmp_path / "run").exists()


def test_pairs_of_the_verilog_have_prices_and_a_study_of_their_own(tmp_path: Path) -> None:
    cpp, verilog = (joint_problem("digits", "pynq-z2", implementation=name) for name in ("hls", "rtl"))
    assert cpp.joint == verilog.joint
    assert verilog.coefficients == load_coefficients(implementation=Implementation.RTL)
    found = search(
        tmp_path,
        space="digits",
        accuracy=CapacityAccuracy(DIGITS),
        pairs=500,
        options=SearchOptions(implementation="rtl"),
    )
    assert found.study.user_attrs["implementation"] == "rtl"
    assert found.study.study_name.endswith("-rtl-seed0")
    for pair in found.front:
        check_fits(pair.accelerator, load_board("pynq-z2"), Implementation.RTL)


def test_an_unknown_implementation_and_one_of_a_template_that_has_one_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="implementation: must be one of hls, rtl, got 'verilog'"):
        joint_problem("digits", "pynq-z2", implementation="verilog")
    with pytest.raises(InvalidValueError, match="implementation: must be left out with --template hls4ml"):
        joint_problem("digits-stream", "pynq-z2", implementation="rtl", template="hls4ml", losses={"8 bits": 0.01})


def test_a_template_whose_arithmetic_costs_accuracy_needs_to_know_how_much() -> None:
    with pytest.raises(InvalidValueError, match="losses: must be given, as the arithmetic of template hls4ml"):
        joint_problem("digits-stream", "pynq-z2", template="hls4ml")
    problem = joint_problem("digits-stream", "pynq-z2", template="hls4ml", losses={"8 bits": 0.01})
    assert problem.losses == {"8 bits": 0.01}
