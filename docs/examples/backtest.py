# %% [markdown]
# # Is it any good? Back-tests and cross-validation
#
# A back-test refits at several origins and forecasts from each, beside a (seasonal) naive forecast. PSIS-LOO,
# exact leave-one-out and leave-future-out compare models on one fit.

# %%
import os
from pathlib import Path

import arviz as az
import jax
import matplotlib

import statespace as ss

jax.config.update("jax_enable_x64", True)
matplotlib.use("Agg")
import matplotlib.pyplot as plt

SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"
IMAGES = Path(os.environ.get("STATESPACE_EXAMPLE_IMAGES", "docs/images"))

# %% [markdown]
# Airline passengers: a year ahead from several origins in the second half of the series. Each refit starts from the
# one before.

# %%
passengers = ss.datasets.air_passengers()
model = ss.LocalLinearTrend() + ss.Seasonal(12) + ss.Noise()
options = {"horizon": 12, "origins": 1 if SMALL else 6, "season": 12, "transform": "log", "progress": False}
table = ss.backtest(model, passengers, ss.MaximumLikelihood(num_starts=1), key=jax.random.key(0), **options)
print(table.round(2))
print(f"mean absolute error: {table['mae'].mean() / table['naive_mae'].mean():.2f} of the seasonal naive forecast's")

# %%
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.plot(table.index, table["mae"], color="#0072B2", marker="o", label="model")
ax.plot(table.index, table["naive_mae"], color="#6e6e6e", marker="o", label="seasonal naive")
ax.set(xlabel="months ahead", ylabel="mean absolute error", ylim=(0, None))
ax.legend(frameon=False)
if not SMALL:
    figure.savefig(IMAGES / "backtest.png", dpi=110)

# %% [markdown]
# Two models of the Nile on one scale. `az.loo` reads `/log_likelihood`, with log p(y_t | other y, parameters)
# from one smoother pass: the right quantity for a series, where stamps depend on each other.

# %%
flow = ss.datasets.nile()
nuts = ss.NUTS(20, 20, 2) if SMALL else ss.NUTS(500, 500, 4)
models = {"local level": ss.LocalLevel() + ss.Noise(), "fixed level": ss.LocalLevel(scale=0.0) + ss.Noise()}
if SMALL:
    del models["fixed level"]
fits = {
    name: ss.fit(each, flow, nuts, key=jax.random.key(i), progress=False)
    for i, (name, each) in enumerate(models.items())
}
for name, fitted in fits.items():
    print(name)
    print(az.loo(fitted.to_arviz()))
    print("  leave-future-out from stamp 20:", round(float(ss.leave_future_out(fitted, 20).sum()), 2))
