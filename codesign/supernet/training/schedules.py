"""The schedules that have a name."""

import dataclasses

from codesign.supernet.training.schedule import Augmentation, Phase, Schedule
from hw_templates.foundation.errors import UnknownNameError

_DIGITS = Schedule(
    name="digits",
    phases=(
        Phase(name="full", length=300, learning_rate=8e-3),
        Phase(name="kernel", length=40, learning_rate=8e-3, subnets_per_step=2, elastic=("kernel",)),
        Phase(name="depth", length=100, learning_rate=8e-3, subnets_per_step=2, elastic=("kernel", "depth")),
        Phase(name="width", length=700, learning_rate=8e-3, subnets_per_step=3, elastic=("kernel", "depth", "expand")),
    ),
    batch_size=64,
    weight_decay=0.02,
    label_smoothing=0.05,
    distillation=1.0,
    augmentation=Augmentation(shift=0.06, degrees=6, scale=0.06),
    smallest_share=0.25,
    largest_share=0.15,
)

_DIGITS_SMALL = dataclasses.replace(
    _DIGITS,
    name="digits-small",
    phases=(
        Phase(name="full", length=25, learning_rate=8e-3),
        Phase(name="kernel", length=4, learning_rate=8e-3, subnets_per_step=2, elastic=("kernel",)),
        Phase(name="depth", length=8, learning_rate=8e-3, subnets_per_step=2, elastic=("kernel", "depth")),
        Phase(name="width", length=30, learning_rate=8e-3, subnets_per_step=2, elastic=("kernel", "depth", "expand")),
    ),
)

# Its networks are narrow: they gain by more steps, and cost less each.
_DIGITS_STREAM = dataclasses.replace(
    _DIGITS,
    name="digits-stream",
    phases=(
        Phase(name="full", length=400, learning_rate=8e-3),
        Phase(name="kernel", length=60, learning_rate=8e-3, subnets_per_step=2, elastic=("kernel",)),
        Phase(name="depth", length=150, learning_rate=8e-3, subnets_per_step=2, elastic=("kernel", "depth")),
        Phase(name="width", length=900, learning_rate=8e-3, subnets_per_step=3, elastic=("kernel", "depth", "expand")),
    ),
)

# Cai et al. 2020, section 4.1, and train_ofa_net.py of their repository mit-han-lab/once-for-all: 32 GPUs with 64
# images each, the rates of one GPU times 32, epochs of warm-up beside those named there.
_OFA_WARM_UP = 5 / 125

_OFA_IMAGENET = Schedule(
    name="ofa-imagenet",
    phases=(
        Phase(name="full", length=180, learning_rate=2.6, warm_up=5 / 180),
        Phase(
            name="kernel",
            length=125,
            learning_rate=32 * 3e-2,
            subnets_per_step=1,
            elastic=("kernel",),
            warm_up=_OFA_WARM_UP,
        ),
        Phase(
            name="depth 1",
            length=25,
            learning_rate=32 * 2.5e-3,
            subnets_per_step=2,
            elastic=("kernel", "depth"),
            open_choices=(("depth", 2),),
            warm_up=0,
        ),
        Phase(
            name="depth 2",
            length=125,
            learning_rate=32 * 7.5e-3,
            subnets_per_step=2,
            elastic=("kernel", "depth"),
            warm_up=_OFA_WARM_UP,
        ),
        Phase(
            name="width 1",
            length=25,
            learning_rate=32 * 2.5e-3,
            subnets_per_step=4,
            elastic=("kernel", "depth", "expand"),
            open_choices=(("expand", 2),),
            warm_up=0,
        ),
        Phase(
            name="width 2",
            length=125,
            learning_rate=32 * 7.5e-3,
            subnets_per_step=4,
            elastic=("kernel", "depth", "expand"),
            warm_up=_OFA_WARM_UP,
        ),
    ),
    batch_size=32 * 64,
    weight_decay=3e-5,
    label_smoothing=0.1,
    distillation=1.0,
    augmentation=Augmentation(flip=True, least_area=0.08, brightness=32 / 255, saturation=0.5),
    optimiser="sgd",
    group_size=64,
    unit="epochs",
)

# Cai et al. publish no schedule of their ResNet50D, which has no elastic kernel: the one above without that, and then
# the widths of stem and stages, as train_elastic_width_mult of their ``ofa`` package opens them.
_OFA_RESNET50D = dataclasses.replace(
    _OFA_IMAGENET,
    name="ofa-resnet50d",
    phases=(
        _OFA_IMAGENET.phases[0],
        *(
            dataclasses.replace(phase, elastic=tuple(kind for kind in phase.elastic if kind != "kernel"))
            for phase in _OFA_IMAGENET.phases[2:]
        ),
        Phase(
            name="outer width 1",
            length=25,
            learning_rate=32 * 2.5e-3,
            subnets_per_step=4,
            elastic=("depth", "expand", "width"),
            open_choices=(("width", 2),),
            warm_up=0,
        ),
        Phase(
            name="outer width 2",
            length=125,
            learning_rate=32 * 7.5e-3,
            subnets_per_step=4,
            elastic=("depth", "expand", "width"),
            warm_up=_OFA_WARM_UP,
        ),
    ),
)

_CIFAR10 = Schedule(
    name="cifar10",
    phases=(
        Phase(name="full", length=60, learning_rate=4e-3),
        Phase(name="kernel", length=10, learning_rate=2e-3, subnets_per_step=4, elastic=("kernel",)),
        Phase(name="depth", length=20, learning_rate=2e-3, subnets_per_step=4, elastic=("kernel", "depth")),
        Phase(
            name="width",
            length=90,
            learning_rate=4e-3,
            subnets_per_step=4,
            elastic=("kernel", "depth", "expand", "weight_bits"),
        ),
    ),
    batch_size=128,
    weight_decay=0.05,
    label_smoothing=0.1,
    distillation=1.0,
    augmentation=Augmentation(shift=0.125, flip=True),
    sandwich=True,
    group_size=64,
    unit="epochs",
)

# For a few thousand images, of which small nets learn more from a teacher than from longer training.
_CIFAR10_SMALL = dataclasses.replace(
    _CIFAR10,
    name="cifar10-small",
    phases=(
        Phase(name="full", length=30, learning_rate=4e-3),
        Phase(name="kernel", length=4, learning_rate=2e-3, subnets_per_step=4, elastic=("kernel",)),
        Phase(name="depth", length=8, learning_rate=2e-3, subnets_per_step=4, elastic=("kernel", "depth")),
        Phase(name="width", length=78, learning_rate=4e-3, subnets_per_step=4, elastic=("kernel", "depth", "expand")),
    ),
    batch_size=64,
    group_size=None,
)

# A few epochs for one subnet that starts from its supernet's weights.
_CIFAR10_FINE_TUNING = dataclasses.replace(
    _CIFAR10_SMALL, name="cifar10-fine-tuning", phases=(Phase(name="fine-tuning", length=5, learning_rate=1e-3),)
)

_OF_SPACES: dict[str, tuple[Schedule, ...]] = {
    "digits": (_DIGITS, _DIGITS_SMALL),
    "digits-stream": (_DIGITS_STREAM,),
    **dict.fromkeys(("cifar10", "cifar10-small"), (_CIFAR10, _CIFAR10_SMALL, _CIFAR10_FINE_TUNING)),
    **dict.fromkeys(("ofa-mbv3-w1.0", "ofa-mbv3-w1.2", "ofa-proxyless-w1.3"), (_OFA_IMAGENET,)),
    "ofa-resnet50d": (_OFA_RESNET50D,),
}

_SCHEDULES = {schedule.name: schedule for schedules in _OF_SPACES.values() for schedule in schedules}


def schedule_names(space: str | None = None) -> tuple[str, ...]:
    """Names of the known schedules, sorted: all of them, or those made for the space of that name."""
    return tuple(sorted(_SCHEDULES if space is None else (schedule.name for schedule in _OF_SPACES.get(space, ()))))


def load_schedule(name: str) -> Schedule:
    """The schedule of that name.

    Raises:
        InvalidValueError: no such schedule.
    """
    if name not in _SCHEDULES:
        raise UnknownNameError("schedule", name, schedule_names())
    return _SCHEDULES[name]
