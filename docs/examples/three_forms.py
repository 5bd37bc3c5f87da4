# %% [markdown]
# # Three forms of one model
#
# Sunspots come and go in eleven years. A noisy autoregression of order two says so as a *state-space model*. The
# same model is a *recurrence* with a fixed gain, which is a linear recurrent network, and a *convolution* of past
# observations, which is what a structured layer computes. `ss.convert` leads from each to the others, with the
# noise and the first law carried along and the error of what is cut off stated.

# %%
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import matplotlib.pyplot as plt
import numpy as np

import statespace as ss

jax.config.update("jax_enable_x64", True)
matplotlib.use("Agg")
SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"  # the tests run every example with tiny settings
IMAGES = Path(os.environ.get("STATESPACE_EXAMPLE_IMAGES", "docs/images"))

# %% [markdown]
# ## A state-space model, fitted
# Square roots make the spread alike at all heights.

# %%
y = np.sqrt(ss.datasets.sunspots())
y = y - y.mean()
fit = ss.fit(ss.AutoRegressive(2) + ss.Noise(), y, ss.MaximumLikelihood(1 if SMALL else 4), progress=False)
print(fit.summary()[["estimate", "lower_95", "upper_95"]].round(3))

# %% [markdown]
# ## As a recurrence
# In the long run the Kalman filter has a constant gain. That is the innovations form: one noise, one state, its own
# best prediction. Written by lags of the series it is an ARMA model, here of orders two and two: the noise of the
# observations is what makes the moving average.

# %%
predictor = ss.convert(fit.model, ss.InnovationsSSM)
arma = ss.convert(predictor.value, ss.ARMA)
print("ar", np.round(arma.value.ar, 3), "ma", np.round(arma.value.ma, 3), "sd", np.round(arma.value.sigma, 3))
back = ss.convert(arma.value, ss.LinearGaussian).value
print("log-likelihood", round(ss.log_likelihood(fit.model, y), 6), "as ARMA", round(ss.log_likelihood(back, y), 6))

# %% [markdown]
# ## As a convolution
# Written out, the predictor is a weighted sum of all past observations: an infinite autoregression. Cut after six
# lags it is a finite filter, and the conversion says how far off it can be.

# %%
kernel = ss.convert(predictor.value, ss.ARInfinity, lags=6)
weights = np.asarray(kernel.value.pi)[:, 0, 0]
filtered = ss.filter(fit.model, y)
convolved = np.convolve(y, np.concatenate([[0.0], weights]))[: len(y)]
gap = np.abs(convolved[60:] - filtered.observation_mean[60:, 0]).max()
print(f"root of the sum of squares of the weights cut off: {float(kernel.error_bound):.1e}")
print(f"largest difference between convolution and Kalman filter after 60 years: {gap:.1e}")

# %% [markdown]
# ## As a cell
# The predictor's mean is a recurrent cell with the identity as activation: the same numbers again.

# %%
p = predictor.value
closed = ss.DiscreteSSM(p.A - p.K @ p.C, p.K, jnp.eye(len(p.A)), timing="previous")
outputs = ss.convert(closed, ss.ImpulseResponse, length=len(y)).value.outputs(jnp.asarray(y)[:, None]) @ p.C.T
gap = np.abs(np.asarray(outputs)[60:, 0] - filtered.observation_mean[60:, 0]).max()
print(f"largest difference between cell and Kalman filter after 60 years: {gap:.1e}")

# %% [markdown]
# ## Pictures
# Poles near the circle make the cycle; the spectrum peaks at their angle, near 2 pi / 11.

# %%
figure = plt.figure(figsize=(9, 6.4), layout="constrained")
left, right = figure.subplots(2, 2)
ss.plots.pole_zero(fit.model, axes=left[0])
left[0].set_title("Poles and zeros of the ARMA form", loc="left", fontsize=10)
ss.plots.spectrum(fit.model, y, axes=left[1])
left[1].set_title("Spectral density", loc="left", fontsize=10)
right[0].vlines(np.arange(1, 7), 0, weights, color="#0072B2")
right[0].axhline(0, color="#6e6e6e", linewidth=0.8)
right[0].set_title("Weights of the past six years", loc="left", fontsize=10)
right[0].set_xlabel("lag, years")
right[1].plot(y.index[-80:], y.to_numpy()[-80:], color="#222222", linewidth=1, label="observed")
right[1].plot(y.index[-80:], filtered.observation_mean[-80:, 0], color="#0072B2", label="Kalman filter")
right[1].plot(y.index[-80:], convolved[-80:], color="#D55E00", linestyle=":", linewidth=2, label="convolution")
right[1].set_title("One year ahead, two ways", loc="left", fontsize=10)
right[1].legend(frameon=False, fontsize=8.5)
for axes in right:
    axes.spines[["top", "right"]].set_visible(False)
if not SMALL:
    figure.savefig(IMAGES / "three_forms.png", dpi=110)
