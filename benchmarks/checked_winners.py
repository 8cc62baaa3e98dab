"""`codesign check` on winning pairs of four boards at ImageNet scale, whose weights are random.

    codesign fetch acc_predictor.pth
    python benchmarks/checked_winners.py

For each board a joint search over OFA-MobileNetV3 (width 1.2) with the published predictor's accuracies chooses a pair;
the subnet gets random weights, as neither cells nor cycles depend on them, and is quantised on random images. The
project runs a random image through its C++ and its Verilog, and every check of `codesign check` is done. It takes
minutes a board, most of them in yosys; a search that was done is not done again.
"""

import argparse
from pathlib import Path

import torch

from codesign.commands.pairs import choose
from codesign.commands.search import search
from codesign.emit.project import Design, project_files, write_project
from codesign.emit.quantise import quantise, quantise_image
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.requests import SearchRequest
from codesign.run.searched import load_searched
from codesign.search.winner import Rule
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.subnets import fold
from codesign.supernet.network.supernet import Supernet
from codesign.templates.engine.checks import engine_checks
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.template import EmittedPair
from cost_models.closed_form.estimate import price
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import CodesignError

SPACE, SEED = "ofa-mbv3-w1.2", 0
BOARDS = ("pynq-z2", "ultra96-v2", "zcu104", "kv260")
RULE = Rule("knee")
IMAGES = 2
"""The scales of maps are chosen on as many."""


def emitted_winner(run: Run, request: SearchRequest) -> tuple[EmittedPair, Design]:
    """Search for a pair, and write its project with random weights and one random image."""
    search(run, request, Silent(), baselines=False)
    searched = load_searched(run)
    chosen = choose(run, searched, None, RULE, Silent())
    problem, pair = chosen.problem, chosen.winner.pair
    assert isinstance(problem, EngineProblem)
    space, subnet, board = problem.joint.space, pair.subnet, problem.joint.board
    torch.manual_seed(SEED)
    images = torch.rand(IMAGES, space.image_channels, subnet.resolution, subnet.resolution)
    workload = lower(space, subnet)
    network = quantise(workload, fold(Supernet(space), subnet, images), images.numpy())
    estimate = price(workload, pair.accelerator, board, problem.coefficients)
    design = Design(network, pair.accelerator, board, estimate)
    image = quantise_image(network, images[:1].numpy())
    write_project(run.project, project_files(design, image, implementation=problem.implementation))
    print(f"{board.name}, {problem.implementation}: {searched.template.describe(pair.accelerator)}", flush=True)
    return EmittedPair(pair=pair, problem=problem, quantised=0.0, results=run), design


def main() -> None:
    """Print what each check found, and its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/checked"), help="folder of the runs")
    parser.add_argument("--pairs", type=int, default=20_000, help="priced by each search")
    parser.add_argument("--boards", nargs="+", default=list(BOARDS))
    parser.add_argument("--implementations", nargs="+", default=[each.value for each in Implementation])
    asked = parser.parse_args()
    for board in asked.boards:
        for implementation in asked.implementations:
            request = SearchRequest(
                board=board,
                pairs=asked.pairs,
                space=SPACE,
                accuracy="official",
                implementation=Implementation(implementation),
                seed=SEED,
            )
            name = f"{board}_{implementation}"
            emitted, design = emitted_winner(Run(asked.runs / name), request)
            passed = 0
            checks = engine_checks(emitted, design)
            for check in checks:
                try:
                    found = check.find(lambda _share, _text: None)
                except CodesignError as error:
                    print(f"{name} {check.name}: FAILED: {error}", flush=True)
                    continue
                passed += found.passed
                print(f"{name} {check.name}: {'passed' if found.passed else 'FAILED'}: {found.text}", flush=True)
                for figure, value in found.figures.items():
                    unit = next((each for each in ("cycles", "ns", "images") if figure.endswith(each)), "pieces")
                    print(f"figure {name}_{check.name.replace(' ', '_')}_{figure} {value:.7g} {unit}", flush=True)
            print(f"figure {name}_checks_passed {passed} of {len(checks)}", flush=True)


if __name__ == "__main__":
    main()
