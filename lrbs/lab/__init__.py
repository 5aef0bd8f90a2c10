"""A laboratory of small real networks: exact derivatives, real batches, many replicas at once.

NumPy alone, except for the digits, which scikit-learn brings. The core of lrbs does not know of it.
"""

from lrbs.lab.data import Dataset, digits, sample_batches
from lrbs.lab.networks import LossAlong, Network, SoftmaxRegression, TanhNetwork
from lrbs.lab.noise import batch_gradients, local_model
from lrbs.lab.running import Layerwise, running
from lrbs.lab.search import SearchedStep, best_learning_rate, moment_controls
from lrbs.lab.training import train

__all__ = [
    "Dataset",
    "Layerwise",
    "LossAlong",
    "Network",
    "SearchedStep",
    "SoftmaxRegression",
    "TanhNetwork",
    "batch_gradients",
    "best_learning_rate",
    "digits",
    "local_model",
    "moment_controls",
    "running",
    "sample_batches",
    "train",
]
