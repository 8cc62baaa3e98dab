"""Models of time by engine."""

from cost_models.calibration.engines.conv_engine import ConvEngineModel
from cost_models.calibration.engines.dpu import DPU
from cost_models.calibration.engines.vta import VTA
from cost_models.calibration.timing_model import TimingModel
from hw_templates.foundation.errors import InvalidValueError

_MODELS: dict[str, TimingModel] = {model.engine: model for model in (ConvEngineModel(), DPU, VTA)}


def engine_names() -> tuple[str, ...]:
    """Return the engines whose measurements can be fitted, sorted."""
    return tuple(sorted(_MODELS))


def engine_model(engine: str) -> TimingModel:
    """Return the model of an engine.

    Raises:
        InvalidValueError: there is none of that name.
    """
    if engine not in _MODELS:
        raise InvalidValueError("measurement.engine", engine, f"one of {', '.join(engine_names())}")
    return _MODELS[engine]
