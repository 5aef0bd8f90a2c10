"""Derivatives of a layered network with tanh units and softmax cross-entropy, by hand.

One sample is a column: activations have shape (..., units, n), so that sums over units or classes run
along memory. A layer is a pair (W, b) of shapes (..., outputs, inputs) and (..., outputs, 1), `targets`
is 1 for the right class and 0 elsewhere. Gradients come as one pair per layer and are sums over samples.
"""

from __future__ import annotations

import numpy as np

from lrbs.validation import Array

Layer = tuple[Array, Array]


def forward(layers: list[Layer], columns: Array) -> tuple[list[Array], Array]:
    """What enters each layer, and the logits."""
    inputs = [columns]
    for W, b in layers:
        z = W @ inputs[-1]
        z += b
        inputs.append(z if len(inputs) == len(layers) else np.tanh(z, out=z))
    return inputs, inputs.pop()


def softmax(logits: Array, targets: Array) -> tuple[Array, Array]:
    """Probabilities of the classes, and the summed cross-entropy."""
    shifted = logits - logits.max(axis=-2, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=-2)
    p /= total[..., None, :]
    return p, np.log(total).sum(axis=-1) - inner(targets, shifted)


def errors(layers: list[Layer], columns: Array, targets: Array) -> tuple[list[Array], list[Array]]:
    """What enters each layer, and the derivative of each sample's loss by what leaves it before tanh."""
    inputs, logits = forward(layers, columns)
    p, _ = softmax(logits, targets)
    p -= targets
    deltas = [p]
    for (W, _), a in zip(layers[:0:-1], inputs[:0:-1], strict=True):
        back = transposed(W) @ deltas[0]
        back *= 1 - a**2
        deltas.insert(0, back)
    return inputs, deltas


def gradient(layers: list[Layer], columns: Array, targets: Array) -> list[Layer]:
    """Gradient of the summed loss, by backpropagation."""
    inputs, deltas = errors(layers, columns, targets)
    return [(d @ transposed(a), d.sum(axis=-1)) for a, d in zip(inputs, deltas, strict=True)]


def per_sample_gradients(layers: list[Layer], columns: Array, targets: Array) -> list[Layer]:
    """Gradient of each sample's loss: the sample is the axis before those of the layer."""
    return [
        (transposed(delta)[..., :, None] * transposed(a)[..., None, :], transposed(delta))
        for a, delta in zip(*errors(layers, columns, targets), strict=True)
    ]


def tangent_of_gradient(
    layers: list[Layer], directions: list[Layer], columns: Array, targets: Array
) -> list[Layer]:
    """Derivative of the gradient along `directions`, which is the Hessian times them (Pearlmutter 1994).

    Every line of the backpropagation is followed by its own derivative, marked d.
    """
    a, da = columns, np.zeros(())
    inputs = [(a, da)]
    for (W, b), (dW, db) in zip(layers[:-1], directions[:-1], strict=True):
        z, dz = W @ a + b, dW @ a + db + times(W, da)
        a = np.tanh(z)
        da = (1 - a**2) * dz
        inputs.append((a, da))
    (W, b), (dW, db) = layers[-1], directions[-1]
    p, _ = softmax(W @ a + b, targets)
    dz = dW @ a + db + times(W, da)
    delta = p - targets
    ddelta = p * (dz - np.sum(p * dz, axis=-2, keepdims=True))
    products: list[Layer] = []
    for layer in reversed(range(len(layers))):
        (W, _), (dW, _), (a, da) = layers[layer], directions[layer], inputs[layer]
        product = ddelta @ transposed(a)
        if da.ndim:
            product = product + delta @ transposed(da)
        products.insert(0, (product, ddelta.sum(axis=-1)))
        if layer:
            back, dback = transposed(W) @ delta, transposed(W) @ ddelta + transposed(dW) @ delta
            delta, ddelta = back * (1 - a**2), dback * (1 - a**2) - 2 * a * da * back
    return products


def derivatives_along(
    layers: list[Layer], directions: list[Layer], columns: Array, targets: Array
) -> tuple[Array, Array, Array]:
    """The summed loss and its first two derivatives along `directions`, in one forward pass."""
    a, da, dda = columns, np.zeros(()), np.zeros(())
    for layer, ((W, b), (dW, db)) in enumerate(zip(layers, directions, strict=True), start=1):
        z = W @ a + b
        dz = dW @ a + db + times(W, da)
        ddz = 2 * times(dW, da) + times(W, dda)
        if layer < len(layers):
            a = np.tanh(z)
            slope = 1 - a * a
            da = slope * dz
            dda = slope * ddz - 2 * a * da * dz
    p, loss = softmax(z, targets)
    weighted, excess = p * dz, p - targets
    mean = weighted.sum(axis=-2)
    curvature = inner(weighted, dz) - np.sum(mean**2, axis=-1) + inner(excess, np.broadcast_to(ddz, p.shape))
    return loss, inner(excess, dz), curvature


def inner(x: Array, y: Array) -> Array:
    """Sum of the products over units and samples."""
    return np.einsum("...cn,...cn->...", x, y)


def packed(parts: list[Layer]) -> Array:
    """One vector of the arrays of all layers, replica axes first."""
    flat = []
    for W, b in parts:
        flat += [W.reshape(*W.shape[:-2], -1), b]
    return np.concatenate(flat, axis=-1)


def transposed(matrices: Array) -> Array:
    """The last two axes exchanged."""
    return np.swapaxes(matrices, -1, -2)


def times(W: Array, tangent: Array) -> Array:
    """W times a tangent that may be the number zero, as it is for the inputs of the network."""
    return W @ tangent if tangent.ndim else tangent
