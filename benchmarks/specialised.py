"""Jointly searched pairs beside the published specialised networks, each with the accelerator that suits it best.

    codesign fetch acc_predictor.pth
    python benchmarks/specialised.py --out docs/specialised.md

For each board, `codesign search` looks for pairs of a subnet of OFA-MobileNetV3 (width 1.2) and an accelerator, with
accuracies of the published predictor. The ten published specialised networks of that width are read as subnets of the
same supernet, at the nearest resolution that the predictor knows, and get accelerators of their own: at least as many
as the joint search priced, bred for them with its operators, and then those of the joint front too. Everything is
judged by the same predictor and cost model; nothing is measured but time.

Three latency limits a board follow from the ten networks alone. Each is taken on its fastest accelerator; of those that
no other of the ten beats in both latency and accuracy, the least, middle and largest latency are rounded up to two
digits. In each of these twelve cells stands the most accurate of the ten within the limit, on its fastest accelerator;
beside it the most accurate pair of the joint front that takes neither more time nor more energy than that or, where
there is none, the most accurate within the limit.

A run that was stopped goes on: what was found lies in the run folder. The page and its picture are made from that.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from specialised_page import BoardFindings, Cell, Choice, Costs, Page, write_page

from codesign.cli.text.run import search_lines, winner_lines
from codesign.commands.pairs import winner
from codesign.commands.search import search
from codesign.progress import Silent
from codesign.run.folder import Run, read_json
from codesign.run.requests import EmitRequest, SearchRequest
from codesign.run.searched import Searched, load_searched
from codesign.search.joint_search import read_progress
from codesign.search.joint_space import JointSpace
from codesign.search.pareto import PricedPairs, concatenate, no_pairs, nondominated
from codesign.search.study import read_front
from codesign.supernet.accuracy.official_predictor import known_space, load_official_predictor
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.named import load_space
from codesign.templates.engine.breeding import RoundPlan, breed_accelerators
from codesign.templates.engine.evolution import price_pairs
from cost_models.resources import RESOURCES, estimate_resources
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.atomic_file import write_text_atomically

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/lib"))
from support.networks.specialised_subnets import specialised_in

OFA_MBV3_W12 = load_space("ofa-mbv3-w1.2")
BOARDS = ("pynq-z2", "ultra96-v2", "zcu104", "kv260")
_TICK_S = 5.0


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"figure {name} {value:.5g} {unit}", flush=True)


class Stopwatch:
    """Seconds of work that may be stopped and go on, kept in a file every few seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        before = read_json(path, dict[str, Any]) if path.exists() else {"cpu_s": 0.0, "wall_s": 0.0}
        self._start = (time.process_time() - before["cpu_s"], time.monotonic() - before["wall_s"])
        self._written = time.monotonic()

    def tick(self, least_s: float = _TICK_S) -> None:
        """Write what was spent so far, unless that was done less than ``least_s`` ago."""
        if time.monotonic() - self._written >= least_s:
            spent = {"cpu_s": time.process_time() - self._start[0], "wall_s": time.monotonic() - self._start[1]}
            write_text_atomically(self._path, json.dumps(spent, indent=2))
            self._written = time.monotonic()


class Recorder(Silent):
    """Ticks while a command works."""

    def __init__(self, tick: Callable[[], None] = lambda: None) -> None:
        self._tick = tick

    @contextmanager
    def stage(self, _name: str) -> Iterator[Callable[[float, str], None]]:
        """A stretch of work."""
        yield lambda _share, _text: self._tick()


def search_jointly(run: Run, request: SearchRequest) -> tuple[Searched, PricedPairs, Costs, list[str]]:
    """`codesign search`, done or gone on with: its front, what it cost, and what it says."""
    searched = load_searched(run, request)
    path = run.folder / f"{searched.task.location.name}.seconds.json"
    clock = Stopwatch(path)
    missing = read_progress(searched.task.open_study()).pairs < request.pairs
    recorder = Recorder(clock.tick if missing else lambda: None)
    lines = list(search_lines(search(run, request, recorder, baselines=False)))
    if missing:
        clock.tick(0)
    study = searched.task.open_study()
    done = read_progress(study)
    costs = Costs(**read_json(path, dict[str, Any]), pairs=done.pairs, accelerators=done.accelerators)
    return searched, read_front(study, searched.problem), costs, lines


def suit_accelerators(
    searched: Searched, subnets: IntArray, joint_front: PricedPairs, least: int
) -> tuple[PricedPairs, int]:
    """(for each of the subnets [n, G] its pairs that no other of its pairs dominates, accelerators tried).

    At least ``least`` accelerators are bred from the pairs found before; those of ``joint_front`` follow.
    """
    pricer = searched.problem.pricer()
    rng, plan = np.random.default_rng(searched.task.settings.seed), RoundPlan()
    genes = searched.problem.joint.gene_count

    def merge(best: PricedPairs, accelerators: IntArray) -> PricedPairs:
        pairs = concatenate([best, price_pairs(pricer, searched.task.oracle, subnets, accelerators)])
        return concatenate([of_subnet(pairs, subnet).front() for subnet in subnets])

    best = no_pairs(pricer.joint)
    while pricer.accelerators < least:
        count = plan.new_accelerators if len(best) else plan.first_accelerators
        best = merge(best, breed_accelerators(pricer, best, rng, plan, count)[0])
    best = merge(best, np.unique(joint_front.rows[:, genes:], axis=0))
    return best, pricer.accelerators


def of_subnet(pairs: PricedPairs, genes: IntArray) -> PricedPairs:
    """The pairs of the subnet of genotype [G]."""
    return pairs.take((pairs.rows[:, : len(genes)] == genes).all(axis=1))


def suit_published(
    run: Run, searched: Searched, subnets: IntArray, joint_front: PricedPairs, least: int
) -> tuple[PricedPairs, Costs]:
    """The published networks' pairs, read where an earlier call found them, and what they cost."""
    path = run.folder / f"{searched.task.location.name}.published.json"
    key = {"least": least, "subnets": subnets.tolist(), "front": joint_front.values.tolist()}
    record = read_json(path, dict[str, Any]) if path.exists() else {}
    if record.get("key") != key:
        start = (time.process_time(), time.monotonic())
        pairs, tried = suit_accelerators(searched, subnets, joint_front, least)
        costs = {"cpu_s": time.process_time() - start[0], "wall_s": time.monotonic() - start[1]}
        costs |= {"pairs": tried * len(subnets), "accelerators": tried}
        record = {"key": key, "rows": pairs.rows.tolist(), "values": pairs.values.tolist(), "costs": costs}
        write_text_atomically(path, json.dumps(record, indent=2))
    return PricedPairs(np.array(record["rows"]), np.array(record["values"])), Costs(**record["costs"])


def fastest_of_each(published: PricedPairs, subnets: IntArray) -> PricedPairs:
    """One pair of each of the subnets [n, G]: that on its fastest accelerator, of equals the least energy."""
    own = [of_subnet(published, subnet) for subnet in subnets]
    return concatenate([pairs.take(np.lexsort((pairs.energy_mj, pairs.latency_ms))[:1]) for pairs in own])


def limits_of(fastest: PricedPairs) -> list[float]:
    """Least, middle and largest latency in ms of pairs that are not slower and less accurate, rounded up."""
    by_latency = fastest.take(np.lexsort((-fastest.accuracy, fastest.latency_ms)))
    rises = np.diff(np.maximum.accumulate(by_latency.accuracy), prepend=-np.inf) > 0
    limits = []
    for latency_ms in np.quantile(by_latency.latency_ms[rises], (0, 0.5, 1), method="higher").tolist():
        unit = 10.0 ** (math.floor(math.log10(latency_ms)) - 1)
        limits.append(round(math.ceil(latency_ms / unit) * unit, 9))
    return limits


def choice(joint: JointSpace, pairs: PricedPairs, index: int, name: str) -> Choice:
    """One of the pairs, for the page."""
    pair, board = joint.decode(pairs.rows[index]), joint.accelerators.board
    needs = estimate_resources(pair.accelerator, board)
    accuracy, latency_ms, energy_mj = pairs.values[index].tolist()
    resources = {resource: getattr(needs, resource) for resource in RESOURCES}
    return Choice(name, pair, lower(joint.space, pair.subnet).macs, accuracy, latency_ms, energy_mj, resources)


def fill_cell(
    joint: JointSpace, front: PricedPairs, published: PricedPairs, names: list[str], subnets: IntArray, limit_ms: float
) -> Cell:
    """Both sides of one board and limit, by the rule in this script's text."""
    fastest = fastest_of_each(published, subnets)
    best = int(np.argmax(np.where(fastest.latency_ms <= limit_ms, fastest.accuracy, -np.inf)))
    no_worse = (front.latency_ms <= fastest.latency_ms[best]) & (front.energy_mj <= fastest.energy_mj[best])
    allowed = no_worse if no_worse.any() else front.latency_ms <= limit_ms
    ours = int(np.lexsort((front.latency_ms, -front.accuracy, ~allowed))[0])
    # The same network, should it do with a slower accelerator that takes less energy.
    alternatives = of_subnet(published, subnets[best])
    beaten = [not nondominated(np.vstack([front.values, value]))[-1] for value in alternatives.values]
    return Cell(limit_ms, choice(joint, front, ours, "joint"), choice(joint, fastest, best, names[best]), all(beaten))


def find(run: Run, request: SearchRequest) -> tuple[BoardFindings, list[str]]:
    """Both sides on the board of the request, and what `codesign search` says of it."""
    searched, front, costs, said = search_jointly(run, request)
    joint, nets = searched.problem.joint, specialised_in(searched.problem.joint.space)
    subnets = np.stack([joint.space.encode(subnet) for _, subnet in nets])
    published, published_costs = suit_published(run, searched, subnets, front, costs.accelerators)
    fastest, names = fastest_of_each(published, subnets), [net.short for net, _ in nets]
    cells = [fill_cell(joint, front, published, names, subnets, limit_ms) for limit_ms in limits_of(fastest)]
    return BoardFindings(searched.board, cells, front.values, fastest.values, costs, published_costs), said


def transcript(run: Run, pairs: int, findings: BoardFindings, said: list[str]) -> list[str]:
    """The commands that a user would give for a board, with what they print."""
    limit_ms = findings.cells[1].limit_ms
    lines = winner_lines(winner(run, EmitRequest(max_latency_ms=limit_ms), Silent()))
    search_command = f"codesign search {run.folder} --space {OFA_MBV3_W12.name} --accuracy official"
    return [
        f"$ {search_command} --board {findings.board.name} --pairs {pairs} --no-baselines",
        *said,
        f"$ codesign winner {run.folder} --max-latency-ms {limit_ms:g}",
        *lines,
    ]


def main() -> None:
    """Search, print the figures, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/specialised.md"), help="page; its picture lies beside")
    parser.add_argument("--run", type=Path, default=Path("runs/specialised"), help="folder of the searches")
    parser.add_argument("--pairs", type=int, default=200_000, help="priced by each joint search")
    parser.add_argument("--boards", nargs="+", default=list(BOARDS))
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    run, space = Run(asked.run), known_space(OFA_MBV3_W12)
    start = time.process_time()
    load_official_predictor(space)
    oracle_s = time.process_time() - start
    findings: list[BoardFindings] = []
    commands: list[str] = []
    for board in asked.boards:
        request = SearchRequest(
            board=board,
            pairs=asked.pairs,
            workers=1,
            storage=None,
            seed=asked.seed,
            space=OFA_MBV3_W12.name,
            accuracy="official",
        )
        found, said = find(run, request)
        findings.append(found)
        commands = commands or transcript(run, asked.pairs, found, said)
        figure(f"{board}_search_time", found.costs.cpu_s, "s")
        figure(f"{board}_cells_dominated", sum(cell.dominated for cell in found.cells), "of 3")
    cells = [cell for found in findings for cell in found.cells]
    gains = [100 * (cell.joint.accuracy - cell.published.accuracy) for cell in cells]
    figure("cells_dominated", sum(cell.dominated for cell in cells), f"of {len(cells)}")
    figure("cells_dominated_on_every_accelerator", sum(cell.everywhere for cell in cells), f"of {len(cells)}")
    figure("accuracy_gain_mean", float(np.mean(gains)), "points")
    figure("accuracy_gain_least", min(gains), "points")
    write_page(asked.out, Page(findings, specialised_in(space), oracle_s, commands))


if __name__ == "__main__":
    main()
