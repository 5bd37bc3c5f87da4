# %% [markdown]
# # Stochastic volatility: the pound against the dollar
#
# Daily log-returns in per cent, 1997 and 1998. The variance of returns wanders; its logarithm is an autoregression that
# is not seen. The likelihood has no closed form: a particle filter estimates it without bias, and approximations that
# look at log y^2 are quick. After Kim, Shephard and Chib (1998); data of Chopin and Papaspiliopoulos (2020).

# %%
import os
import warnings
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
PARTICLES = 300 if SMALL else 5000

# %%
returns = ss.datasets.gbp_usd()
returns = returns[:80] if SMALL else returns

# %% [markdown]
# ## At values that are in print
# Each run of a particle filter gives another estimate of the likelihood; their mean has no bias. The estimate in
# print is -492.44.

# %%
model = ss.StochasticVolatility(mean=-1.02, persistence=0.9702, scale=0.178)
method = ss.BootstrapFilter(PARTICLES, keep=("moments", "quantiles"))
found = np.array([ss.log_likelihood(model, returns, method, key=k) for k in range(2 if SMALL else 10)])
combined = found.max() + np.log(np.mean(np.exp(found - found.max())))
print(f"log-likelihood {combined:.2f}, standard deviation of one run {found.std(ddof=1):.2f}")

# %% [markdown]
# ## Filtered volatility
# The state is the log-variance; its quantiles, taken through exp(x / 2), are those of the volatility. The panel below
# says how many particles carried them.

# %%
filtered = ss.filter(model, returns, method, key=1)
axes = ss.plots.particles(filtered, transform=lambda x: np.exp(x / 2))
axes[0].set_title("Volatility of the daily return, per cent", loc="left", fontsize=10)
axes[0].plot(
    returns.index, returns.abs(), linestyle="none", marker=".", markersize=2, color="#6e6e6e", label="|return|"
)
axes[0].legend(frameon=False, fontsize=8.5, loc="lower right", bbox_to_anchor=(1, 1), ncols=4)
if not SMALL:
    axes[0].figure.savefig(IMAGES / "volatility.png", dpi=110)

# %% [markdown]
# ## Quick estimates, and what they miss
# Methods that work with moments see log y^2 and take its noise, whose standard deviation is 2.2, for a normal one. The
# disturbances of the log-variance are far smaller: here the quasi-likelihood does not find them, and its maximum is a
# constant variance, of which it says that the persistence cannot be told. Two returns are exactly 0 and have no
# logarithm: `offset=` keeps it finite (Fuller's form).

# %%
spread = float(returns.var())
quick = ss.fit(
    ss.StochasticVolatility(offset=0.02 * spread),
    returns,
    ss.MaximumLikelihood(filter=ss.ExtendedKalman(), num_starts=1),
    progress=False,
)
print(quick.summary())
print(quick.status.message)

# %% [markdown]
# The same observing term goes with any components: here the log-variance is a random walk of a given scale.

# %%
walk = ss.LocalLevel(0.1) + ss.LogVolatility(offset=0.02 * spread)
smoothed = np.exp(ss.smooth(walk, returns, ss.PosteriorLinearisation()).mean / 2)
print(f"smoothed volatility between {smoothed.min():.2f} and {smoothed.max():.2f}")

# %% [markdown]
# ## The likelihood by particles
# A grid, with the mean near that of the quick estimates and one key for all points: its best is more than ten above the
# values in print.

# %%
rough = ss.BootstrapFilter(PARTICLES // 3)
persistences = (0.8, 0.95) if SMALL else (0.7, 0.8, 0.9, 0.95, 0.98)
scales = (0.1, 0.3) if SMALL else (0.1, 0.2, 0.3, 0.4)
grid = {
    (rho, sigma): ss.log_likelihood(ss.StochasticVolatility(-1.6, rho, sigma), returns, rough, key=2)
    for rho in persistences
    for sigma in scales
}
print(pd.Series(grid).rename_axis(["persistence", "scale"]).unstack().round(1))
best = max(grid, key=lambda point: grid[point])

# %% [markdown]
# ## Heavier tails, and leverage
# Student's errors are an argument, and a correlation of today's return with tomorrow's variance a model of its own;
# compare them by their likelihoods with the other parameters as they are.

# %%
others = {"mean": -1.6, "persistence": best[0], "scale": best[1]}
rivals = {
    "normal errors": ss.StochasticVolatility(**others),
    "Student's errors, 8 degrees of freedom": ss.StochasticVolatility(**others, df=8.0),
    "leverage -0.3": ss.LeverageVolatility(**others, leverage=-0.3),
    "leverage 0.3": ss.LeverageVolatility(**others, leverage=0.3),
}
for name, rival in rivals.items():
    print(f"{name}: {ss.log_likelihood(rival, returns, method, key=3):.2f}")

# %% [markdown]
# ## The posterior by particles
# Particle marginal Metropolis-Hastings accepts and rejects by the estimated likelihoods, and its draws are those of the
# exact posterior. What the status says of their spread tells whether there are particles enough; draws that are too few
# are continued with `ss.resume`.

# %%
sampler = ss.PMMH(
    ss.BootstrapFilter(20 if SMALL else 400),
    num_warmup=25 if SMALL else 500,
    num_samples=25 if SMALL else 1000,
    num_chains=2 if SMALL else 4,
)
posterior = ss.fit(ss.StochasticVolatility(), returns, sampler, key=4, progress=False)
with warnings.catch_warnings():
    warnings.simplefilter("ignore" if SMALL else "default")  # so short a run has much to be warned of
    print(posterior.summary())
print(f"estimates vary by {posterior.status.details['log_likelihood_sd']:.1f}")

# %%
ahead = ss.forecast(posterior, horizon=5 if SMALL else 20, num_samples=50 if SMALL else 500, key=5)
print(ahead.to_pandas().round(2).head())
