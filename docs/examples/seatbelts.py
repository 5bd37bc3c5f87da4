# %% [markdown]
# # Seat belts: a structural model from data to forecast
#
# Car drivers killed or seriously injured in Great Britain, monthly, 1969 to 1984. On 31 January 1983 seat belts
# became compulsory. How large was the effect, and what comes next? After Harvey and Durbin (1986).

# %%
import os
from pathlib import Path

import jax
import matplotlib
import numpy as np
import pandas as pd

import statespace as ss

jax.config.update("jax_enable_x64", True)
matplotlib.use("Agg")
SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"  # the tests run every example with tiny settings
IMAGES = Path(os.environ.get("STATESPACE_EXAMPLE_IMAGES", "docs/images"))

# %% [markdown]
# Data: a monthly index, and input columns for the price of petrol (relative to its average) and the law.

# %%
data = ss.datasets.seatbelts()
petrol = np.log(data["PetrolPrice"])
inputs = data.assign(log_petrol=petrol - petrol.mean())[["log_petrol", "law"]]
drivers = data["drivers"]

# %% [markdown]
# A model is a sum of components. Scales that are left out are unknown. The coefficients are states: they need no
# optimiser, and are diffuse unless they are given a law; N(0, 1) says little about the logarithm of a ratio.

# %%
weak = ss.InitialLaw.gaussian([0.0, 0.0], [1.0, 1.0])
model = ss.LocalLinearTrend() + ss.Seasonal(12) + ss.Regression(["log_petrol", "law"], initial=weak) + ss.Noise()

# %% [markdown]
# ## Maximum likelihood
# `transform="log"` models the logarithm and brings forecasts back. A maximum at zero is reported as such.

# %%
mle = ss.fit(model, drivers, inputs=inputs, transform="log", progress=False)
print(mle.summary())
print(mle.status.message)
print(f"AIC {mle.aic:.2f}")

# %% [markdown]
# ## The posterior
# Default priors are weakly informative, on the data's scale; each can be replaced by its path.

# %%
print(ss.default_priors(model, drivers, inputs=inputs, transform="log"))
nuts = ss.NUTS(10, 10, 2) if SMALL else ss.NUTS(500, 500, 4, dense_mass=True)
post = ss.fit(model, drivers, nuts, inputs=inputs, transform="log", key=jax.random.key(0), progress=False)
print(post.summary())
effect = 100 * np.expm1(np.quantile(post.coefficients["regression.law"], [0.05, 0.5, 0.95]))
print("effect of the law in per cent, with 90 % interval:", effect.round(1))

# %% [markdown]
# ## Two years ahead
# Inputs of the future are a scenario: the law stays, petrol keeps its price.

# %%
months = pd.date_range("1985-01-01", periods=24, freq="MS")
scenario = pd.DataFrame({"log_petrol": inputs["log_petrol"].iloc[-1], "law": 1.0}, months)
future = ss.forecast(post, horizon=24, inputs=scenario, key=jax.random.key(1))
print(future.to_pandas().head())

# %%
fan = ss.plots.forecast(future, history=96)
fan.set_title("Drivers killed or seriously injured a month", loc="left", fontsize=10)
pictures = {
    "forecast": fan,
    "components": ss.plots.components(ss.smooth(post)),
    "diagnostics": ss.plots.diagnostics(ss.filter(post)),
    "priors": ss.plots.priors(post),
}
for name, axes in pictures.items():
    figure = np.ravel(axes)[0].figure
    if not SMALL:
        figure.savefig(IMAGES / f"{name}.png", dpi=110)
