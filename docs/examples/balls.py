# %% [markdown]
# # A Kalman variational autoencoder on a bouncing ball
#
# A video of a ball in a box. Each frame is a picture of two numbers, and these move by a linear-Gaussian state whose
# matrices a recurrent cell mixes. Given the numbers the Kalman recursions are exact, so that a gap is filled from both
# sides. An autoencoder without dynamics, learned alike, knows nothing of a frame that it does not see.

# %%
import os
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import matplotlib
import numpy as np
import numpyro.distributions as dist
import pandas as pd

import statespace as ss
from statespace import deep

matplotlib.use("Agg")
SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"  # the tests run every example with tiny settings
IMAGES = Path(os.environ.get("STATESPACE_EXAMPLE_IMAGES", "docs/images"))
TRAIN, TEST, LATENT, UNITS, STEPS, PARTICLES = (4, 1, 1, 4, 3, 10) if SMALL else (400, 20, 2, 64, 2000, 500)
SIDE, LENGTH, GAP = 16, 20, slice(8, 14)

# %% [markdown]
# ## Videos
# Pixels are black or white. The held-out videos lose six frames of twenty.

# %%
kind = {"size": SIDE, "radius": 0.15, "speed": 0.1}
train = ss.datasets.bouncing_balls(TRAIN, LENGTH, seed=0, **kind).frames
test = ss.datasets.bouncing_balls(TEST, LENGTH, seed=1, **kind).frames
hidden = np.zeros(LENGTH, bool)
hidden[GAP] = True
seen = {name: frames.mask(np.broadcast_to(hidden[:, None], frames.shape)) for name, frames in test.items()}

# %% [markdown]
# ## Two models, learned alike
# `ss.kvae` is the published assembly. The autoencoder is built from the same parts with dynamics of one line: latent
# states that are independent over time. Both guides propose the model's own law where a frame is missing.


# %%
class Independent(deep.AbstractLatentDynamics):
    latent: int = eqx.field(static=True)
    fed: int = eqx.field(static=True, default=0)

    def law(self, h, z, fed, step):
        return dist.Normal(jnp.zeros_like(z), jnp.ones_like(z))


pixels, layers = SIDE**2, (UNITS, UNITS)
autoencoder = ss.DeepStateSpace(Independent(LATENT), ss.MLP([LATENT, *layers], key=0), ss.BernoulliHead())
encoder = ss.Guide(ss.Encoder(ss.MLP([pixels, *layers], key=1)), deep.MeanField(LATENT, [UNITS], key=2), skips=True)
sizes = {"latent": LATENT, "states": 2 * LATENT, "hidden": UNITS, "emission": layers, "encoder": layers}
models = {
    "KVAE": ss.kvae(pixels, **sizes, smooths=not SMALL, key=3),
    "VAE": (autoencoder, encoder),
}

# %%
fits = {}
for name, (model, guide) in models.items():
    way = ss.SVI(guide, num_steps=STEPS, batch_size=40, learning_rate=3e-3, num_buckets=1)
    fit = ss.fit(model, train, way, key=4, progress=False)
    print(f"{name}: {fit.status.message}")
    fits[name] = next(iter(fit.values()))  # all videos share the weights: any member will do

# %% [markdown]
# ## Filling the gap
# The mean of draws given the frames on both sides. Draws of the autoencoder go backwards through the particles; the
# KVAE's state holds moments that follow from the path, so that its draws are traced.

# %%
filled, smoothers = {}, {"KVAE": "genealogy", "VAE": "mcmc"}
for name, fit in fits.items():
    way = ss.AmortisedFilter(guide=fit.filter_method.guide, num_particles=PARTICLES, smoother=smoothers[name])
    drawn = ss.impute(fit, seen, way, num_samples=100, key=5)
    filled[name] = {video: draws.mean("draw").to_numpy() for video, draws in drawn.items()}
filled["last frame"] = {video: frames.ffill().to_numpy() for video, frames in seen.items()}

# %%
rows = {}
for name, videos in filled.items():
    error = [(videos[video][GAP] - test[video].to_numpy()[GAP]) ** 2 for video in test]
    rows[name] = {"squared error a pixel": np.mean(error), "a frame": SIDE**2 * np.mean(error)}
print(pd.DataFrame(rows).T.round(4))

# %%
first = next(iter(test))
pictures = {"truth": test[first], **{name: videos[first] for name, videos in filled.items()}}
panels = ss.plots.video(pictures, stamps=range(6, 16), hidden=hidden)
if not SMALL:
    panels[0].figure.savefig(IMAGES / "balls.png", dpi=110, bbox_inches="tight")
