"""Checks of the page on one step of a real network."""

import numpy as np

from lrbs import Adam, SignSGD, UpdateRule, expected_step
from lrbs.checks.evidence import Rows, check, missed
from lrbs.checks.problems import small_network
from lrbs.lab import TanhNetwork, digits, local_model, survey_steps, train
from lrbs.laws.spectrum import noise_spectrum
from lrbs.operators import trace_product


@check("identity")
def noise_along_eigenvectors() -> Rows:
    """Sums over the spectrum against traces that know no eigenvector, on a small network's real noise."""
    network, weights, data = small_network()
    model = local_model(network, weights, data)
    eigenvalues, variances = noise_spectrum(model)
    samples = network.per_sample_gradients(weights, data)
    deviations = samples - samples.mean(axis=0)
    total, trace = float(eigenvalues @ variances), trace_product(model.covariance, model.hessian)
    products = network.hessian_vector_product(weights, data, deviations.T)
    yield "tr(ΣH)", total, trace
    yield "tr(ΣH), sample by sample", total, np.einsum("in,ni->", deviations, products) / len(data)
    yield "tr Σ", variances.sum(), np.mean(np.sum(deviations**2, axis=1))


@check("approximation", where="four hidden units, 300 steps; SignSGD at B = 4")
def mean_field_on_a_network() -> Rows:
    """Learning rates of the mean field with the covariance of real gradients, against real updates."""
    yield from _off_on_a_network(1.0, (-0.07, -0.09, 0.25, -0.21))


@check("approximation", where="four hidden units, 300 steps; SignSGD at B = 4")
def strangers_on_a_network() -> Rows:
    """The same with the correlations of the noise left out."""
    yield from _off_on_a_network(0.0, (1.84, 0.43, 3.47, 1.49))


def _off_on_a_network(share: float, offs: tuple[float, ...]) -> Rows:
    """Learning rates with a share of the correlations, against those of real updates."""
    data, _ = digits()
    network = TanhNetwork(inputs=64, hidden=4, classes=10)
    start = network.initial_weights(0)
    weights = train(network, start, data, learning_rate=0.1, batch_size=32, steps=300, rng=1)
    model = local_model(network, weights, data)
    rules: dict[str, UpdateRule] = {"Adam": Adam(beta1=0.9, beta2=0.95), "SignSGD": SignSGD()}
    sizes = (4, 64)
    found = survey_steps(
        network, weights, data, model, rules, sizes, rng=0, runs=48, updates=8, burn_in=140, search=False
    )
    wanted = iter(offs)
    for name, rule in rules.items():
        real = found[name].measured
        predicted = expected_step(model.with_correlations(share), rule, sizes).optimal_lr
        for size, law, rate, error in zip(sizes, predicted, real.optimal_lr, real.optimal_lr_se, strict=True):
            yield missed(f"η* of {name}, B = {size}", law, (rate, error), next(wanted))
