"""``codesign supernet export``: a subnet as a network of its own, in files that other tools read."""

from dataclasses import dataclass
from pathlib import Path

from codesign.progress import Progress
from codesign.run.folder import REMAKE, Run, read_json
from codesign.run.requests import ENDS, SearchRequest, TrainRequest, load_trained, named_subnet
from codesign.supernet.accuracy.measured import CALIBRATION_IMAGES
from codesign.supernet.data.data_set import Split
from codesign.supernet.network.files import NetworkToWrite, check_format, write_network
from codesign.supernet.network.standalone import Network, extract
from codesign.supernet.network.subnets import recalibrate
from codesign.supernet.published.net_config import Config, net_config
from codesign.supernet.published.official_weights import load_official_supernet
from codesign.supernet.published.specialised import find_specialised, load_specialised, specialised_nets
from codesign.supernet.spaces.named import load_space, space_names
from codesign.supernet.spaces.space import Space, Subnet
from codesign.supernet.training.processes import one_thread
from hw_templates.foundation.errors import InvalidValueError, StorageError, UnknownNameError
from hw_templates.foundation.json_records import reading
from hw_templates.project.record import PROJECT_FILE


@dataclass(frozen=True, kw_only=True)
class ExportResult:
    """A network that was written.

    Attributes:
        subnet: what it is called.
        parameters: how many it has.
        resolution: side of its images.
        statistics: where its batch-norm statistics come from.
        files: what was written.
    """

    subnet: str
    parameters: int
    resolution: int
    statistics: str
    files: tuple[Path, ...]


def export(
    source: str, subnet: str | None, weights: Path | None, file_format: str, folder: Path, progress: Progress
) -> ExportResult:
    """Write the files of a subnet into a folder.

    Args:
        source: a run folder, the name of a published space, or that of a published specialised network.
        subnet: ``largest``, ``smallest``, or a JSON file with a subnet; None for the winner of a run and the largest
            of a published supernet.
        weights: a file with a published supernet's state dict; None for the run's supernet, or what was fetched.
        file_format: one of :data:`codesign.supernet.network.files.FORMATS`.
        folder: for the files.
        progress: shows progress.

    Raises:
        InvalidValueError: no such source, subnet or format.
        FetchError: published weights that are needed were not fetched yet.
        StorageError: the source is unfinished or damaged, or the folder cannot be written.
        ToolError: what makes the format is not installed.
    """
    check_format(file_format)
    with progress.stage("export") as update:
        update(0.1, "extracting")
        net = _find(source, subnet, weights)
        update(0.4, f"writing {file_format} files")
        paths = write_network(folder, net, file_format)
    return ExportResult(
        subnet=str(net.about["subnet"]),
        parameters=sum(parameter.numel() for parameter in net.network.parameters()),
        resolution=net.resolution,
        statistics=str(net.about["statistics"]),
        files=paths,
    )


def _find(source: str, name: str | None, weights: Path | None) -> NetworkToWrite:
    if Path(source).is_dir():
        return _of_run(Run(Path(source)), name, weights)
    if source in space_names() or source.endswith(".toml"):
        space = load_space(source)
        return _of_published(space, *_chosen(space, name or ENDS[0]), weights)
    try:
        net = find_specialised(source)
    except InvalidValueError:
        expected = "a run folder, the name of a space, or that of a specialised network"
        known = [*space_names(), *(net.short for net in specialised_nets())]
        raise UnknownNameError("source", source, known, expected) from None
    for given, value in (("subnet", name), ("weights", weights)):
        if value is not None:
            raise InvalidValueError(given, str(value), "left out for a specialised network")
    config, network = load_specialised(net)
    statistics = "batch-norm statistics: as published"
    return _net(network, net.space, net.subnet, net.name, config, top1_reported=net.top1, statistics=statistics)


def _chosen(space: Space, name: str) -> tuple[Subnet, str]:
    """Return the subnet that is asked for, and what it is called."""
    called = f"{name} subnet of {space.name}" if name in ENDS else f"subnet of {space.name} in {Path(name).name}"
    return named_subnet(space, name), called


def _winner_file(run: Run) -> Path:
    """Return the file that holds the run's winning pair: as shown or as emitted, whichever was last."""
    there = [path for path in (run.winner, run.project / PROJECT_FILE) if path.exists()]
    if not there:
        raise StorageError(f"{run.folder}: no winner in this run yet; run `codesign winner {run.folder}` first")
    return max(there, key=lambda path: path.stat().st_mtime)


def _searched_space(run: Run) -> Space:
    """Return the space of a run without a supernet, which was searched with published accuracies."""
    if (search := run.find(SearchRequest)) and search.space:
        return load_space(search.space)
    path = _winner_file(run)
    record = read_json(path, dict[str, object])
    with reading(path, REMAKE):
        return load_space(str(record["space"]))


def _of_run(run: Run, name: str | None, weights: Path | None) -> NetworkToWrite:
    trained = load_trained(run) if run.find(TrainRequest) else None
    if trained and weights:
        raise InvalidValueError("weights", str(weights), f"left out, as {run.folder} has a supernet of its own")
    space = trained.space if trained else _searched_space(run)
    subnet, called = _chosen(space, name or str(_winner_file(run)))
    if name is None:
        called = f"winner of {run.folder}"
    if not trained:
        return _of_published(space, subnet, called, weights)
    images = trained.data.resized(Split.TRAIN, subnet.resolution, slice(CALIBRATION_IMAGES))
    supernet = trained.checkpoint.supernet()
    with one_thread():
        network = extract(supernet, subnet, recalibrate(supernet, subnet, images))
    return _net(
        network,
        space,
        subnet,
        called,
        choices=subnet.as_dict(),
        checkpoint=trained.checkpoint.digest,
        statistics=f"batch-norm statistics: of {len(images)} training images",
        normalise={"mean": trained.data.mean, "deviation": trained.data.deviation},
    )


def _of_published(space: Space, subnet: Subnet, called: str, weights: Path | None) -> NetworkToWrite:
    official = load_official_supernet(space, weights)
    network = extract(official.supernet, subnet, official.statistics)
    statistics = "batch-norm statistics: of the full net; recalibrate them with training images before use"
    return _net(network, space, subnet, called, choices=subnet.as_dict(), statistics=statistics)


def _net(
    network: Network, space: Space, subnet: Subnet, called: str, config: Config | None = None, **about: object
) -> NetworkToWrite:
    return NetworkToWrite(
        network=network,
        config=config or net_config(space, subnet),
        resolution=subnet.resolution,
        image_channels=space.image_channels,
        about={"subnet": called, "space": space.name, **about},
    )
