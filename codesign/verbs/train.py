"""``codesign train``: a supernet by progressive shrinking."""

from codesign.progress import Progress
from codesign.run import Run
from codesign.supernet.accuracy import MeasuredAccuracy
from codesign.supernet.schedule import load_schedule
from codesign.supernet.spaces import load_space
from codesign.supernet.training import train as train_supernet
from codesign.verbs.context import load_data


def train(run: Run, space_name: str, preset: str, seed: int, progress: Progress) -> None:
    """Train the run's supernet, or go on training it.

    Raises:
        InvalidValueError: unknown space or preset, or others than the run began with.
        StorageError: the checkpoint is damaged or cannot be written.
    """
    space, schedule = load_space(space_name), load_schedule(preset)
    data = load_data(space)
    run.configure("train", {"space": space_name, "preset": preset, "seed": seed})
    with progress.stage("train") as update:
        checkpoint = train_supernet(
            space,
            data,
            schedule,
            run.checkpoint,
            seed=seed,
            on_step=lambda done: update(done.step / done.steps, f"{done.phase}, loss {done.loss:.2f}"),
        )
    oracle = MeasuredAccuracy(checkpoint, data, cache=run.accuracies)
    genes = [space.encode(subnet)[None] for subnet in (space.largest(), space.smallest())]
    largest, smallest = (float(oracle.accuracy(row)[0]) for row in genes)
    progress.say(f"train      {space.name}: {space.size():.2g} subnets, {checkpoint.step} steps")
    progress.say(f"           validation accuracy: largest subnet {largest:.1%}, smallest {smallest:.1%}")
