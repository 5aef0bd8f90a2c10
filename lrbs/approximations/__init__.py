"""The approximations: what each makes of a rule, as functions ``(rule, gradient, noise) -> Moments``.

They are passed as arguments, as to :func:`lrbs.expected_step`, so that one of your own needs no place here.
"""

from lrbs.approximations.exact import exact
from lrbs.approximations.mean_field import mean_field, two_sided_mean_field
from lrbs.approximations.older_route import ERF_SLOPE, linearised_erf, older_route
from lrbs.approximations.scalar import correlated_scalar_mean_field, scalar_mean_field

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
