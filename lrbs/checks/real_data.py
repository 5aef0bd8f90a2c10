"""Checks of the pages on a real network."""

from __future__ import annotations

import numpy as np

from lrbs.checks.evidence import Comparison, Evidence, against_sample
from lrbs.lab import Dataset, TanhNetwork, digits, local_model, train
from lrbs.laws.dependence.spectrum import correlation_factor, noise_spectrum
from lrbs.moments import exact
from lrbs.operators import trace_product
from lrbs.rules import SGD
from lrbs.step import expected_step
from lrbs.validation import Array


def noise_along_eigenvectors() -> Evidence:
    """Sums over the spectrum against traces that know no eigenvector, on a small network's real noise."""
    network, weights, data = _small_network()
    model = local_model(network, weights, data)
    eigenvalues, variances = noise_spectrum(model)
    samples = network.per_sample_gradients(weights, data)
    deviations = samples - samples.mean(axis=0)
    total, trace = float(eigenvalues @ variances), trace_product(model.covariance, model.hessian)
    products = network.hessian_vector_product(weights, data, deviations.T)
    return Evidence(
        "identity",
        (
            Comparison("tr(ΣH)", total, trace),
            Comparison(
                "tr(ΣH), sample by sample",
                total,
                float(np.einsum("in,ni->", deviations, products) / len(data)),
            ),
            Comparison("tr Σ", float(variances.sum()), float(np.mean(np.sum(deviations**2, axis=1)))),
        ),
    )


def correlations_raise_curvature() -> Evidence:
    """The factor from real updates of single samples, and as the ratio of two learning rates of SGD."""
    network, weights, data = _small_network()
    model = local_model(network, weights, data)
    factor = correlation_factor(model)
    samples = network.per_sample_gradients(weights, data)
    deviations = samples - samples.mean(axis=0)
    # A random sign for each coordinate and sample leaves the variances and takes the correlations.
    signs = np.random.default_rng(0).choice((-1.0, 1.0), (8, *deviations.shape))
    H = model.hessian.dense()
    met, *alone = (np.einsum("in,in->", each, each @ H) for each in (deviations, *(signs * deviations)))
    small = 1e-4 * model.noise_scale
    apart, real = (
        float(expected_step(model.with_correlations(share), SGD(), small, exact).optimal_lr)
        for share in (0, 1)
    )
    return Evidence(
        "monte carlo",
        (
            against_sample("correlations shuffled away", factor, met / np.array(alone)),
            Comparison("learning rates at 1e-4 B_noise", factor, apart / real, tolerance=2e-3),
        ),
    )


def _small_network() -> tuple[TanhNetwork, Array, Dataset]:
    data, _ = digits()
    network = TanhNetwork(inputs=64, hidden=2, classes=10)
    start = network.initial_weights(0)
    return network, train(network, start, data, learning_rate=0.1, batch_size=32, steps=50, rng=1), data
