"""What verbs read back from a run folder before they begin."""

from dataclasses import dataclass

from codesign.run import Run
from codesign.supernet.checkpoint import Checkpoint, read_checkpoint
from codesign.supernet.data import DataSet, load_digits
from codesign.supernet.space import Space, load_space
from hw_templates.errors import InvalidValueError, StorageError


@dataclass(frozen=True)
class Trained:
    """A trained supernet with the data that trained it."""

    space: Space
    data: DataSet
    checkpoint: Checkpoint


def load_data(space: Space) -> DataSet:
    """The images that a space is for.

    Raises:
        InvalidValueError: no data set is known for it.
    """
    if space.name != "digits":
        raise InvalidValueError("train.space", space.name, "digits, the one space with a data set")
    return load_digits()


def load_trained(run: Run) -> Trained:
    """The run's finished supernet.

    Raises:
        StorageError: it is not there, not finished, or damaged.
    """
    space = load_space(run.settings("train")["space"])
    checkpoint = read_checkpoint(run.checkpoint, space)
    if not checkpoint.finished:
        raise StorageError(
            f"{run.checkpoint}: training stopped at step {checkpoint.step} of {checkpoint.schedule.steps}; "
            f"run `codesign train {run.folder}` to finish it"
        )
    return Trained(space, load_data(space), checkpoint)
