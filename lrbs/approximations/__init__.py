"""The approximations: what each makes of a rule, as functions ``(rule, gradient, noise) -> Moments``.

They are passed as arguments, as to :func:`lrbs.expected_step`, so that one of your own needs no place here.
"""

from lrbs.approximations.closed_forms import exact
from lrbs.approximations.mean_fields import mean_field, two_sided_mean_field
from lrbs.approximations.older import ERF_SLOPE, linearised_erf, older_route
from lrbs.approximations.scalar_forms import correlated_scalar_mean_field, scalar_mean_field

__all__ = [
    "ERF_SLOPE",
    "correlated_scalar_mean_field",
    "exact",
    "linearised_erf",
    "mean_field",
    "older_route",
    "scalar_mean_field",
    "two_sided_mean_field",
]
