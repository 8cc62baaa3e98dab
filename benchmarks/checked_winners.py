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

from engine_imagenet import random_design

from codesign.commands.check import carry_out
from codesign.commands.pairs import choose
from codesign.commands.search import search
from codesign.emit.project import Design, project_files, write_project
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.records import Outcome
from codesign.run.requests import SearchRequest
from codesign.run.searched import load_searched
from codesign.search.winner import Rule
from codesign.templates.engine.checks import engine_checks
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.template import EmittedPair
from hw_templates.conv_engine.implementation import Implementation

SPACE = "ofa-mbv3-w1.2"
BOARDS = ("pynq-z2", "ultra96-v2", "zcu104", "kv260")
RULE = Rule("knee")


def emitted_winner(run: Run, request: SearchRequest) -> tuple[EmittedPair, Design]:
    """Search for a pair, and write its project with random weights and one random image."""
    search(run, request, Silent(), baselines=False)
    searched = load_searched(run)
    chosen = choose(run, searched, None, RULE, Silent())
    problem, pair = chosen.problem, chosen.winner.pair
    assert isinstance(problem, EngineProblem)
    board = problem.joint.board
    design, image = random_design(problem.joint.space, pair.subnet, pair.accelerator, board, problem.coefficients)
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
                seed=0,
            )
            name = f"{board}_{implementation}"
            emitted, design = emitted_winner(Run(asked.runs / name), request)
            checks = [carry_out(each, lambda _share, _text: None) for each in engine_checks(emitted, design)]
            for check in checks:
                print(f"{name} {check.name}: {check.outcome}: {check.text}", flush=True)
                for figure, value in check.figures.items():
                    unit = next((each for each in ("cycles", "ns", "images") if figure.endswith(each)), "pieces")
                    print(f"figure {name}_{check.name.replace(' ', '_')}_{figure} {value:.7g} {unit}", flush=True)
            for outcome in Outcome:
                count = sum(check.outcome == outcome for check in checks)
                print(f"figure {name}_checks_{outcome.replace(' ', '_')} {count} of {len(checks)}", flush=True)


if __name__ == "__main__":
    main()
