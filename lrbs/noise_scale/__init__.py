"""Noise scales from gradients: estimates of tr(Sigma) and |g|^2, each with its error, and an interval for
their ratio B_simple.

Numerator and denominator are averaged apart and divided once: a mean of ratios is biased, and has no mean at
all where a denominator comes near zero.
"""

from lrbs.noise_scale.along import noise_scales
from lrbs.noise_scale.batch_sizes import noise_scale_from_batch_sizes
from lrbs.noise_scale.estimate import NoiseScaleEstimate
from lrbs.noise_scale.gradients import noise_scale_from_workers
from lrbs.noise_scale.logs import noise_scale_from_momentum, noise_scale_from_update_rms
from lrbs.noise_scale.norms import L1, Euclidean, Norm, Nuclear, sign_alignment_floor
from lrbs.noise_scale.running import RunningNoiseScale, noise_scale_from_two_batches, two_batch_moments
from lrbs.noise_scale.samples import noise_scale_from_samples

__all__ = [
    "L1",
    "Euclidean",
    "NoiseScaleEstimate",
    "Norm",
    "Nuclear",
    "RunningNoiseScale",
    "noise_scale_from_batch_sizes",
    "noise_scale_from_momentum",
    "noise_scale_from_samples",
    "noise_scale_from_two_batches",
    "noise_scale_from_update_rms",
    "noise_scale_from_workers",
    "noise_scales",
    "sign_alignment_floor",
    "two_batch_moments",
]
