"""Checks of the page that looks at other networks and other moments."""

import numpy as np

from lrbs import SGD, exact, expected_step
from lrbs.checks.evidence import Rows, check, near
from lrbs.checks.problems import small_network
from lrbs.lab import local_model
from lrbs.laws.spectrum import correlation_factor


@check("Monte Carlo")
def correlations_raise_curvature() -> Rows:
    """The factor from real updates of single samples, and as the ratio of two learning rates of SGD."""
    network, weights, data = small_network()
    model = local_model(network, weights, data)
    factor = correlation_factor(model)
    samples = network.per_sample_gradients(weights, data)
    deviations = samples - samples.mean(axis=0)
    # A random sign for each coordinate and sample leaves the variances and takes the correlations.
    signs = np.random.default_rng(0).choice((-1.0, 1.0), (8, *deviations.shape))
    H = model.hessian.dense()
    met, *alone = (np.einsum("in,in->", each, each @ H) for each in (deviations, *(signs * deviations)))
    models, small = (model.with_correlations(0), model), 1e-4 * model.noise_scale
    apart, real = (expected_step(each, SGD(), small, exact).optimal_lr for each in models)
    yield "correlations shuffled away", factor, met / np.array(alone)
    yield near("learning rates at 1e-4 B_noise", factor, apart / real, tolerance=2e-3)
