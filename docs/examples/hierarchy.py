# %% [markdown]
# # A NumPyro hierarchy over several series
#
# `ss.observe` puts a state-space likelihood, its states integrated out, into any NumPyro program. Here eight short
# series share a law of their step sizes: under a `plate`, parameters with a batch axis make a batch of series.

# %%
import os

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS, Predictive

import statespace as ss

jax.config.update("jax_enable_x64", True)
SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"
SERIES, LENGTH = 8, 60

# %% [markdown]
# Data: random walks whose step sizes differ from series to series, with noise of standard deviation 0.5, and a gap.

# %%
rng = np.random.default_rng(0)
true_scale = np.exp(rng.normal(-1.0, 0.4, SERIES))
y = np.cumsum(true_scale[:, None] * rng.normal(size=(SERIES, LENGTH)), axis=1)
y = y + 0.5 * rng.normal(size=y.shape)
y[2, 20:30] = np.nan


# %%
def program(y=None):
    centre = numpyro.sample("centre", dist.Normal(-1.0, 1.0))
    spread = numpyro.sample("spread", dist.HalfNormal(0.5))
    with numpyro.plate("series", SERIES):
        scale = numpyro.sample("scale", dist.LogNormal(centre, spread))
        noise = numpyro.sample("noise", dist.HalfNormal(1.0))
        start = ss.InitialLaw.gaussian([0.0], [1.0])  # proper, so that data can be drawn from the program too
        model = ss.LocalLevel(scale=scale, initial=start) + ss.Noise(scale=noise)
        ss.observe("y", model, y, length=None if y is not None else LENGTH)


# %%
draws, chains = (10, 1) if SMALL else (500, 2)
mcmc = MCMC(
    NUTS(program), num_warmup=draws, num_samples=draws, num_chains=chains, chain_method="sequential", progress_bar=False
)
mcmc.run(jax.random.key(0), jnp.asarray(y))
posterior = mcmc.get_samples()
low, high = np.quantile(posterior["scale"], [0.05, 0.95], axis=0)
for i in range(SERIES):
    print(f"series {i}: true scale {true_scale[i]:.3f}, 90 % interval {low[i]:.3f} to {high[i]:.3f}")

# %% [markdown]
# New data from the posterior: the same program with `y=None`.

# %%
chosen = {name: values[:: max(len(values) // 20, 1)] for name, values in posterior.items()}
replicated = Predictive(program, chosen)(jax.random.key(1))["y"]
print("replicated series:", replicated.shape)
