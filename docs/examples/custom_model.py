# %% [markdown]
# # Models of your own
#
# Three steps up: matrices (`LinearGaussian`), a class with parameters that every verb can learn
# (`AbstractLinearGaussian`), and a component that adds to the others (`AbstractComponent`, in
# [How to extend](../extending.md)).

# %%
import os
import tempfile

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints

import statespace as ss

jax.config.update("jax_enable_x64", True)
SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"

# %% [markdown]
# ## Matrices
# A position and its velocity, of which the position is measured: transition, noise and emission are matrices or,
# with a leading time axis, one per stamp. Scales are factors and may be singular.

# %%
transition = jnp.array([[1.0, 1.0], [0.0, 1.0]])
tracker = ss.LinearGaussian(
    transition,
    jnp.array([[0.5], [1.0]]) * 0.1,  # one disturbance drives both states: a covariance of rank one
    jnp.array([[1.0, 0.0]]),
    jnp.array([0.5]),
    diffuse=True,
    state_names=["position", "velocity"],
)
rng = np.random.default_rng(0)
walk = np.cumsum(np.cumsum(0.1 * rng.normal(size=80))) + 0.5 * rng.normal(size=80)
print(ss.smooth(tracker, walk).to_pandas().tail(2))

# %% [markdown]
# ## A class: ARMA(1, 1) with a mean
#
# $$y_t = \mu + u_t,\qquad u_t = \phi u_{t-1} + \sigma (w_t + \theta w_{t-1})$$
#
# in Harvey's form, with the state $(u_t, \theta \sigma w_t)$. Each field declared by `param` has a constraint and
# a default prior; with that, `fit`, priors by path, NUTS and `ss.observe` all work.


# %%
class ARMA11(ss.AbstractLinearGaussian):
    phi: jax.Array | None = ss.param(constraints.interval(-1.0, 1.0), prior=lambda self, scale: dist.Uniform(-1.0, 1.0))
    theta: jax.Array | None = ss.param(
        constraints.interval(-1.0, 1.0), prior=lambda self, scale: dist.Uniform(-1.0, 1.0)
    )
    sigma: jax.Array | None = ss.param(
        constraints.positive, unit="data", prior=lambda self, scale: dist.HalfNormal(scale)
    )
    mean: float = eqx.field(static=True, default=0.0)

    @property
    def state_names(self):
        return ("u", "memory")

    def initial_law(self, step):
        transition = jnp.array([[0.0, 1.0], [0.0, 0.0]]).at[0, 0].set(self.phi)
        return ss.InitialLaw.stationary(transition, self.transition_matrices(step).factor)

    def propagate(self, x, step):
        return jnp.stack([self.phi * x[0] + x[1], jnp.zeros_like(x[1])])

    def transition_matrices(self, step):
        factor = self.sigma * jnp.stack([jnp.ones_like(self.theta), self.theta])[:, None]
        return ss.TransitionMatrices(jnp.zeros(2), factor)

    def emission_matrices(self, step):
        return ss.EmissionMatrices(jnp.array([[1.0, 0.0]]), jnp.full(1, self.mean), jnp.zeros(1))


# %% [markdown]
# The level of Lake Huron is well described by it.

# %%
level = ss.datasets.lake_huron()
arma = ARMA11(mean=float(level.mean()))
mle = ss.fit(arma, level, progress=False)
print(mle.summary())
print(mle.status.message)

# %%
nuts = ss.NUTS(10, 10, 2) if SMALL else ss.NUTS(500, 500, 4)
post = ss.fit(arma, level, nuts, priors={"phi": dist.Uniform(0.0, 1.0)}, key=jax.random.key(0), progress=False)
print(post.summary())
print(ss.forecast(post, horizon=5, key=jax.random.key(1)).to_pandas())

# %% [markdown]
# No file can hold a class of your own, so hand the model to `load`.

# %%
with tempfile.TemporaryDirectory() as folder:
    post.save(f"{folder}/arma.nc")
    again = ss.load(f"{folder}/arma.nc", model=arma)
print(again.status.message)
