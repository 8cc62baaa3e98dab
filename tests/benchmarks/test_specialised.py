"""The comparison with published networks, on a space that is priced in no time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.networks.named_spaces import OFA_MBV3_W12
from support.networks.specialised_subnets import specialised_in
from support.pricing.capacity_accuracy import TINY, CapacityAccuracy

from codesign.run.folder import Run
from codesign.run.requests import Accuracies
from codesign.run.searched import Searched
from codesign.search.joint_space import JointSpace
from codesign.search.pareto import PricedPairs
from codesign.search.problem import SearchSettings
from codesign.search.study import SearchTask, StudyLocation
from codesign.supernet.accuracy.official_predictor import known_space
from codesign.templates.engine.breeding import draw_fitting
from codesign.templates.engine.evolution import price_pairs
from codesign.templates.engine.pricing import PairPricer
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.template import EngineTemplate
from cost_models.coefficients import load_coefficients
from hw_templates.board import load_board
from hw_templates.conv_engine.space import AcceleratorSpace

BOARD = load_board("pynq-z2")
JOINT = JointSpace(TINY, AcceleratorSpace(BOARD))
ORACLE = CapacityAccuracy(TINY)
SUBNETS = TINY.canonical(TINY.sample_genes(np.random.default_rng(4), 4))


@pytest.fixture
def specialised(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import specialised

    return specialised


@pytest.fixture
def searched(tmp_path: Path) -> Searched:
    settings = SearchSettings(1_000)
    location = StudyLocation(str(tmp_path / "study.journal"), "tiny")
    task = SearchTask(
        location=location,
        problem=EngineProblem(JOINT, load_coefficients()),
        oracle=ORACLE,
        accuracy_name="capacity",
        settings=settings,
    )
    accuracies = Accuracies(space=TINY, oracle=ORACLE, source="official", digest="0")
    return Searched(EngineTemplate(), accuracies, task, Run(tmp_path))


@pytest.fixture
def front() -> PricedPairs:
    pricer = PairPricer(JOINT, load_coefficients())
    rng = np.random.default_rng(0)
    return price_pairs(pricer, ORACLE, TINY.sample_genes(rng, 40), draw_fitting(pricer, rng, 6)).front()


def test_published_subnets_get_the_best_of_all_accelerators_tried(specialised, searched, front) -> None:
    pairs, tried = specialised.suit_accelerators(searched, SUBNETS, front, 60)
    accelerators = np.unique(front.rows[:, JOINT.gene_count :], axis=0)
    assert tried >= 60 + len(accelerators)
    pricer = PairPricer(JOINT, load_coefficients())
    on_the_front = price_pairs(pricer, ORACLE, SUBNETS, accelerators)
    for subnet in SUBNETS:
        mine = specialised.of_subnet(pairs, subnet)
        theirs = specialised.of_subnet(on_the_front, subnet)
        assert len(mine) == len(mine.front()) > 0
        for latency_ms, energy_mj in theirs.values[:, 1:]:
            assert ((mine.latency_ms <= latency_ms) & (mine.energy_mj <= energy_mj)).any()
    fastest = specialised.fastest_of_each(pairs, SUBNETS)
    assert np.array_equal(fastest.rows[:, : JOINT.gene_count], SUBNETS)
    assert np.array_equal(fastest.latency_ms, [specialised.of_subnet(pairs, row).latency_ms.min() for row in SUBNETS])


@pytest.mark.parametrize(
    ("networks", "limits"),
    [
        # The network of 0.042 ms is less accurate than the faster one, that of 40 ms no more accurate.
        ([(0.0415, 0.7), (0.042, 0.69), (22.92, 0.8), (36.6, 0.83), (40.0, 0.83)], [0.042, 23.0, 37.0]),
        ([(8.31, 0.7), (27.4, 0.75), (27.4, 0.72), (9.01, 0.6)], [8.4, 28.0, 28.0]),
        ([(5.0, 0.7)], [5.0, 5.0, 5.0]),
    ],
)
def test_limits_are_latencies_of_networks_that_no_other_beats(specialised, networks, limits) -> None:
    latency_ms, accuracy = np.array(networks).T
    values = np.stack([accuracy, latency_ms, latency_ms], axis=1)
    pairs = PricedPairs(np.zeros((len(values), len(JOINT.parameters)), dtype=np.int64), values)
    assert specialised.limits_of(pairs) == limits


def cell_of(specialised, front_values, limit_ms):
    """The cell of two published subnets: 80 % in 10 ms and 20 mJ (or 12 ms and 18 mJ), 70 % in 5 ms and 10 mJ."""
    accelerators = JOINT.accelerators.encode(JOINT.accelerators.sample(np.random.default_rng(1), 1))[0]
    rows = np.stack([np.concatenate([subnet, accelerators]) for subnet in SUBNETS])
    published = PricedPairs(rows[[0, 0, 1]], np.array([[0.8, 10, 20], [0.8, 12, 18], [0.7, 5, 10]], dtype=float))
    front = PricedPairs(rows[: len(front_values)], np.array(front_values, dtype=float))
    return specialised.fill_cell(JOINT, front, published, ["large", "small"], SUBNETS[:2], limit_ms)


@pytest.mark.parametrize(
    ("front", "limit_ms", "name", "accuracy", "dominated", "everywhere"),
    [
        # The most accurate of what takes no more; another of the front is even better, but slower.
        ([[0.81, 9, 18], [0.78, 8, 15], [0.9, 10.5, 19]], 11, "large", 0.81, True, True),
        # Beaten where it is fastest, but not where it takes less energy.
        ([[0.81, 9, 19]], 11, "large", 0.81, True, False),
        # As good in everything is not better.
        ([[0.8, 10, 20]], 11, "large", 0.8, False, False),
        ([[0.79, 9, 18], [0.7, 5, 10]], 11, "large", 0.79, False, False),
        # Nothing takes no more of both: the most accurate within the limit stands there.
        ([[0.85, 10.5, 18], [0.99, 12, 30]], 11, "large", 0.85, False, False),
        # A tighter limit leaves the small one.
        ([[0.75, 5, 9], [0.81, 9, 18]], 9, "small", 0.75, True, True),
    ],
)
def test_a_cell_holds_what_its_rule_says(specialised, front, limit_ms, name, accuracy, dominated, everywhere) -> None:
    cell = cell_of(specialised, front, limit_ms)
    assert cell.published.name == name
    assert cell.joint.accuracy == accuracy
    assert (cell.dominated, cell.everywhere) == (dominated, everywhere)


def test_the_stopwatch_goes_on_after_a_stop(specialised, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"process_time": 100.0, "monotonic": 500.0}
    for name in now:
        monkeypatch.setattr(specialised.time, name, lambda name=name: now[name])
    path = tmp_path / "seconds.json"
    for start in (0.0, 1000.0):
        now |= {"process_time": 100.0 + start, "monotonic": 500.0 + start}
        clock = specialised.Stopwatch(path)
        now |= {"process_time": 107.0 + start, "monotonic": 520.0 + start}
        clock.tick()
        now["monotonic"] += 1.0
        clock.tick()
    assert specialised.read_json(path, dict) == {"cpu_s": 14.0, "wall_s": 40.0}


def test_the_page_shows_every_cell_and_its_picture(specialised, front, tmp_path: Path) -> None:
    page = specialised.write_page.__globals__
    cells = [cell_of(specialised, [[0.81, 9, 18]], 11), cell_of(specialised, [[0.69, 5, 10]], 6)]
    nets = specialised_in(known_space(OFA_MBV3_W12))
    fastest = np.tile([0.83, 9.0, 40.0], (len(nets), 1))
    costs = page["Costs"](12.3, 45.6, 200_000, 900)
    findings = page["BoardFindings"](BOARD, cells, front.values, fastest, costs, replace(costs, accelerators=1000))
    out = tmp_path / "docs" / "page.md"
    specialised.write_page(out, page["Page"]([findings, findings], nets, 0.1, ["$ codesign search runs/x"]))
    text = out.read_text()
    assert "**2 of 4** cells" in text
    assert text.count("| dominates |") == 2
    assert text.count("| does not dominate |") == 2
    assert "    $ codesign search runs/x" in text
    for net, subnet in nets:
        assert f"| {net.short} | {net.subnet.resolution} | {subnet.resolution} | {net.top1} | 83.00 |" in text
    assert (tmp_path / "docs" / "page.png").read_bytes().startswith(b"\x89PNG")
