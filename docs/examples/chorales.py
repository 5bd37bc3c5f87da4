# %% [markdown]
# # A deep Kalman filter on Bach's chorales
#
# Four voices on 88 keys, one frame a quarter note. A deep Markov model (without actions it is what a deep Kalman filter
# is) draws a chorale from a Markov chain of latent states: a gated network moves them, another makes of each the
# probability of every key. It is learned together with a guide, a network that reads a chorale backwards and proposes
# where the latent states were.

# %%
import os
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import statespace as ss

matplotlib.use("Agg")
SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"  # the tests run every example with tiny settings
IMAGES = Path(os.environ.get("STATESPACE_EXAMPLE_IMAGES", "docs/images"))
LATENT, UNITS, STEPS, WARMUP = (2, 8, 6, 3) if SMALL else (24, 96, 3000, 600)
PARTICLES, REPEATS, DRAWS, FILLING = (4, 2, 5, 20) if SMALL else (64, 3, 200, 2000)

# %% [markdown]
# ## Data, and what has to be beaten
# The canonical split. Trivial models come first: keys that are on or off independently, and a first-order Markov chain
# for each key. A score is in nats a frame, over all keys, and smaller is better in this table.

# %%
train, valid, test = (ss.datasets.jsb_chorales(split) for split in ("train", "valid", "test"))
if SMALL:
    train, valid, test = ({k: v[:12] for k, v in list(part.items())[:4]} for part in (train, valid, test))
trivial = ss.diagnostics.baselines(train, test)
print(trivial)

# %% [markdown]
# ## Learning
# The divergence between guide and prior is warmed up, so that the latent states are used before they are paid for. The
# weights that are kept are those with the best bound on the held-out chorales. A guide that never met a gap proposes
# badly there, so each chorale is shown a second time with gaps: all keys over a stretch, upper keys over another. In
# the picture that is one reason why batches stand above held-out chorales: in a gap there is nothing to explain.


# %%
def with_gaps(roll, random):
    hidden, part = np.zeros(roll.shape, bool), len(roll) // 6
    for lowest in (0, random.integers(40, 70)):
        begin = random.integers(len(roll) - part)
        hidden[begin : begin + part, lowest:] = True
    return roll.mask(hidden)


random = np.random.default_rng(0)
shown = {**train, **{f"{name} with gaps": with_gaps(roll, random) for name, roll in train.items()}}
model, guide = ss.deep_markov_model(
    88, latent=LATENT, transition=2 * LATENT, emission=[UNITS], encoder=UNITS, masks=True, key=0
)
way = ss.SVI(
    guide,
    objective=ss.ELBO(kl_warmup=WARMUP),
    num_steps=STEPS,
    learning_rate=3e-3,
    num_buckets=1 if SMALL else 2,
    evaluate_every=3 if SMALL else 100,
)
fit = ss.fit(model, shown, way, held_out=valid, key=1, progress=False)
print(fit.summary())
panels = ss.plots.training(fit, baselines=ss.diagnostics.baselines(train, valid))
if not SMALL:
    panels[0].figure.savefig(IMAGES / "chorales_training.png", dpi=110, bbox_inches="tight")

# %% [markdown]
# ## A number and its name
# One model, three bounds. Each is at most the log-likelihood, so that the largest is the closest; none can be compared
# with a number that does not name its bound, its particles and its average. Here larger is better, so that the Markov
# chain of above stands at about -10.47.

# %%
bounds = {"elbo": 1} if SMALL else {"elbo": 1, "iwae": PARTICLES, "fivo": PARTICLES}
scores = {
    bound: ss.evaluate(fit, test, bound=bound, num_particles=count, repeats=REPEATS, key=2, progress=False).table()
    for bound, count in bounds.items()
}
print(pd.concat(scores).round(3).to_string())

# %% [markdown]
# ## Are the latent states used?
# A bound does not tell: a model may learn to do without them. The divergence of each latent state from its prior, and
# the variance of its posterior mean over time, do.

# %%
report = ss.collapse_report(fit, test, num_particles=PARTICLES, key=5, progress=False)
print(f"{report.attrs['active_units']} of {LATENT} latent states are active")
print(f"divergence {report['divergence'].sum():.2f} nats a frame; IWAE - ELBO {report.attrs['gap']:.2f}")

# %% [markdown]
# ## What is hidden
# From chorales that the model never saw, upper voices are hidden over four bars, and all voices over two. What is
# missing is drawn given all that is there, before and after, by particles that the guide proposes. The share of the
# draws in which a key sounds is a forecast of it; each key's own rate is another.

# %%
pieces = {name: roll[:48] for name, roll in test.items() if len(roll) >= 48 or SMALL}
pieces = dict(list(pieces.items())[: 1 if SMALL else 10])
first, chorale = next(iter(pieces.items()))
hidden = np.zeros(chorale.shape, bool)
hidden[len(chorale) // 6 : len(chorale) // 2, chorale.columns.get_loc("F#5") :] = True
hidden[2 * len(chorale) // 3 : 5 * len(chorale) // 6] = True
one = next(iter(fit.values()))  # all chorales share the weights: any member will do
filling = ss.AmortisedFilter(guide=one.filter_method.guide, num_particles=FILLING, smoother="mcmc")
gapped = {name: piece.mask(hidden) for name, piece in pieces.items()}
drawn = ss.impute(one, gapped, filling, num_samples=DRAWS, key=6)
filled = {name: draws.mean("draw").to_numpy() for name, draws in drawn.items()}

# %%
rates = np.broadcast_to(pd.concat(train.values()).mean(), hidden.shape)
for label, p in {"draws": filled, "each key's own rate": dict.fromkeys(pieces, rates)}.items():
    nats = []
    for name, piece in pieces.items():
        q, y = np.clip(p[name][hidden], 0.5 / DRAWS, 1 - 0.5 / DRAWS), piece.to_numpy()[hidden]
        nats.append(-np.sum(y * np.log(q) + (1 - y) * np.log(1 - q)) / hidden.any(axis=1).sum())
    print(f"hidden keys by {label}: {np.mean(nats):.2f} nats a frame, worst chorale {np.max(nats):.2f}")

# %% [markdown]
# ## Pictures
# A chorale, what the model makes of its hidden cells (shades are shares of draws), and a chorale of the model's own.

# %%
sample = ss.simulate(one, len(chorale), key=7).y[0].to_numpy()
figure, axes = plt.subplots(3, 1, figsize=(8, 7.5), sharex=True, layout="constrained")
rolls = {"a test chorale": chorale.to_numpy(), "what is hidden, filled in": filled[first]}
ss.plots.piano_roll(rolls, hidden=hidden, keys=(46, 94), axes=axes[:2])
ss.plots.piano_roll({"a sample": sample}, keys=(46, 94), axes=axes[2:])
axes[2].set_xlabel("quarter notes")
if not SMALL:
    figure.savefig(IMAGES / "chorales.png", dpi=110)
