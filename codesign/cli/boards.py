"""Commands that reach boards, and that build bitstreams and keep them."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option

from bitstreams.board.target import Via, parse_target
from bitstreams.board.timing import Timing
from codesign.cli.console import ConsoleProgress, in_session, session
from codesign.cli.group import group
from codesign.cli.options import (
    Count,
    GivenImplementation,
    InsecureRemote,
    NamedPath,
    ReachedVia,
    RunFolder,
    StartTimeout,
    StoreFolder,
    Target,
)
from codesign.run.choices import BuildTool
from codesign.run.folder import Run
from hw_templates.board import BOARDS, board_names, load_board

boards_app = group(name="boards", invoke_without_command=True)
bitstreams_app = group(
    name="bitstreams", help="The store of bitstreams, which `codesign build` and `codesign import` fill."
)


def build(
    console: ConsoleProgress,
    run: RunFolder,
    tool: BuildTool = BuildTool.VITIS,
    bundle: Annotated[bool, Option("--bundle")] = False,
    cosim: Annotated[bool, Option("--cosim")] = False,
    clock_mhz: Annotated[int | None, Option(min=1)] = None,
    implementation: GivenImplementation = None,
    store: StoreFolder = None,
) -> None:
    """Build the emitted project and keep its bitstream.

    The tools are taken from the PATH: vivado 2020.2 or newer; for an engine in C++ also vitis_hls 2021.2 to 2023.2, or
    vitis-run or v++ from 2024.1 on. A build that was stopped goes on with the step that was not finished. One that
    misses its timing says the command for the board's next slower clock.

    Args:
        tool: vitis: a bitstream, with the vendor's tools; csim: the simulation of `codesign csim`.
        bundle: Write a tar that builds on another machine.
        cosim: Simulate the RTL that Vitis HLS makes on one image as well (hours).
        clock_mhz: Emit the same pair for another clock of the board first.

    Example: codesign build runs/digits --tool vitis
    """
    from codesign.cli.text.bitstreams import build_lines, bundle_lines
    from codesign.cli.text.run import csim_lines
    from codesign.commands import bitstreams
    from codesign.commands.pairs import csim
    from codesign.templates.template import Simulation

    bitstreams.check_build_options(tool, bundle, cosim, clock_mhz)
    if tool == BuildTool.CSIM:
        console.show(csim(Run(run), console, Simulation(implementation=implementation)), csim_lines)
    elif bundle:
        made = bitstreams.build_bundle(Run(run), console, implementation=implementation, clock_mhz=clock_mhz)
        console.show(made, bundle_lines)
    else:
        built = bitstreams.build(Run(run), cosim, store, console, implementation=implementation, clock_mhz=clock_mhz)
        console.show(built, build_lines)


def import_(
    console: ConsoleProgress,
    made: Annotated[Path, Argument(metavar="FILE")],
    board: str | None = None,
    hwh: Path | None = None,
    store: StoreFolder = None,
) -> None:
    """Put what another machine built, or a bitstream made elsewhere, into the store.

    Args:
        made: results.tar of a build, or a .bit file made elsewhere.
        board: Board that a .bit is for; a results.tar says it itself.
        hwh: Hand-off of a .bit; default: the .hwh next to it.

    Example: codesign import results.tar
    """
    from codesign.cli.text.bitstreams import import_lines
    from codesign.commands import bitstreams

    console.show(bitstreams.import_made(made, board, hwh, store), import_lines)


bitstreams_app.command("import", hidden=True)(in_session(import_))  # an older spelling


@bitstreams_app.command("list")
@in_session
def list_(console: ConsoleProgress, store: StoreFolder = None) -> None:
    """List what is in the store.

    Example: codesign bitstreams list
    """
    from codesign.cli.text.bitstreams import content_lines
    from codesign.commands import bitstreams

    console.show(bitstreams.list_all(store), content_lines)


@bitstreams_app.command("show")
@in_session
def show_bitstream(
    console: ConsoleProgress, digest: Annotated[str, Argument(metavar="DIGEST")], store: StoreFolder = None
) -> None:
    """Say what a bitstream is, and how it compares with the prediction.

    Args:
        digest: First digits of its digest; `codesign bitstreams list` shows them.

    Example: codesign bitstreams show 0badcafe
    """
    from bitstreams.store.store import Store
    from codesign.cli.text.bitstreams import entry_lines

    console.show(Store(store).find(digest), entry_lines)


@bitstreams_app.command()
@in_session
def verify(
    console: ConsoleProgress,
    digests: Annotated[list[str] | None, Argument()] = None,
    store: StoreFolder = None,
) -> None:
    """Compare files with their digests, and headers with boards and hand-offs.

    Args:
        digests: First digits of digests; without any, all.

    Example: codesign bitstreams verify
    """
    from codesign.cli.text.bitstreams import verify_lines
    from codesign.commands import bitstreams

    console.show(bitstreams.verify(digests or [], store), verify_lines).require_sound()


@bitstreams_app.command()
@in_session
def gc(
    console: ConsoleProgress,
    older_than: Annotated[float | None, Option(min=0)] = None,
    store: StoreFolder = None,
) -> None:
    """Remove damaged entries and what interrupted imports left.

    Args:
        older_than: Also remove what was imported this many days ago.

    Example: codesign bitstreams gc --older-than 90
    """
    from bitstreams.store.store import Store
    from codesign.cli.text.bitstreams import garbage_lines

    console.show(Store(store).collect_garbage(older_than), garbage_lines)


@boards_app.callback()
def boards(context: Context) -> None:
    """List the boards and what they hold.

    Example: codesign boards
    """
    if context.invoked_subcommand is None:
        with session(context) as console:
            from codesign.cli.text.boards import board_table

            console.show([load_board(name) for name in board_names()], board_table)


@boards_app.command()
@in_session
def show(
    console: ConsoleProgress,
    board: Annotated[str, Argument(metavar="BOARD", autocompletion=BOARDS.names)],
) -> None:
    """Print a board's file, from which a board of your own can start.

    Args:
        board: Name of the board, or its TOML file.

    Example: codesign boards show pynq-z2 > my-board.toml
    """
    console.show(load_board(board), lambda _: BOARDS.text(board).splitlines())


def twin(
    console: ConsoleProgress,
    project: NamedPath,
    port: Annotated[int, Option(min=0, max=65535)] = 7967,
    coefficients: str = "prior",
    implementation: GivenImplementation = None,
    timing: Annotated[
        Timing | None,
        Option(
            help="What cycles come from: model for an engine in C++, rtl for one in Verilog, clock by clock.  "
            "[default: by the project's implementation]"
        ),
    ] = None,
) -> None:
    """Serve a board twin: PYNQ.remote's services with the emitted engine in place of the logic.

    An engine in C++ is compiled with g++ and timed by a model; one in Verilog is simulated with Verilator.

    Any PYNQ client reaches it: PYNQ_REMOTE_DEVICES=127.0.0.1 python my_script.py

    Args:
        project: Folder of an emitted project, for example runs/digits/project.
        port: TCP port on loopback; 0 takes a free one.
        coefficients: Timing that stands for the true one; behind an engine in Verilog, that of the memory.

    Example: codesign twin --project runs/digits/project
    """
    from codesign.cli.text.boards import twin_lines
    from codesign.commands.bitstreams import start_twin

    twin = start_twin(project, port, coefficients, console, implementation=implementation, timing=timing)
    with closing(twin) as server:
        console.show(server.served, twin_lines)
        server.wait()


def deploy(
    console: ConsoleProgress,
    run: RunFolder,
    board: Target,
    via: ReachedVia = Via.SSH,
    power: str | None = None,
    repetitions: Count = 50,
    timeout: StartTimeout = 10.0,
    insecure_remote: InsecureRemote = False,
    implementation: GivenImplementation = None,
    store: StoreFolder = None,
) -> None:
    """Run the winning pair on a board: accuracy, latency and energy, compared with the prediction.

    Args:
        power: Measure energy: hwmon, rails, or the CSV that a meter is writing.
        repetitions: How often one image is timed.

    Example: codesign deploy runs/digits --board pynq-z2@192.168.2.99
    Example: codesign deploy runs/digits --board pynq-z2 --via twin
    """
    from codesign.cli.text.deploy import deploy_lines
    from codesign.commands import deploy

    deployed = deploy.deploy(
        Run(run),
        parse_target(board, via, insecure_remote),
        store,
        console,
        power=power,
        repetitions=repetitions,
        timeout_s=timeout,
        implementation=implementation,
    )
    console.show(deployed, deploy_lines)
