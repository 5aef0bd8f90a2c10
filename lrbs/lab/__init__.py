"""A laboratory of small real networks: exact derivatives, real batches, many replicas at once.

NumPy alone, except for the digits, which scikit-learn brings. The core of lrbs does not know of it.
"""

from lrbs.lab.arrival import StepsToLoss, steps_to_loss
from lrbs.lab.data import Dataset, digits, sample_batches
from lrbs.lab.networks import LossAlong, Network, SoftmaxRegression, TanhNetwork
from lrbs.lab.noise import batch_gradients, local_model
from lrbs.lab.search import SearchedStep, best_learning_rate, moment_controls
from lrbs.lab.stationary import stationary_updates
from lrbs.lab.survey import SurveyedSteps, survey_steps
from lrbs.lab.sweeping import Sweep, sweep
from lrbs.lab.training import train
from lrbs.lab.tuning import TunedRate, jackknife_se, tuned_rate

__all__ = [
    "Dataset",
    "LossAlong",
    "Network",
    "SearchedStep",
    "SoftmaxRegression",
    "StepsToLoss",
    "SurveyedSteps",
    "Sweep",
    "TanhNetwork",
    "TunedRate",
    "batch_gradients",
    "best_learning_rate",
    "digits",
    "jackknife_se",
    "local_model",
    "moment_controls",
    "sample_batches",
    "stationary_updates",
    "steps_to_loss",
    "survey_steps",
    "sweep",
    "train",
    "tuned_rate",
]
