"""The engine as a template: how its projects are written, simulated and reported."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstreams.building.toolchain import run_csim
from codesign.emit.integer_reference import run_integer
from codesign.emit.project import Design, check_program_files, project_files, write_project
from codesign.emit.quantise import quantise, quantise_image
from codesign.progress import Update
from codesign.run.folder import Run, read_json
from codesign.run.records import CsimRecord
from codesign.run.requests import Trained
from codesign.search.joint_space import JointSpace, Pair
from codesign.supernet.accuracy.measured import CALIBRATION_IMAGES, MeasuredAccuracy
from codesign.supernet.data.data_set import Split
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.subnets import fold
from codesign.supernet.training.processes import one_thread
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.template import (
    ChosenPair,
    Datasheet,
    EmittedPair,
    EmittedProject,
    ReportPart,
    Simulation,
    Template,
    price_figures,
)
from cost_models.closed_form.estimate import price
from cost_models.coefficients import load_coefficients
from cost_models.resources import check_fits
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.project.record import PROJECT_FILE, Origin, ProjectAccuracy, ProjectRecord


class EngineTemplate(Template):
    """One programmable convolution engine that runs any subnet."""

    name = "engine"
    accelerator = Accelerator

    def space(self, board: Board) -> AcceleratorSpace:
        """Return the engines that a search may choose from on ``board``."""
        return AcceleratorSpace(board)

    def problem(self, joint: JointSpace[Any], coefficients: str, losses: Mapping[str, float]) -> EngineProblem:
        """Return the prices of pairs by the closed-form model; int8 takes nothing from accuracies.

        Raises:
            InvalidValueError: no such coefficients, or of another board.
        """
        del losses
        loaded = load_coefficients(coefficients)
        loaded.check_use(joint.board.name)
        return EngineProblem(joint, loaded)

    def describe(self, accelerator: Accelerator) -> str:
        """Return the parameters of an engine in one line."""
        a = accelerator
        return (
            f"{a.pe_rows} x {a.pe_cols} x {a.pe_pixels} PEs, {a.pack} products a DSP, "
            f"{a.clock_mhz} MHz, buffers {a.ifmap_buffers} x {a.ifmap_kib}, {a.weight_buffers} x {a.weight_kib}, "
            f"{a.ofmap_buffers} x {a.ofmap_kib} KiB"
            + (f", 2 x {a.map_kib} KiB for maps that stay on chip" if a.map_kib else "")
        )

    def emit(self, chosen: ChosenPair, update: Update) -> EmittedProject:
        """Quantise the subnet to int8 and write the engine with its program.

        Raises:
            ResourceError: the engine does not fit the board.
            StorageError: a file cannot be written.
        """
        update(0.1, "quantising")
        winner, trained = chosen.winner, chosen.trained
        design, images, accuracy = quantised_design(trained, chosen.problem, winner.pair)
        update(0.7, "writing the project")
        origin = Origin(
            study=chosen.study,
            space=trained.space.name,
            checkpoint=trained.checkpoint.digest,
            subnet=winner.pair.subnet.as_dict(),
            rule=winner.rule,
            validation_accuracy=winner.accuracy,
            test_accuracy=accuracy,
        )
        write_project(chosen.folder, project_files(design, images, origin))
        record = read_json(chosen.folder / PROJECT_FILE, ProjectRecord)
        return EmittedProject(
            precision="int8", float32=accuracy.float32, quantised=accuracy.int8, digest=record.program_sha256
        )

    def simulate(self, run: Run, simulation: Simulation, update: Update) -> CsimRecord:
        """Compile the project with g++ and compare logits bit by bit, and iterations one by one.

        Raises:
            StorageError: nothing is emitted yet, its record is corrupt, or a file was changed since.
            ToolError: make or g++ is missing, or the code does not compile.
            VerificationError: a logit or an iteration count differs.
        """
        program = read_json(run.project / PROJECT_FILE, ProjectRecord).program_sha256
        check_program_files(run.project, program)
        update(0.0, "compiling and running")
        result = run_csim(run.project, simulation.sanitize, simulation.images)
        return CsimRecord(
            program_sha256=program, sanitized=simulation.sanitize, images=result.images, layers=result.layers
        )

    def report(self, emitted: EmittedPair) -> ReportPart:
        """Return sections on the layers and the resources."""
        from codesign.templates.engine.report import report_part

        return report_part(emitted)

    def datasheet(self, emitted: EmittedPair) -> Datasheet:
        """Return what a comparison with another template shows."""
        clock_mhz, figures = emitted.pair.accelerator.clock_mhz, price_figures(emitted.problem, emitted.pair)
        return Datasheet(
            "the engine that won",
            {
                "clock": f"{clock_mhz} MHz",
                "weights and maps": "8 bits",
                "latency, predicted": figures["latency, predicted"],
                "between images, predicted": figures["latency, predicted"],
                **figures,
                "subnets a bitstream runs": "any",
            },
        )


@one_thread()
def quantised_design(
    trained: Trained, problem: EngineProblem, pair: Pair
) -> tuple[Design, npt.NDArray[np.int8], ProjectAccuracy]:
    """Return a pair as a design, the test images as it reads them, and its accuracies on them."""
    board = problem.joint.board
    check_fits(pair.accelerator, board)
    workload = lower(trained.space, pair.subnet)
    estimate = price(workload, pair.accelerator, board, problem.coefficients)
    calibration = trained.data.resized(Split.TRAIN, pair.subnet.resolution)[:CALIBRATION_IMAGES]
    supernet = trained.checkpoint.supernet()
    network = quantise(workload, fold(supernet, pair.subnet, calibration), calibration.numpy())
    test = trained.data.resized(Split.TEST, pair.subnet.resolution)
    labels = trained.data.labels[Split.TEST].numpy()
    images = quantise_image(network, test.numpy())
    right = run_integer(network, images).argmax(axis=1) == labels
    measured = MeasuredAccuracy(trained.checkpoint, trained.data, split=Split.TEST)
    float32 = measured.accuracy(trained.space.encode(pair.subnet)[None])
    accuracy = ProjectAccuracy(float32=float(float32[0]), int8=float(right.mean()))
    return Design(network, pair.accelerator, board, estimate), images, accuracy
