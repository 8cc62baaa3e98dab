"""Run in a copy of the project to which ``supernet.toml`` was applied."""

from pathlib import Path

import numpy as np
from support.pricing.shapes import SMALL

from codesign.supernet.data.data_set import load_digits
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.named import load_space
from codesign.supernet.training.schedule import load_schedule, schedule_names
from codesign.supernet.training.shrinking import train
from cost_models.closed_form.estimate import price
from cost_models.coefficients import load_coefficients
from hw_templates.board import load_board


def test_the_supernet_is_trained_and_its_subnets_are_priced(tmp_path: Path) -> None:
    space = load_space("recipe-space")
    assert schedule_names("recipe-space") == ("recipe-schedule",)
    trained = train(space, load_digits(), load_schedule("recipe-schedule"), tmp_path / "supernet.pt")
    assert trained.finished
    assert np.isfinite(trained.losses).all()
    board, coefficients = load_board("pynq-z2"), load_coefficients()
    subnets = (space.smallest(), space.largest())
    small, large = (price(lower(space, subnet), SMALL, board, coefficients) for subnet in subnets)
    assert 0 < small.latency_ms < large.latency_ms
