# %% [markdown]
# # Counts with a structural trend: accidental deaths
#
# Accidental deaths in the United States, monthly, 1973 to 1978. Counts are neither normal nor of constant variance.
# The components of a structural model, level and season, add up to the logarithm of the mean, and an observing term
# says how counts scatter about it.

# %%
import os
from pathlib import Path

import jax
import matplotlib
import numpy as np

import statespace as ss

jax.config.update("jax_enable_x64", True)
matplotlib.use("Agg")
import matplotlib.pyplot as plt

SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"
IMAGES = Path(os.environ.get("STATESPACE_EXAMPLE_IMAGES", "docs/images"))

# %%
deaths = ss.datasets.us_accidental_deaths()
past, later = deaths[:"1977"], deaths["1978":]

# %% [markdown]
# ## Is the scatter that of Poisson?
# The variance of Poisson counts is their mean. `NegativeBinomial` has one more parameter, its concentration: the
# larger, the nearer to Poisson. The observation is linearised about the state (here by the extended Kalman filter), and
# the maximum of that likelihood is found as for any other model.

# %%
trend = ss.LocalLevel() + ss.Seasonal(12, scale=0.0)
method = ss.MaximumLikelihood(filter=ss.ExtendedKalman(), num_starts=1)
fits = {}
terms = {"Poisson": ss.Poisson()} if SMALL else {"Poisson": ss.Poisson(), "negative binomial": ss.NegativeBinomial()}
for name, term in terms.items():
    fits[name] = ss.fit(trend + term, past, method, progress=False)
    print(name, f"AIC {fits[name].aic:.1f}")
    print(fits[name].summary())

# %% [markdown]
# ## The level, and the season
# States are on the scale of the logarithm: the season, taken through exp, is a factor.

# %%
best = min(fits.values(), key=lambda fit: fit.aic)
smoothed = ss.smooth(best)
season = np.exp(smoothed.components["seasonal12"][0][-12:, 0])
print({month: round(float(f), 2) for month, f in zip(past.index[-12:].strftime("%b"), season, strict=True)})

# %% [markdown]
# ## A year ahead
# The forecast is made of paths of counts: every quantile is a whole number. The year that came is drawn over it.

# %%
ahead = ss.forecast(best, horizon=12, num_samples=200 if SMALL else 4000, key=0)
inside = (ahead.quantile(0.05)[:, 0] <= later) & (later <= ahead.quantile(0.95)[:, 0])
print(ahead.to_pandas().head(3))
print(f"months of 1978 inside the 90 % band: {int(inside.sum())} of 12")

# %%
figure, axes = plt.subplots(2, 1, figsize=(8, 5.6), layout="constrained")
level = list(smoothed.state_names).index("level")
ss.plots.states(smoothed, names="level", axes=axes[0])
axes[0].set_title("Level of log deaths a month, given all of 1973 to 1977", loc="left", fontsize=10)
ss.plots.forecast(ahead, history=36, ax=axes[1])
axes[1].plot(later.index, later, linestyle="none", marker="o", markersize=3.5, color="#D55E00", label="came later")
axes[1].set_title("Deaths a month", loc="left", fontsize=10)
axes[1].legend(frameon=False, fontsize=8.5, loc="lower right", bbox_to_anchor=(1, 1), ncols=5)
if not SMALL:
    figure.savefig(IMAGES / "counts.png", dpi=110)
