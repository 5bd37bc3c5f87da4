# %% [markdown]
# # Stochastic volatility: the pound against the dollar
#
# Daily log-returns in per cent, 1997 and 1998. The variance of returns wanders; its logarithm is an autoregression that
# is not seen. The likelihood has no closed form: a particle filter estimates it without bias, and approximations that
# look at log y^2 are quick. After Kim, Shephard and Chib (1998); data of Chopin and Papaspiliopoulos (2020).

# %%
import os
from pathlib import Path

import jax
import matplotlib
import numpy as np

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
# ## Learning the parameters quickly
# Methods that work with moments see log y^2, whose noise they take for a normal one. It is not, so the estimates are
# not efficient, but they come in a second, and the particle filter says what they are worth. Returns that are exactly 0
# have no logarithm: `offset=` keeps it finite, as in the sum of components below, which is the same model with a
# random walk as log-variance.

# %%
fast = ss.MaximumLikelihood(filter=ss.ExtendedKalman(), num_starts=1)
quick = ss.fit(ss.StochasticVolatility(offset=0.005), returns, fast, progress=False)
print(quick.summary())
judged = ss.log_likelihood(ss.StochasticVolatility(**quick.estimates), returns, method, key=2)
print(f"log-likelihood at the quick estimates, by particles: {judged:.2f}")

# %%
walk = ss.fit(ss.LocalLevel() + ss.LogVolatility(offset=0.005), returns, fast, progress=False)
print(f"random walk: quasi log-likelihood {walk.log_likelihood:.2f}, against {quick.log_likelihood:.2f}")

# %% [markdown]
# ## Heavier tails, and leverage
# Student's errors and a correlation of today's return with tomorrow's variance are one argument each; compare them by
# their likelihoods with the other parameters as they are.

# %%
others = {"mean": -1.02, "persistence": 0.9702, "scale": 0.178}
rivals = {
    "normal errors": model,
    "Student's errors, 8 degrees of freedom": ss.StochasticVolatility(**others, df=8.0),
    "leverage -0.3": ss.LeverageVolatility(**others, leverage=-0.3),
    "leverage 0.3": ss.LeverageVolatility(**others, leverage=0.3),
}
for name, rival in rivals.items():
    print(f"{name}: {ss.log_likelihood(rival, returns, method, key=3):.2f}")
