"""Soft signs: what Adam's epsilon does, from sign (epsilon = 0) to plain gradient descent (epsilon infinite).

The moments of soft signs and the closed curves in B that follow from them. The older article (10563) goes
by way of the clip function and arrives at the mean field with pi/2 times the noise, which
:func:`lrbs.laws.signs.erf_route.older_route` is.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from lrbs.gaussian import softsign_mean, softsign_square
from lrbs.laws.signs.erf_route import ERF_SLOPE, older_route
from lrbs.laws.signs.scalar_law import ScalarLaw
from lrbs.model import LocalModel
from lrbs.moments import scalar_mean_field
from lrbs.registry import formula
from lrbs.rules import SGD, softsign
from lrbs.step import Step, expected_step
from lrbs.validation import Array, fraction, non_negative, positive

__all__ = [
    "adam_limit_lr",
    "lr_per_epsilon",
    "rescaled_noise",
    "rescaled_softsign",
    "sgd_limit_lr",
    "soft_law",
    "soft_noise_scale",
    "surge_ratio",
]

# ------------------------------------------------------------- equations that the core implements
formula(
    "11280.20",
    title="Soft sign",
    tex=r"\operatorname{softsign}(x,\epsilon)=\frac{x}{\sqrt{x^2+\epsilon^2}}",
    chapter="epsilon",
    check="soft_sign",
)(softsign)
formula("10563.1", repeats="11280.20", chapter="epsilon")(softsign)
formula(
    "10563.5",
    repeats="11260.2",
    title="Expected loss after a soft-sign step",
    tex=r"\begin{aligned}\mathbb E[\mathcal L(\theta-\eta\tilde u_B)]\approx\mathcal L(\theta)"
    r"&-\eta\,\mathbb E[\tilde u_B]^\top g\\ "
    r"&+\tfrac12\eta^2\operatorname{tr}(\mathbb E[\tilde u_B\tilde u_B^\top]H)\end{aligned}",
    chapter="epsilon",
    check="soft_sign_loss",
)(Step.loss_change)
formula(
    "11280.21",
    title="Mean of a soft sign, mean field",
    tex=r"\begin{aligned}\mathbb E[\tilde\varphi_B]_i"
    r"&\approx\frac{g_i}{\sqrt{g_i^2+\sigma_i^2/B+\epsilon^2}}\\"
    r"&\approx\frac{\operatorname{softsign}(g_i,\epsilon)}{\sqrt{1+B_{\text{simple}}/B}}"
    r"\triangleq\nu_i\beta,\\"
    r"B_{\text{simple}}&=\frac{\operatorname{tr}\Sigma}{g^\top g+N\epsilon^2}\end{aligned}",
    chapter="epsilon",
    check="soft_sign_mean_field",
)(scalar_mean_field)
formula(
    "11280.22",
    title="Second moment of soft signs, mean field",
    tex=r"\begin{aligned}\mathbb E[\tilde\varphi_B\tilde\varphi_B^\top]_{ii}"
    r"&\approx\frac{g_i^2+\sigma_i^2/B}{g_i^2+\sigma_i^2/B+\epsilon^2}\\"
    r"&\approx1-\frac{1-\operatorname{softsign}(g_i,\epsilon)^2}{1+B_{\text{simple}}/B},\\"
    r"\mathbb E[\tilde\varphi_B\tilde\varphi_B^\top]_{ij}&\approx\nu_i\nu_j\beta^2+\delta_{ij}(1-\beta^2)"
    r"\end{aligned}",
    chapter="epsilon",
    check="soft_sign_square_mean_field",
)(scalar_mean_field)
formula(
    "10563.9",
    title="Mean of a soft sign, older route",
    tex=r"\begin{aligned}\mathbb E[\tilde u_B]"
    r"&\approx\frac a{\sqrt{a^2+b^2/\operatorname{erf}(b/\sqrt2)^2}}\\"
    r"&\approx\frac{a}{\sqrt{a^2+b^2+\pi/2}}\\"
    r"&=\frac{g/\sigma}{\sqrt{(g^2+\epsilon^2)/\sigma^2+\pi/(2B)}}\end{aligned}",
    chapter="epsilon",
    check="older_soft_mean",
)(older_route)
formula(
    "10563.12",
    title="Square of a soft sign, older route",
    tex=r"\mathbb E[\tilde u_B^2]\approx1-\frac{b^2}{a^2+b^2+\pi/2}",
    chapter="epsilon",
    check="older_soft_square",
)(older_route)
formula(
    "10563.10",
    title="Mean of a soft sign, older route, scalar form",
    tex=r"\mathbb E[\tilde u_B]_i\approx\frac{\operatorname{softsign}(g_i,\epsilon)}"
    r"{\sqrt{1+\pi\kappa^2/(2B)}}\triangleq u_i\beta",
    chapter="epsilon",
    check="older_route_is_more_noise",
)(older_route)
formula(
    "10563.13",
    title="Second moment of soft signs, older route",
    tex=r"\mathbb E[\tilde u_B\tilde u_B^\top]_{ij}\approx u_iu_j\beta^2+\delta_{ij}(1-\beta^2)",
    chapter="epsilon",
    check="older_route_is_more_noise",
)(older_route)
formula(
    "lrbs.soft-mean",
    title="Mean of a soft sign of normal noise, exactly",
    tex=r"\begin{aligned}&\mathbb E[\operatorname{softsign}(x,\epsilon)]\\ "
    r"&\quad=\frac12\int_{-\pi/2}^{\pi/2}"
    r"\mathbb E[\operatorname{sign}(x+\epsilon\tan\theta)]\cos\theta\,d\theta\end{aligned}",
    chapter="epsilon",
    check="soft_sign_exactly",
)(softsign_mean)
formula(
    "lrbs.soft-square",
    title="Square of a soft sign of normal noise, exactly",
    tex=r"\mathbb E[\operatorname{softsign}(x,\epsilon)^2]=1-\pi\epsilon\,V(\mu;\sigma,\epsilon)",
    chapter="epsilon",
    check="soft_sign_exactly",
)(softsign_square)


# --------------------------------------------------------------------------- functions of one number
@formula(
    "10563.2",
    title="Soft sign, in units of the gradient",
    tex=r"\lim_{\epsilon\to\infty}\epsilon\operatorname{softsign}(x,\epsilon)=x",
    chapter="epsilon",
    check="soft_sign_limit",
)
def rescaled_softsign(x: ArrayLike, epsilon: float) -> Array:
    """epsilon * softsign(x, epsilon) = x / sqrt(1 + (x/epsilon)^2): tends to x itself.

    Parameters
    ----------
    x : array_like
    epsilon : float
        Positive, in units of x; infinity gives x.

    Returns
    -------
    ndarray
        Below |x| by the share (x/epsilon)^2 / 2 for large epsilon. Source: 10563.2.

    Examples
    --------
    >>> [round(float(rescaled_softsign(3.0, each)), 4) for each in (4.0, 400.0, np.inf)]
    [2.4, 2.9999, 3.0]
    """
    values = np.asarray(x, dtype=np.float64)
    return np.asarray(values / np.hypot(1, values / _dial(epsilon)))


# ------------------------------------------------------------------------------- closed curves in B
def soft_noise_scale(model: LocalModel, epsilon: float) -> float:
    """tr(Sigma) / (g^T g + N epsilon^2), in samples: B_simple as epsilon changes it. Source: 11280.21.

    Examples
    --------
    >>> model = LocalModel([1.0, 1.0], [4.0, 4.0], [1.0, 1.0])
    >>> soft_noise_scale(model, epsilon=1.0)
    2.0
    """
    signal = float(model.gradient @ model.gradient) + model.size * non_negative(epsilon, "epsilon") ** 2
    if signal == 0:
        raise ValueError("gradient and epsilon are both zero: the ratio of noise to signal has no value")
    return model.covariance.trace() / signal


@formula(
    "lrbs.soft-loss",
    title="Soft sign's loss decrease",
    tex=r"\begin{aligned}\overline{\Delta\mathcal L}"
    r"&\approx\frac{\Delta\mathcal L_{\max}}{1+B_{\text{loss}}/B},\\"
    r"\Delta\mathcal L_{\max}&=\frac{(\nu^\top g)^2}{2\,\nu^\top H\nu},\\"
    r"B_{\text{loss}}&=B_{\text{simple}}\,\frac{\operatorname{tr}H}{\nu^\top H\nu}\end{aligned}",
    chapter="epsilon",
    check="soft_sign_loss_decrease",
)
@formula(
    "10563.14",
    repeats="11280.23",
    title="Soft sign's optimal learning rate, older route",
    tex=r"\eta^*\approx\frac{\beta\sum_iu_ig_i}{\beta^2\sum_{ij}u_iu_jH_{ij}+(1-\beta^2)\sum_iH_{ii}}",
    chapter="epsilon",
    check="older_soft_sign_learning_rate",
)
@formula(
    "11280.23",
    title="Soft sign's optimal learning rate",
    tex=r"\eta^*\approx\frac{\beta\sum_i\nu_ig_i}"
    r"{\sum_iH_{ii}+\beta^2\left(\sum_{ij}\nu_i\nu_jH_{ij}-\sum_iH_{ii}\right)}",
    chapter="epsilon",
    check="soft_sign_learning_rate",
)
def soft_law(model: LocalModel, epsilon: float, noise_constant: float = 1.0) -> ScalarLaw:
    """The scalar law of SoftSignSGD at a point of training: that of SignSGD with soft signs in it.

    Parameters
    ----------
    model : LocalModel
        Its Hessian must have a diagonal. Correlations of the noise are ignored, as in the articles.
    epsilon : float
        In units of the gradient, >= 0; with 0 the law is :meth:`lrbs.ScalarLaw.of_sign`.
    noise_constant : float
        1 for the mean field (11280.23), pi/2 for the older route (10563.14).

    Returns
    -------
    ScalarLaw
        Its `optimal_lr` is 11280.23; its `loss_decrease` is ours.
    """
    nu = softsign(model.gradient, non_negative(epsilon, "epsilon"))
    return ScalarLaw(
        alignment=float(nu @ model.gradient),
        signal_curvature=float(nu @ (model.hessian @ nu)),
        noise_curvature=model.hessian.trace(),
        noise_scale=float(positive(noise_constant, "noise_constant")) * soft_noise_scale(model, epsilon),
    )


@formula(
    "lrbs.soft-surge",
    title="When soft sign's learning rate surges",
    tex=r"\text{a surge iff }\ \sum_{ij}\nu_i\nu_jH_{ij}>2\operatorname{tr}H",
    chapter="epsilon",
    check="surge_fades_with_epsilon",
)
@formula(
    "10563.15",
    title="What a surge needs, whatever epsilon",
    tex=r"\sum_{ij}u_iu_jH_{ij}-\sum_iH_{ii}>0",
    chapter="epsilon",
    check="surge_fades_with_epsilon",
)
def surge_ratio(model: LocalModel, epsilon: float) -> float:
    """nu^T H nu / tr H: a surge needs it above 1 (10563.15), and has it above 2 (ours), in the scalar law.

    Parameters
    ----------
    model : LocalModel
        With tr H > 0.
    epsilon : float
        In units of the gradient, >= 0.

    Examples
    --------
    >>> model = LocalModel(np.ones(4), np.ones(4), np.ones((4, 4)))
    >>> [round(surge_ratio(model, each), 4) for each in (0.0, 1.0, 3**0.5)]
    [4.0, 2.0, 1.0]
    """
    nu = softsign(model.gradient, non_negative(epsilon, "epsilon"))
    return float(nu @ (model.hessian @ nu)) / float(positive(model.hessian.trace(), "trace of the hessian"))


# ------------------------------------------------------------------------------------- towards SGD
@formula(
    "10563.17",
    title="What survives as epsilon grows",
    tex=r"\begin{gathered}\epsilon\to\infty:\quad\beta\to1,\quad\epsilon u_i\to g_i,\\[4pt] "
    r"\epsilon^2(1-\beta^2)\to\frac{\pi\overline{\sigma^2}}{2B}\end{gathered}",
    chapter="epsilon",
    check="limits_in_epsilon",
)
def rescaled_noise(
    model: LocalModel, epsilon: float, batch_size: ArrayLike, noise_constant: float = ERF_SLOPE
) -> Array:
    """epsilon^2 (1 - beta^2): variance of one coordinate of the update, in units of the gradient.

    Parameters
    ----------
    model : LocalModel
    epsilon : float
        Positive; infinity gives the limit, noise_constant * (mean of sigma_i^2) / B.
    batch_size : array_like
    noise_constant : float
        As for :func:`soft_law`, but the older route's unless told: that is the limit of 10563.17.
    """
    smallness = _dial(epsilon) ** -2.0
    noise = float(positive(noise_constant, "noise_constant")) * model.covariance.trace()
    signal = smallness * float(model.gradient @ model.gradient) + model.size
    return np.asarray(noise / (positive(batch_size, "batch_size") * signal + smallness * noise))


@formula(
    "10563.16",
    title="Learning rate per epsilon",
    tex=r"\frac{\eta^*}\epsilon\approx\frac{\beta\sum_i(\epsilon u_i)g_i}"
    r"{\beta^2\sum_{ij}(\epsilon u_i)(\epsilon u_j)H_{ij}+\epsilon^2(1-\beta^2)\sum_iH_{ii}}",
    chapter="epsilon",
    check="learning_rate_per_epsilon",
)
def lr_per_epsilon(
    model: LocalModel, epsilon: float, batch_size: ArrayLike, noise_constant: float = ERF_SLOPE
) -> Array:
    """eta*/epsilon of the scalar law, in the form that stays finite as epsilon grows.

    Parameters as for :func:`rescaled_noise`. At infinite epsilon it equals :func:`sgd_limit_lr`.
    """
    noise = rescaled_noise(model, epsilon, batch_size, noise_constant)
    beta = np.sqrt(1 - noise * _dial(epsilon) ** -2.0)
    update = rescaled_softsign(model.gradient, epsilon)
    signal = float(update @ (model.hessian @ update))
    return Step(
        beta * float(update @ model.gradient), beta**2 * signal + noise * model.hessian.trace()
    ).optimal_lr


@formula(
    "10563.18",
    title="Where the scalar law ends: SGD with isotropic noise",
    tex=r"\frac{\eta^*}\epsilon\to\frac{\sum_ig_i^2}"
    r"{\sum_{ij}g_ig_jH_{ij}+\pi\overline{\sigma^2}\sum_iH_{ii}/(2B)}",
    chapter="epsilon",
    check="adam_turns_into_sgd",
)
def sgd_limit_lr(model: LocalModel, batch_size: ArrayLike, noise_constant: float = ERF_SLOPE) -> Array:
    """eta* of SGD whose noise has the covariance noise_constant * (mean of sigma_i^2) I / B.

    Where :func:`lr_per_epsilon` ends. The true end of SoftSignSGD is SGD with the model's own covariance
    and no constant. Parameters as for :func:`rescaled_noise`. Source: 10563.18.
    """
    spread = float(positive(noise_constant, "noise_constant")) * model.covariance.trace() / model.size
    isotropic = LocalModel(model.gradient, np.full(model.size, spread), model.hessian)
    return expected_step(isotropic, SGD(), batch_size).optimal_lr


@formula(
    "lrbs.adam-epsilon",
    title="Where Adam ends: SGD with momentum",
    tex=r"\begin{gathered}\epsilon\to\infty:\\[4pt] \frac{\eta^*_{\text{Adam}}}\epsilon\to"
    r"\frac{g^\top g}{g^\top Hg+\frac{1-\beta_1}{1+\beta_1}\operatorname{tr}(\Sigma H)/B}\end{gathered}",
    chapter="epsilon",
    check="adam_turns_into_momentum",
)
def adam_limit_lr(model: LocalModel, batch_size: ArrayLike, beta1: float = 0.9) -> Array:
    """eta*/epsilon of Adam for large epsilon: the learning rate of SGD with momentum beta1, exactly.

    Parameters
    ----------
    model : LocalModel
    batch_size : array_like
    beta1 : float
        In [0, 1).
    """
    return expected_step(model, SGD(momentum=fraction(beta1, "beta1")), batch_size).optimal_lr


# ------------------------------------------------------------------------------------------- pieces
def _dial(epsilon: float) -> float:
    """A positive epsilon; infinity is one end of the dial."""
    return math.inf if epsilon == math.inf else float(positive(epsilon, "epsilon"))
