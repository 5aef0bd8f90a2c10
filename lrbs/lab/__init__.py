"""A laboratory of small real networks: exact derivatives, real batches, many replicas at once.

NumPy alone, except for the digits, which scikit-learn brings. The core of lrbs does not know of it.
"""

from typing import TYPE_CHECKING

from lrbs.lazy import names_of

if TYPE_CHECKING:
    from lrbs.lab.arrival import *
    from lrbs.lab.data import *
    from lrbs.lab.networks import *
    from lrbs.lab.noise import *
    from lrbs.lab.search import *
    from lrbs.lab.stationary import *
    from lrbs.lab.survey import *
    from lrbs.lab.sweeping import *
    from lrbs.lab.training import *
    from lrbs.lab.tuning import *

__all__, __getattr__ = names_of(
    "lrbs.lab",
    {
        "arrival": ("StepsToLoss", "steps_to_loss"),
        "data": ("Dataset", "digits", "sample_batches"),
        "networks": ("LossAlong", "Network", "SoftmaxRegression", "TanhNetwork"),
        "noise": ("batch_gradients", "local_model"),
        "search": ("SearchedStep", "best_learning_rate", "moment_controls"),
        "stationary": ("stationary_updates",),
        "survey": ("SurveyedSteps", "survey_steps"),
        "sweeping": ("Sweep", "sweep"),
        "training": ("train",),
        "tuning": ("TunedRate", "jackknife_se", "tuned_rate"),
    },
)
