"""Commands that build bitstreams and keep them."""

from pathlib import Path
from typing import Annotated

import typer

from codesign.cli.console import session
from codesign.cli.group import group
from codesign.cli.options import RunFolder, StoreFolder
from codesign.run import choices
from codesign.run.folder import Run

bitstreams_app = group(
    name="bitstreams", help="The store of bitstreams, which `codesign build` and `codesign import` fill."
)

Digest = Annotated[
    str, typer.Argument(metavar="DIGEST", help="First digits of its digest; `codesign bitstreams list` shows them.")
]
Made = Annotated[Path, typer.Argument(metavar="FILE", help="results.tar of a build, or a .bit file made elsewhere.")]
Handoff = Annotated[Path | None, typer.Option(help="Hand-off of a .bit; default: the .hwh next to it.")]
ForBoard = Annotated[str | None, typer.Option(help="Board that a .bit is for; a results.tar says it itself.")]


def build(
    context: typer.Context,
    run: RunFolder,
    tool: Annotated[
        choices.BuildTool, typer.Option(help="vitis: a bitstream, with Vitis HLS and Vivado; csim: with g++.")
    ] = choices.BuildTool.VITIS,
    bundle: Annotated[bool, typer.Option("--bundle", help="Write a tar that builds on another machine.")] = False,
    cosim: Annotated[bool, typer.Option("--cosim", help="Simulate the RTL on one image as well (hours).")] = False,
    store: StoreFolder = None,
) -> None:
    """Build the emitted project and keep its bitstream.

    The tools are taken from the PATH: vitis_hls 2020.2 to 2023.2, or vitis-run or v++ from 2024.1 on, and vivado.
    A build that was stopped goes on with the step that was not finished.

    Example: codesign build runs/digits --tool vitis
    """
    with session(context) as console:
        from codesign.cli.text.bitstreams import build_lines, bundle_lines
        from codesign.cli.text.pairs import csim_lines
        from codesign.commands import build as commands
        from codesign.commands.csim import csim

        commands.check_build_options(tool, bundle, cosim)
        if tool == choices.BuildTool.CSIM:
            console.show(csim(Run(run), console), csim_lines)
        elif bundle:
            console.show(commands.build_bundle(Run(run)), bundle_lines)
        else:
            console.show(commands.build(Run(run), cosim, store, console), build_lines)


@bitstreams_app.command("import", hidden=True)  # an older spelling
def import_(
    context: typer.Context, made: Made, board: ForBoard = None, hwh: Handoff = None, store: StoreFolder = None
) -> None:
    """Put what another machine built, or a bitstream made elsewhere, into the store.

    Example: codesign import results.tar
    """
    with session(context) as console:
        from codesign.cli.text.bitstreams import import_lines
        from codesign.commands import bitstreams as commands

        console.show(commands.import_made(made, board, hwh, store), import_lines)


@bitstreams_app.command("list")
def list_(context: typer.Context, store: StoreFolder = None) -> None:
    """List what is in the store.

    Example: codesign bitstreams list
    """
    with session(context) as console:
        from codesign.cli.text.bitstreams import content_lines
        from codesign.commands import bitstreams as commands

        console.show(commands.list_all(store), content_lines)


@bitstreams_app.command()
def show(context: typer.Context, digest: Digest, store: StoreFolder = None) -> None:
    """Say what a bitstream is, and how it compares with the prediction.

    Example: codesign bitstreams show 0badcafe
    """
    with session(context) as console:
        from codesign.cli.text.bitstreams import entry_lines
        from codesign.commands import bitstreams as commands

        console.show(commands.show(digest, store), entry_lines)


@bitstreams_app.command()
def verify(
    context: typer.Context,
    digests: Annotated[list[str] | None, typer.Argument(help="First digits of digests; without any, all.")] = None,
    store: StoreFolder = None,
) -> None:
    """Compare files with their digests, and headers with boards and hand-offs.

    Example: codesign bitstreams verify
    """
    with session(context) as console:
        from codesign.cli.text.bitstreams import verify_lines
        from codesign.commands import bitstreams as commands

        console.show(commands.verify(digests or [], store), verify_lines).require_sound()


@bitstreams_app.command()
def gc(
    context: typer.Context,
    older_than: Annotated[
        float | None, typer.Option(min=0, help="Also remove what was imported this many days ago.")
    ] = None,
    store: StoreFolder = None,
) -> None:
    """Remove damaged entries and what interrupted imports left.

    Example: codesign bitstreams gc --older-than 90
    """
    with session(context) as console:
        from codesign.cli.text.bitstreams import garbage_lines
        from codesign.commands import bitstreams as commands

        console.show(commands.collect_garbage(older_than, store), garbage_lines)
