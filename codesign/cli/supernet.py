"""Commands for spaces of subnets, and for what was published in them."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from codesign.cli.console import ConsoleProgress, in_session
from codesign.cli.group import group
from codesign.cli.options import NamedPath
from codesign.run.choices import NetworkFormat

supernet_app = group(name="supernet", help="Spaces of subnets, and networks published in them.")


def fetch(
    console: ConsoleProgress,
    names: Annotated[list[str] | None, Argument()] = None,
    list_: Annotated[bool, Option("--list")] = False,
    folder: Path | None = None,
) -> None:
    """Fetch published supernets, accuracy predictors and specialised networks from their public addresses.

    An interrupted download resumes; every file is compared with its published digest.

    Args:
        names: Files or folders; --list shows them.
        list_: Only list what there is, and what is fetched.
        folder: Where files are kept; default: CODESIGN_CACHE, or the user's cache.

    Example: codesign fetch acc_predictor.pth
    """
    from codesign.cli.text.supernet import fetched_lines, listing_lines
    from codesign.commands.fetch import fetch_files, list_files

    if list_:
        console.show(list_files(names or [], folder), listing_lines)
    else:
        console.show(fetch_files(names or [], folder, console), fetched_lines)


@supernet_app.command()
@in_session
def info(
    console: ConsoleProgress,
    space: Annotated[str | None, Argument()] = None,
) -> None:
    """Say how many subnets a space holds, what varies in it, and what its smallest and largest subnet cost.

    Args:
        space: Name of a space; without one, all are listed.

    Example: codesign supernet info ofa-mbv3-w1.2
    """
    from codesign.cli.text.supernet import description_lines, space_lines
    from codesign.commands.supernet import describe_space, list_spaces

    if space is None:
        console.show(list_spaces(), space_lines)
    else:
        console.show(describe_space(space), description_lines)


@supernet_app.command()
@in_session
def show(
    console: ConsoleProgress,
    name: str,
    preset: Annotated[bool, Option("--preset")] = False,
) -> None:
    """Print a space or a training schedule as TOML, to begin one of your own with.

    Args:
        name: Name of a space or, with --preset, of a training schedule.
        preset: Show a training schedule.

    Example: codesign supernet show digits > my-space.toml
    Example: codesign supernet show digits --preset > my-schedule.toml
    """
    from codesign.supernet.spaces.named import SPACES
    from codesign.supernet.training.schedule import SCHEDULES

    if preset:
        console.show(SCHEDULES.load(name), lambda _: SCHEDULES.text(name).splitlines())
    else:
        console.show(SPACES.load(name), lambda _: SPACES.text(name).splitlines())


@supernet_app.command()
@in_session
def specialised(console: ConsoleProgress) -> None:
    """List the specialised networks that the authors of OFA published, with accuracies as reported."""
    from codesign.cli.text.supernet import specialised_lines
    from codesign.commands.supernet import list_specialised

    console.show(list_specialised(), specialised_lines)


@supernet_app.command()
@in_session
def export(
    console: ConsoleProgress,
    source: str,
    out: NamedPath,
    file_format: Annotated[NetworkFormat, Option("--format")] = NetworkFormat.TORCH,
    subnet: str | None = None,
    weights: Path | None = None,
) -> None:
    """Write a subnet as a network of its own: plain torch, ONNX, or as the ofa package reads it.

    Args:
        source: A run folder, a published space, or a published specialised network.
        out: Folder for the files.
        file_format: Kind of files; ofa: net.config and weights.
        subnet: largest, smallest, or a JSON file with a subnet; default: the winner of a run.
        weights: State dict of the published supernet; default: what was fetched.

    Example: codesign supernet export runs/digits --format onnx --out winner
    """
    from codesign.cli.text.supernet import export_lines
    from codesign.commands import export

    console.show(export.export(source, subnet, weights, file_format, out, console), export_lines)
