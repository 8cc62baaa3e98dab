"""Models of time by engine."""

from cost_models.calibration.engines.conv_engine import CONV_ENGINES
from cost_models.calibration.engines.dpu import DPU
from cost_models.calibration.engines.vta import VTA
from cost_models.calibration.timing_model import TimingModel
from hw_templates.foundation.errors import UnknownNameError

_MODELS = {model.engine: model for model in (*CONV_ENGINES.values(), DPU, VTA)}


def engine_model(engine: str) -> TimingModel:
    """Return the model of an engine.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if engine not in _MODELS:
        raise UnknownNameError("measurement.engine", engine, _MODELS)
    return _MODELS[engine]
