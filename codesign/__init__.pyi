# The front door: every name of `import codesign` and where it is defined. `codesign/__init__.py` reads this file, type
# checkers do, and `docs/api.md` is made of it; the comments below are its headings.
# isort: skip_file

__version__: str
__all__: list[str]

# Boards
from hw_templates.board import Board as Board
from hw_templates.board import board_names as board_names
from hw_templates.board import load_board as load_board

# Supernet spaces and training
from codesign.supernet.spaces.space import Space as Space
from codesign.supernet.spaces.space import Subnet as Subnet
from codesign.supernet.spaces.named import load_space as load_space
from codesign.supernet.spaces.named import space_names as space_names
from codesign.supernet.training.schedule import Schedule as Schedule
from codesign.supernet.training.schedule import load_schedule as load_schedule
from codesign.supernet.training.schedule import schedule_names as schedule_names
from codesign.api.steps import train as train

# Accuracies
from codesign.supernet.accuracy.oracle import AccuracyOracle as AccuracyOracle
from codesign.api.accuracy import measured_accuracy as measured_accuracy
from codesign.api.steps import fit_predictor as fit_predictor
from codesign.api.accuracy import predicted_accuracy as predicted_accuracy
from codesign.api.accuracy import official_accuracy as official_accuracy

# Workloads, accelerators and prices
from cost_models.workload import Workload as Workload
from cost_models.workload import Node as Node
from cost_models.workload import Layer as Layer
from cost_models.workload import Operation as Operation
from cost_models.workload import Activation as Activation
from codesign.supernet.lowering.workloads import lower as lower
from hw_templates.conv_engine.accelerator import Accelerator as Accelerator
from hw_templates.conv_engine.space import AcceleratorSpace as AcceleratorSpace
from codesign.api.pricing import price as price
from cost_models.closed_form.estimate import Estimate as Estimate
from cost_models.coefficients import Coefficients as Coefficients
from cost_models.coefficients import load_coefficients as load_coefficients
from cost_models.resources import Resources as Resources
from cost_models.resources import estimate_resources as estimate_resources
from cost_models.resources import check_fits as check_fits

# The joint search
from codesign.api.joint import search as search
from codesign.api.joint import SearchOptions as SearchOptions
from codesign.api.joint import SearchOutcome as SearchOutcome
from codesign.api.joint import FoundPair as FoundPair
from codesign.api.joint import joint_problem as joint_problem
from codesign.search.joint_space import JointSpace as JointSpace
from codesign.search.joint_space import Pair as Pair
from codesign.search.problem import joint_objective as joint_objective
from codesign.templates.engine.sampler import JointSampler as JointSampler
from codesign.templates.engine.pricing import PairPricer as PairPricer
from codesign.templates.engine.exact_front import exact_front as exact_front
from codesign.templates.engine.specialise import best_subnet_within as best_subnet_within

# From the winner to a verified project
from codesign.api.steps import winner as winner
from codesign.api.steps import emit as emit
from codesign.api.steps import csim as csim
from codesign.api.steps import check as check
from codesign.api.steps import report as report

# On a board
from codesign.api.steps import deploy as deploy

# Calibration
from codesign.api import calibration as calibration

# Errors
from hw_templates.foundation.errors import CodesignError as CodesignError
from hw_templates.foundation.errors import InvalidValueError as InvalidValueError
from hw_templates.foundation.errors import ResourceError as ResourceError
from hw_templates.foundation.errors import UnsupportedLayerError as UnsupportedLayerError
from hw_templates.foundation.errors import MappingError as MappingError
from hw_templates.foundation.errors import InfeasibleError as InfeasibleError
from hw_templates.foundation.errors import FetchError as FetchError
from hw_templates.foundation.errors import StorageError as StorageError
from hw_templates.foundation.errors import VerificationError as VerificationError
from hw_templates.foundation.errors import ToolError as ToolError
from hw_templates.foundation.errors import BoardError as BoardError
