"""Published models: their guides' particle filters estimate the same likelihood as the model's own bootstrap filter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import statespace as ss
from statespace.core.parameters import parameters, replace, with_fields
from statespace.inference.amortised import ELBO, FIVO, IWAE, AmortisedFilter, Sequence
from statespace.inference.amortised.batches import Corpus
from statespace.inference.method import Observed, teacher_forced
from statespace.inference.problem import stamps
from statespace.models.deep import deep_markov_model, srnn, storn, vrnn
from statespace.models.deep.assemblies import NETWORKS

SERIES, LENGTH = 3, 6
SMALL = {"latent": 2, "hidden": 5}
MAKERS = {
    **{name: lambda key, name=name: _markov(name, key) for name in NETWORKS},
    "vrnn": lambda key: vrnn(SERIES, **SMALL, key=key),
    "vrnn direct": lambda key: vrnn(SERIES, **SMALL, proposal="direct", key=key),
    "srnn": lambda key: srnn(SERIES, **SMALL, key=key),
    "srnn filter": lambda key: srnn(SERIES, **SMALL, smooths=False, cell=ss.LSTM, key=key),
    "storn": lambda key: storn(SERIES, **SMALL, key=key),
}


def _markov(inference, key):
    sizes = {"latent": 2, "transition": 6, "emission": [6], "encoder": 5}
    return deep_markov_model(SERIES, **sizes, inference=inference, key=key)


def made(name):
    """Model and guide with all weights drawn."""
    model, guide = MAKERS[name](0)
    model = with_fields(model, head=with_fields(model.head, series=SERIES))
    missing = {p: found for p, found in parameters(model).items() if found.value is None}
    # wider than the prior, so that importance weights are bounded
    wide = {p: jnp.full(found.shape, 1.5) for p, found in parameters(guide).items() if "spread" in p and "bias" in p}
    model = replace(model, {p: found.declaration.start(found.owner, 1.0) for p, found in missing.items()})
    return model, replace(guide, wide)


def data(gaps):
    y = (np.random.default_rng(0).random((LENGTH, SERIES)) < 0.4).astype(float)
    if gaps:
        y[2, 1] = y[4] = np.nan
    return y


def sequence(model, y):
    mask = np.isfinite(y)
    observed = Observed(jnp.nan_to_num(jnp.asarray(y)), jnp.asarray(mask), stamps(model, len(y)), bool(mask.all()))
    observed = teacher_forced(model, observed)
    return Sequence(observed.y, None if observed.complete else observed.mask, observed.steps)


LONG = pytest.mark.slow
CASES = [
    *(pytest.param(name, True, id=f"{name}-gaps") for name in ("DKS", "MF-LR", "vrnn", "srnn", "storn")),
    *(pytest.param(name, True, id=f"{name}-gaps", marks=LONG) for name in ("ST-LR", "ST-L", "MF-L", "srnn filter")),
    *(pytest.param(name, False, id=f"{name}-complete", marks=LONG) for name in MAKERS),
]


@pytest.mark.parametrize(("name", "gaps"), CASES)
def test_guided_and_bootstrap_filters_estimate_one_likelihood(name, gaps):
    model, guide = made(name)
    y = data(gaps)
    keys = jax.random.split(jax.random.key(1), 400)
    one = sequence(model, y)
    guided = np.exp(jax.jit(jax.vmap(lambda k: FIVO(50).bound(model, guide, one, k).value))(keys))
    plain = [
        np.exp(ss.log_likelihood(model, y, method=ss.BootstrapFilter(num_particles=20_000), key=jax.random.key(seed)))
        for seed in range(4)
    ]
    error = np.hypot(guided.std() / np.sqrt(len(guided)), np.std(plain) / 2 + 0.005 * np.mean(plain))
    assert error < 0.1 * np.mean(plain)
    assert abs(guided.mean() - np.mean(plain)) < 4 * error


@pytest.mark.parametrize("name", ["DKS", "vrnn", "srnn", "storn"])
def test_through_the_verbs(name):
    model, guide = made(name)
    y = data(gaps=True)
    method = AmortisedFilter(guide=guide, num_particles=200)
    filtered = ss.filter(model, y, method=method, key=0)
    assert np.isfinite(filtered.log_likelihood)
    assert ss.smooth(model, y, method=method, key=0).to_xarray()["state_mean"].shape[0] == LENGTH
    assert ss.simulate(model, 7, key=0) is not None
    ahead = ss.forecast(filtered, horizon=3, num_samples=50, key=1)
    assert ahead.to_xarray().sizes["time"] == 3
    if guide.direction != "none":
        with pytest.raises(TypeError, match="cannot be appended"):
            ss.append(filtered, y[:2], key=0)


@pytest.mark.parametrize("objective", [ELBO(), FIVO(3)], ids=lambda o: o.name)
@pytest.mark.parametrize("name", ["DKS", "MF-LR", "vrnn", "srnn", "storn"])
def test_gradients_reach_every_weight(name, objective):
    model, guide = made(name)
    batch = jax.tree.map(lambda leaf: leaf[None], sequence(model, data(gaps=False)))
    keys = jax.random.split(jax.random.key(0), 1)
    found = jax.jit(jax.grad(lambda pair: objective.loss(*pair, batch, keys, 1.0)[0]))((model, guide))
    gradients = {path: np.asarray(p.value) for part in found for path, p in parameters(part).items()}
    assert all(np.all(np.isfinite(value)) for value in gradients.values())
    assert [path for path, value in gradients.items() if not np.any(value)] == []


@pytest.mark.parametrize("objective", [ELBO(), IWAE(3), FIVO(3)])
def test_a_path_that_no_draw_enters_is_computed_once(objective, monkeypatch):
    """With the same numbers as one for each particle."""
    model, guide = made("srnn")
    y = (np.random.default_rng(0).random((LENGTH, SERIES)) < 0.4).astype(float)
    batch = Corpus([y], [np.ones(y.shape, bool)], None, None, True).batch([0], LENGTH, 1)
    sequence = jax.tree.map(lambda leaf: leaf[0], batch)
    assert sequence.frames(model, guide).path.shape == (LENGTH, SMALL["hidden"])
    known = objective.bound(model, guide, sequence, jax.random.key(0)).value
    whole = Sequence.frames
    monkeypatch.setattr(Sequence, "frames", lambda self, model, guide: whole(self, model, guide, whole=False))
    assert sequence.frames(model, guide).path is None
    assert float(objective.bound(model, guide, sequence, jax.random.key(0)).value) == pytest.approx(
        float(known), rel=1e-12
    )
