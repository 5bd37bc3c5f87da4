# %% [markdown]
# # VRNN, SRNN and DMM under one bound
#
# Published scores of these models differ in data, bound and average, each by more than the models do. Here they have
# the same chorales, sizes and steps, are learned by the ELBO as in their papers, and are scored by one bound: FIVO, a
# particle filter's estimate of the log-likelihood.

# %%
import os

import numpy as np
import pandas as pd

import statespace as ss

SMALL = os.environ.get("STATESPACE_EXAMPLE_SIZE") == "small"  # the tests run every example with tiny settings
LATENT, UNITS, STEPS, WARMUP, PARTICLES, REPEATS = (2, 6, 3, 2, 4, 2) if SMALL else (16, 64, 1500, 300, 64, 4)

# %% [markdown]
# ## Data
# Short chorales only, as all are padded to the longest one.

# %%
train, valid, test = (
    {name: roll for name, roll in ss.datasets.jsb_chorales(split).items() if len(roll) <= 64}
    for split in ("train", "valid", "test")
)
if SMALL:
    train, valid, test = ({k: v[:12] for k, v in list(part.items())[:3]} for part in (train, valid, test))
trivial = ss.diagnostics.baselines(train, test)["per_frame"]

# %% [markdown]
# ## Three models
# The VRNN and the SRNN feed back the frame before, so that their latent states may idle; the DMM has nothing else to
# remember by. Each comes with the guide of its paper: that of the VRNN filters, the two others smooth.

# %%
size = {"latent": LATENT, "key": 0}
models = {
    "VRNN": ss.vrnn(88, hidden=UNITS, **size),
    "SRNN": ss.srnn(88, hidden=UNITS, **size),
    "DMM": ss.deep_markov_model(88, transition=UNITS, emission=[UNITS], encoder=UNITS, **size),
}
if SMALL:
    models = {"SRNN": models["SRNN"]}
rows = {}
for name, (model, guide) in models.items():
    options = {"num_steps": STEPS, "learning_rate": 3e-3, "num_buckets": 1, "evaluate_every": 50}
    way = ss.SVI(guide, objective=ss.ELBO(kl_warmup=WARMUP), **options)
    fit = ss.fit(model, train, way, held_out=valid, key=1, progress=False)
    score = ss.evaluate(fit, test, bound="fivo", num_particles=PARTICLES, repeats=REPEATS, key=2, progress=False)
    report = ss.collapse_report(fit, test, num_particles=PARTICLES, key=3, progress=False)
    rows[name] = {
        f"FIVO-{PARTICLES}": score.table().loc["over stamps", "value"],
        "error": score.table().loc["over stamps", "mc_error"],
        "ELBO": report.attrs["elbo"],
        "KL": report["divergence"].sum(),
        "active units": report.attrs["active_units"],
        "weights": fit.joint.num_parameters,
    }

# %% [markdown]
# ## One table
# Nats a frame, summed over all frames of the test chorales and divided by their number; larger is better. The error is
# that of the Monte Carlo estimate, not that of learning from another start.

# %%
table = pd.DataFrame(rows).T
for name, value in trivial.items():
    table.loc[name] = [-value, 0.0, np.nan, np.nan, np.nan, np.nan]
print(f"{len(test)} chorales, {sum(map(len, test.values()))} frames")
print(table.round(3).to_string(na_rep=""))
