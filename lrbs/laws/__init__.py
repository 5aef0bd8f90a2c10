"""Closed laws in the batch size, a file an idea; all names can be had from here.

They stand on the core (model, rules, approximations, step); nothing there needs them.
"""

from typing import TYPE_CHECKING

from lrbs.lazy import names_of

if TYPE_CHECKING:
    from lrbs.laws.adam import *
    from lrbs.laws.adam_curves import *
    from lrbs.laws.adam_finite import *
    from lrbs.laws.averaging import *
    from lrbs.laws.clip import *
    from lrbs.laws.clock import *
    from lrbs.laws.correlation import *
    from lrbs.laws.curves import *
    from lrbs.laws.erf_route import *
    from lrbs.laws.flatness import *
    from lrbs.laws.heavy_tails import *
    from lrbs.laws.momentum import *
    from lrbs.laws.muon import *
    from lrbs.laws.noises import *
    from lrbs.laws.practice import *
    from lrbs.laws.quadratic import *
    from lrbs.laws.scalar_law import *
    from lrbs.laws.scaling import *
    from lrbs.laws.schedules import *
    from lrbs.laws.sde import *
    from lrbs.laws.several_steps import *
    from lrbs.laws.sgd import *
    from lrbs.laws.sign import *
    from lrbs.laws.softsign import *
    from lrbs.laws.spectrum import *
    from lrbs.laws.spread import *
    from lrbs.laws.surge import *
    from lrbs.laws.update_rms import *

__all__, __getattr__ = names_of(
    "lrbs.laws",
    {
        "adam": (
            "mean_update",
            "momentum_square",
            "second_average",
            "second_moment",
            "square_from_mean",
            "square_update",
        ),
        "adam_curves": ("adam_law", "full_momentum_lr", "scalar_mean_update"),
        "adam_finite": ("corrected_mean", "corrected_square"),
        "averaging": (
            "averaged_covariance",
            "averaged_mean",
            "ema_gain",
            "ema_lag",
            "ema_noise_factor",
            "ema_step",
            "ema_weights",
            "lion_weights",
            "nesterov_weights",
        ),
        "clip": ("clip_mean", "clip_mean_by_slope", "clip_square", "hard_sigmoid", "smooth_sigmoid"),
        "clock": ("Cluster",),
        "correlation": ("arcsine_trace", "correlated_law", "correlation_trace"),
        "curves": (
            "SaturationFit",
            "fit_power_saturation",
            "fit_saturation",
            "implied_noise_scale",
            "normalised_batch_size",
            "power_saturation",
            "preconditioned_limits",
        ),
        "erf_route": ("erf_route_sign", "erf_route_step", "erf_stand_in"),
        "flatness": (
            "generalisation_gap",
            "natural_gradient_step",
            "newton_covariance",
            "newton_noise_scale",
            "sharpness",
        ),
        "heavy_tails": ("contaminated_sign_mean", "sign_variance"),
        "momentum": (
            "batch_multiplier",
            "effective_batch_size",
            "ema_batch_multiplier",
            "lion_batch_multiplier",
            "nesterov_batch_multiplier",
            "sgdm_lr",
            "stationary_variance",
        ),
        "muon": ("muon_hessian", "muon_law", "muon_newton_curvature", "newton_schulz"),
        "noises": ("NOISES", "Noise", "sign_bounds"),
        "practice": ("cautious_lr", "kept_progress", "max_lr_from_search"),
        "quadratic": ("Cloud", "Quadratic", "sde_cloud", "settled_variance", "sgd_cloud", "sgd_runs"),
        "scalar_law": ("ScalarLaw",),
        "scaling": (
            "effective_temperature",
            "increment_covariance",
            "linear_rule",
            "noise_cost",
            "noise_strength",
            "rms_update_length",
            "signal_to_noise",
            "square_root_rule",
            "update_length",
        ),
        "schedules": (
            "adaptive_batch_size",
            "cosine",
            "growing_batch_size",
            "linear_warmup",
            "matching_warmup",
            "noise_aware_lr",
            "warmup_displacement",
            "warmup_weight",
        ),
        "sde": ("diffusion_coefficient", "sde_runs", "sde_step", "sgd_step"),
        "several_steps": ("loss_after_steps",),
        "sgd": ("linear", "saturation"),
        "sign": (
            "independent_second_moment",
            "mean_field_sign",
            "normal_sign_correction",
            "sign_correction",
            "sign_mean_series",
            "sign_series",
        ),
        "softsign": (
            "adam_limit_lr",
            "lr_per_epsilon",
            "rescaled_noise",
            "rescaled_softsign",
            "sgd_limit_lr",
            "soft_law",
            "soft_noise_scale",
            "surge_ratio",
        ),
        "spectrum": ("NoiseSpectrum", "correlation_factor", "noise_spectrum"),
        "spread": ("fitted_noise_scale", "mean_noise_scale", "power_of_mean"),
        "surge": (
            "exact_peak_batch_size",
            "peak_beta_from_loss_scale",
            "peak_from_loss_scale",
            "searched_peak",
            "small_batch_peak",
        ),
        "update_rms": (
            "expected_update_rms",
            "momentum_norm",
            "momentum_ratio",
            "root_mean_square",
            "signal_from_momentum_ratio",
            "signal_from_update_rms",
            "signal_seen_by_rms",
            "simulated_updates",
        ),
    },
)
