"""The Kalman variational autoencoder: with one matrix against dense normal laws, with three by unbiased estimates."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.amortised.test_conjugate import check_gradients, exact_potentials
from oracles import normal_logpdf

import statespace as ss
from statespace.core.step import make_steps
from statespace.inference.amortised import FIVO, IWAE, AmortisedFilter, Sequence
from statespace.inference.amortised.paths import draw_paths
from statespace.models.deep import (
    MLP,
    DeepStateSpace,
    Direct,
    Guide,
    KalmanDynamics,
    KalmanGuide,
    kvae,
    smoothed_moments,
)
from statespace.models.deep.laws import log_density_each

LATENT, STATES, LENGTH = 2, 2, 8
SLOPE, NOISE = np.array([1.2, -0.8]), np.array([0.5, 0.7])
Q, R = 0.5, 0.3
INITIAL_MEAN = np.array([0.3, -0.1])
INITIAL_FACTOR = np.array([[1.0, 0.0], [0.4, 0.8]])
GAP = slice(3, 6)
LONG = pytest.mark.slow


def turned(angle):
    """A rotation that fades."""
    return 0.95 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def made(bases, inputs=False, smooths=True):
    """A model with a diagonal linear-Gaussian head, and a guide whose potentials are the likelihood's."""
    random = np.random.default_rng(0)
    fed = int(inputs)
    scales = {"transition_scale": Q, "emission_scale": R, "initial_mean": INITIAL_MEAN, "initial_scale": INITIAL_FACTOR}
    dynamics = KalmanDynamics(ss.LSTM(LATENT, 4, key=1), STATES, bases=bases, fed=fed, **scales, key=2)
    values = [np.stack([turned(a) for a in (0.6, -0.9, 2.0)[:bases]]), random.normal(size=(bases, LATENT, STATES))]
    dynamics = eqx.tree_at(lambda d: (d.transitions, d.emissions), dynamics, [jnp.asarray(v) for v in values])
    dynamics = eqx.tree_at(lambda d: d.mixing.layers[0].weights, dynamics, replace_fn=lambda w: 8.0 * w)
    if inputs:
        dynamics = eqx.tree_at(lambda d: d.drives, dynamics, jnp.asarray(random.normal(size=(bases, STATES, fed))))
    head = ss.GaussianHead(np.diag(SLOPE), [0.0, 0.0], NOISE, level=[0.0, 0.0], unit=[1.0, 1.0])
    model = DeepStateSpace(dynamics, MLP([LATENT]), head, input_names=["u"] if inputs else [])
    encoder, potential = exact_potentials(fed, SLOPE, NOISE)
    if smooths:
        return model, KalmanGuide(encoder, potential)
    return model, Guide(encoder, Direct(potential, path=False, previous=False), skips=True)


def sequence(gap=None, inputs=False, seed=0):
    random = np.random.default_rng(seed)
    y, u = random.normal(size=(LENGTH, 2)), random.normal(size=(LENGTH, 1)) if inputs else None
    mask = np.ones((LENGTH, 2), bool)
    if gap is not None:
        mask[gap] = False
    steps = make_steps(LENGTH, inputs=None if u is None else jnp.asarray(u))
    return Sequence(jnp.where(mask, y, 7.0), None if gap is None else jnp.asarray(mask), steps), y, mask, u


def dense(model, u):
    """Means and covariances of all states s and all latent states, with one matrix to mix, and the loading of s."""
    a, c = np.asarray(model.dynamics.transitions[0]), np.asarray(model.dynamics.emissions[0])
    mean, blocks = [INITIAL_MEAN], {(0, 0): INITIAL_FACTOR @ INITIAL_FACTOR.T}
    for t in range(1, LENGTH):
        drift = 0 if u is None else np.asarray(model.dynamics.drives[0]) @ u[t]
        mean.append(a @ mean[-1] + drift)
        for s in range(t):
            blocks[t, s] = a @ blocks[t - 1, s]
            blocks[s, t] = blocks[t, s].T
        blocks[t, t] = a @ blocks[t - 1, t - 1] @ a.T + Q**2 * np.eye(STATES)
    cov = np.block([[blocks[t, s] for s in range(LENGTH)] for t in range(LENGTH)])
    loading = np.kron(np.eye(LENGTH), c)
    centre = np.concatenate(mean)
    return centre, cov, loading @ centre, loading @ cov @ loading.T + R**2 * np.eye(LENGTH * LATENT), loading


@jax.jit
def log_density(model, z, steps):
    """The log density of a path of latent states."""
    x, total = model.start, 0.0
    for t in range(LENGTH):
        h, law = model.ahead(x, steps[t])
        total = total + jnp.sum(log_density_each(law, z[t]))
        x = jnp.concatenate([h, z[t]])
    return total


@pytest.mark.parametrize("inputs", [pytest.param(False, marks=LONG), True])
def test_with_one_matrix_latent_states_are_jointly_normal(inputs):
    model, _ = made(1, inputs)
    one, *_, u = sequence(inputs=inputs)
    *_, mean, cov, _ = dense(model, u)
    for seed in range(3):
        z = np.random.default_rng(seed).normal(size=(LENGTH, LATENT))
        assert log_density(model, jnp.asarray(z), one.steps) == pytest.approx(normal_logpdf(z.ravel(), mean, cov))


def test_smoothed_states_are_the_conditional_ones():
    model, _ = made(1, inputs=True)
    one, *_, u = sequence(inputs=True)
    centre, cov, mean, whole, loading = dense(model, u)
    z = np.random.default_rng(0).normal(size=(LENGTH, LATENT))
    gain = np.linalg.solve(whole, loading @ cov).T
    found, spread = jax.jit(lambda z: smoothed_moments(model, z, one.steps))(jnp.asarray(z))
    np.testing.assert_allclose(found.ravel(), centre + gain @ (z.ravel() - mean), rtol=1e-8, atol=1e-10)
    exact = cov - gain @ loading @ cov
    for t in range(LENGTH):
        here = slice(t * STATES, (t + 1) * STATES)
        np.testing.assert_allclose(spread[t], exact[here, here], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("gap", "inputs"), [pytest.param(None, False, marks=LONG), (GAP, True), ([0, LENGTH - 1], False)]
)
def test_with_one_matrix_every_path_weighs_as_much_as_the_likelihood(gap, inputs):
    model, guide = made(1, inputs)
    one, y, mask, u = sequence(gap, inputs)
    paths = jax.jit(lambda k: draw_paths(model, guide, one, 5, k))(jax.random.key(0))
    *_, mean, cov, _ = dense(model, u)
    emission, seen = np.kron(np.eye(LENGTH), np.diag(SLOPE)), np.flatnonzero(mask)
    whole = emission @ cov @ emission.T + np.kron(np.eye(LENGTH), np.diag(NOISE**2))
    exact = normal_logpdf(y.ravel()[seen], (emission @ mean)[seen], whole[np.ix_(seen, seen)])
    found = jnp.sum(paths.seen, axis=0) + jnp.sum(paths.ratio, axis=(0, 2))
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-8)


def drawn(model, seed):
    """Data that the model makes, with a gap."""
    y = np.array(ss.simulate(model, LENGTH, key=seed)["y"])[0]
    mask = np.ones((LENGTH, 2), bool)
    mask[GAP] = False
    return Sequence(jnp.where(mask, y, 7.0), jnp.asarray(mask), make_steps(LENGTH)), np.where(mask, y, np.nan)


@pytest.mark.parametrize("smooths", [True, pytest.param(False, marks=LONG)])
def test_with_three_matrices_weights_are_unbiased(smooths):
    model, guide = made(3, smooths=smooths)
    one, y = drawn(model, 0)
    keys = jax.random.split(jax.random.key(1), 400)
    guided = np.exp(jax.jit(jax.vmap(lambda k: FIVO(64).bound(model, guide, one, k).value))(keys))
    plain = [
        np.exp(ss.log_likelihood(model, y, method=ss.BootstrapFilter(num_particles=20_000), key=jax.random.key(seed)))
        for seed in range(4)
    ]
    error = np.hypot(guided.std() / np.sqrt(len(guided)), np.std(plain) / 2 + 0.005 * np.mean(plain))
    assert error < 0.1 * np.mean(plain)
    assert abs(guided.mean() - np.mean(plain)) < 4 * error


def test_a_gap_is_filled_from_both_sides():
    model, smoothing = made(3)
    _, filtering = made(3, smooths=False)
    keys = jax.random.split(jax.random.key(2), 50)
    found = {}
    for guide in (smoothing, filtering):
        run = jax.jit(jax.vmap(lambda k, one, guide=guide: IWAE(100).bound(model, guide, one, k).ess, (0, None)))
        found[type(guide)] = np.array([run(keys, drawn(model, seed)[0]).mean() for seed in range(3)])
    assert np.all(found[KalmanGuide] > 3 * found[Guide])


def test_where_nothing_is_observed_a_guide_that_skips_is_the_prior():
    model, guide = made(3, smooths=False)
    one, _ = drawn(model, 0)
    paths = jax.jit(lambda k: draw_paths(model, guide, one, 4, k))(jax.random.key(0))
    np.testing.assert_array_equal(paths.ratio[GAP], 0.0)
    np.testing.assert_array_equal(paths.seen[GAP], 0.0)
    np.testing.assert_allclose(paths.divergence[GAP], 0.0, atol=1e-12)
    assert np.all(np.asarray(paths.ratio[: GAP.start]) != 0)


def test_padding_changes_no_message():
    model, guide = made(3)
    one, _ = drawn(model, 0)
    longer = Sequence(
        jnp.concatenate([one.y, jnp.full((3, 2), 5.0)]),
        jnp.concatenate([one.mask, jnp.ones((3, 2), bool)]),
        make_steps(LENGTH + 3),
        jnp.arange(LENGTH + 3) < LENGTH,
    )
    for a, b in zip(one.frames(model, guide).messages, longer.frames(model, guide).messages, strict=True):
        np.testing.assert_allclose(b[:LENGTH], a, rtol=1e-12)


@pytest.mark.parametrize("smooths", [True, pytest.param(False, marks=LONG)])
def test_gradients_reach_every_weight_and_are_those_of_differences(smooths):
    head = ss.GaussianHead(np.full((2, 3), 0.5), [0.0, 0.0], [1.0, 1.0], level=[0.0, 0.0], unit=[1.0, 1.0])
    sizes = {"states": 2, "hidden": 3, "emission": [3], "encoder": [3]}
    model, guide = kvae(2, **sizes, transition_scale=None, emission_scale=None, smooths=smooths, head=head, key=0)
    # matrices that are all the same would hide what mixes them
    tilted = model.dynamics.transitions + 0.1 * jax.random.normal(jax.random.key(9), model.dynamics.transitions.shape)
    pair = eqx.tree_at(lambda m: m.dynamics.transitions, model, tilted), guide
    check_gradients(pair, IWAE(3), sequence(GAP)[0])


def test_through_the_verbs():
    model, guide = made(3)
    _, y = drawn(model, 0)
    filtered = ss.filter(model, y, method=AmortisedFilter(guide=guide, num_particles=100), key=0)
    assert np.isfinite(filtered.log_likelihood)
    assert ss.forecast(filtered, horizon=3, num_samples=50, key=1).to_xarray().sizes["time"] == 3
    with pytest.raises(TypeError, match="cannot be appended"):
        ss.append(filtered, y[:2], key=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KalmanDynamics(ss.LSTM(2, 3), 0), "states is 0"),
        (lambda: KalmanDynamics(ss.LSTM(2, 3), 4, transition_scale=0.0), "transition_scale is 0.0"),
        (lambda: KalmanDynamics(ss.LSTM(2, 3), 4, initial_scale=np.eye(3)), "do not fit 4 states"),
        (lambda: KalmanDynamics(ss.CTRNN(2, 3), 4), "depends on the time between stamps"),
    ],
)
def test_bad_options_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
