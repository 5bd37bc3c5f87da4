"""Cells in their roles: innovations form, noisy state, backbone, encoder, features; and heads."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats

import statespace as ss
from statespace.core.normal import FactorNormal
from statespace.core.parameters import parameters, replace, unknown
from statespace.inference.teacher_forcing import TeacherForcing
from statespace.models.recurrent import (
    CTRNN,
    GRU,
    LSTM,
    Antisymmetric,
    BernoulliHead,
    CategoricalHead,
    Elman,
    GaussianHead,
    IndRNN,
    Jordan,
    MixtureHead,
    Orthogonal,
    PoissonHead,
    Ravelled,
    Recurrent,
    StudentTHead,
)
from statespace.models.recursion import AbstractRecursion
from statespace.models.specification import describe, rebuild
from statespace.models.structural import Binding

KEY = jax.random.key(0)
CELLS = {
    "elman": lambda n: Elman(n, 3, key=KEY),
    "jordan": lambda n: Jordan(n, 4, 3, key=KEY),
    "gru": lambda n: GRU(n, 3, key=KEY),
    "gru_before": lambda n: GRU(n, 3, reset="before", key=KEY),
    "lstm": lambda n: LSTM(n, 3, key=KEY),
    "indrnn": lambda n: IndRNN(n, 3, horizon=20, activation="tanh", key=KEY),
    "cayley": lambda n: Orthogonal(n, 3, key=KEY),
    "householder": lambda n: Orthogonal(n, 3, parametrisation="householder", key=KEY),
    "antisymmetric": lambda n: Antisymmetric(n, 3, gate=True, key=KEY),
    "ctrnn": lambda n: CTRNN(n, 3, key=KEY),
    "ravelled": lambda n: Ravelled(GRU(n, 3, key=KEY)),
}
EVERY_DAY = {"gru", "ctrnn"}  # the others run with the long studies
each_cell = pytest.mark.parametrize(
    "kind", [name if name in EVERY_DAY else pytest.param(name, marks=pytest.mark.slow) for name in CELLS]
)
Y = np.random.default_rng(0).normal(size=25).cumsum()
U = np.sin(np.arange(25.0))


def head(scale=0.5):
    return GaussianHead([[0.5, -1.0, 0.3]], [0.1], [scale], level=0.0, unit=1.0)


@each_cell
def test_innovations_form(kind):
    """Likelihood is that of a loop, forecasts have bands, and gradients reach every weight."""
    cell = CELLS[kind](1)
    model = Recurrent(cell, head())
    found = ss.filter(model, Y)
    h, previous, terms = cell.start(), 0.0, []
    step = jax.jit(lambda h, u: cell.step(h, u))
    for value in Y:
        h, output = step(h, jnp.array([previous]))
        terms.append(scipy.stats.norm.logpdf(value, float(model.head.weights[0] @ output) + 0.1, 0.5))
        previous = value
    np.testing.assert_allclose(found.log_likelihood_terms, terms, rtol=1e-9)
    assert found.mean.shape == (25, len(model.state_names))
    ahead = ss.forecast(found, horizon=3, num_samples=50, key=0)
    assert np.all(np.std(ahead.draws, axis=0) > 0)
    gradient = jax.jit(jax.grad(lambda m: ss.log_likelihood(m, jnp.asarray(Y))))(model)
    for path, part in parameters(gradient).items():
        assert float(jnp.abs(part.value).max()) > 0, path


@each_cell
def test_noisy_state(kind):
    """The same cell with state noise, under a linearised filter and under particles."""
    wide = 6.0 if kind == "householder" else 1.5  # that cell does not forget, and fits these data badly
    model = Recurrent(CELLS[kind](1), head(wide), noise=0.2, input_names=["u"])
    assert not model.reads_previous
    gaps = Y / 5
    gaps[7] = np.nan
    extended = ss.filter(model, gaps, ss.ExtendedKalman(), inputs=U)
    particles = ss.filter(model, gaps, ss.BootstrapFilter(num_particles=3000, error_lag=0), inputs=U, key=0)
    assert np.isfinite(extended.log_likelihood)
    assert particles.log_likelihood == pytest.approx(extended.log_likelihood, abs=0.5)  # an approximation and a draw
    with pytest.raises(TypeError, match="no exact method serves Recurrent"):
        ss.filter(model, gaps, inputs=U)


def test_noisy_linear_cell_is_a_linear_gaussian_model():
    cell = Elman(1, 3, activation="identity", key=KEY)
    cell = replace(cell, {"recurrent_weights": 0.8 * cell.recurrent_weights})
    model = Recurrent(cell, head(), noise=[0.3, 0.1, 0.2], input_names=["u"])
    unit = np.std(U)
    same = ss.LinearGaussian(
        cell.recurrent_weights,
        [0.3, 0.1, 0.2],
        [[0.5, -1.0, 0.3]],
        [0.5],
        transition_input=cell.input_weights / unit,
        emission_offset=[0.1],
        initial_mean=(cell.input_weights @ jnp.array([U[0] / unit])),
        initial_scale=[0.3, 0.1, 0.2],
        input_names=["u"],
    )
    expected = ss.filter(same, Y, inputs=U)
    for method in (ss.ExtendedKalman(), ss.UnscentedKalman()):
        found = ss.filter(model, Y, method, inputs=U)
        np.testing.assert_allclose(found.log_likelihood_terms, expected.log_likelihood_terms, rtol=1e-8)
        np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-7, atol=1e-9)


def test_noise_of_a_network_in_continuous_time_is_that_of_its_equation():
    """Without recurrence each unit is an Ornstein-Uhlenbeck process: exact at any spacing."""
    cell = replace(
        CTRNN(0, 2, key=KEY), {"recurrent_weights": jnp.zeros((2, 2)), "tau": [2.0, 5.0], "bias": [0.0, 0.0]}
    )
    model = Recurrent(cell, head=GaussianHead([[1.0, 1.0]], [0.0], [0.5], level=0.0, unit=1.0), noise=[0.4, 0.1])
    times = np.array([0.0, 0.4, 3.0, 3.1, 9.0])
    drawn = ss.simulate(model, times=times, num_samples=20000, key=0).states.to_numpy()
    for i, (tau, sigma) in enumerate([(2.0, 0.4), (5.0, 0.1)]):
        elapsed = 1.0 + times  # the first step of all has length 1
        variance = sigma**2 * tau / 2 * (1 - np.exp(-2 * elapsed / tau))
        np.testing.assert_allclose(drawn[:, :, i].var(axis=0), variance, rtol=0.05)


def stochastic(cell, z_scale=0.5):
    """A stochastic RNN: h[t] = cell(h[t-1], z[t-1]), z[t] ~ N(a + b h[t], s^2), y[t] ~ N(c'(h[t], z[t]), r^2)."""
    units = cell.state_size
    b, c = jnp.linspace(-0.5, 0.5, units), jnp.linspace(1.0, 0.2, units + 1)

    def law(h):
        factor = jnp.zeros((units + 1, 1)).at[-1].set(z_scale)
        return FactorNormal(jnp.append(h, 0.2 + b @ cell.output(h)[:units]), factor)

    return ss.StateSpace(
        lambda step: law(cell.start()),
        lambda x, step: law(cell.step(x[:-1], x[-1:])[0]),
        lambda x, step: dist.Normal((c @ x)[None], 2.0).to_event(1),
    ), (b, c)


def test_backbone_of_a_stochastic_network():
    """Deterministic and stochastic state jointly under particles; with a linear cell, against the Kalman filter."""
    cell = Elman(1, 2, activation="identity", key=KEY)
    cell = replace(cell, {"recurrent_weights": 0.6 * cell.recurrent_weights})
    model, (b, c) = stochastic(cell)
    w, v = np.asarray(cell.recurrent_weights), np.asarray(cell.input_weights)
    top = np.hstack([w, v])
    same = ss.LinearGaussian(
        np.vstack([top, np.asarray(b) @ top]),
        [[0.0], [0.0], [0.5]],
        np.asarray(c)[None],
        [2.0],
        transition_offset=[0.0, 0.0, 0.2],
        initial_mean=[0.0, 0.0, 0.2],
        initial_scale=[[0.0], [0.0], [0.5]],
    )
    exact = ss.log_likelihood(same, Y)
    found = ss.filter(model, Y, ss.BootstrapFilter(num_particles=20000), key=0)
    assert abs(found.log_likelihood - exact) < 4 * found.log_likelihood_se
    nonlinear, _ = stochastic(GRU(1, 3, key=KEY))
    assert np.isfinite(ss.filter(nonlinear, Y, ss.BootstrapFilter(num_particles=500), key=0).log_likelihood)


@each_cell
def test_encoder_and_features(kind):
    """Forward and backward passes summarise past and future; frozen features carry a conjugate readout."""
    cell, u = CELLS[kind](1), jnp.asarray(U[:, None])
    forward, backward = jax.jit(lambda c: (c.scan(u)[0], c.scan(u[::-1])[0][::-1]))(cell)
    moved = jax.jit(lambda c: (c.scan(u.at[12].add(1.0))[0], c.scan(u.at[12].add(1.0)[::-1])[0][::-1]))(cell)
    changed = [np.flatnonzero(np.any(a != b, axis=1)) for a, b in zip((forward, backward), moved, strict=True)]
    assert changed[0].min() == 12
    assert changed[1].max() == 12
    features = np.hstack([np.asarray(forward), np.ones((25, 1))])
    readout = ss.LinearGaussian(
        np.eye(4),
        np.zeros((4, 1)),
        features[:, None, :],
        [0.5],
        initial_mean=np.zeros(4),
        initial_scale=np.full(4, 2.0),
    )
    last = ss.filter(readout, Y).mean[-1]
    ridge = np.linalg.solve(features.T @ features + 0.25 / 4 * np.eye(4), features.T @ Y)
    np.testing.assert_allclose(last, ridge, rtol=1e-7)


class Complex(AbstractRecursion):
    """A recursion with a tree of complex and real numbers as state."""

    @property
    def input_size(self):
        return 1

    @property
    def output_size(self):
        return 1

    def start(self):
        return {"z": jnp.zeros((2, 1), complex), "r": jnp.ones(1)}

    def step(self, state, u, dt=None):
        z = 0.9 * jnp.exp(1j * jnp.array([[0.3], [0.7]])) * state["z"] + u
        r = 0.5 * state["r"] + u
        return {"z": z, "r": r}, jnp.sum(z.real + z.imag, axis=0) + r


def test_any_recursion_is_a_model():
    model = Recurrent(Complex(), GaussianHead([[0.3]], [0.0], [1.0], level=0.0, unit=1.0))
    assert model.state_names == ("h0", "h1", "h2", "h3", "h4", "output0")
    found = ss.filter(model, Y)
    outputs, _ = Complex().scan(jnp.concatenate([jnp.zeros(1), jnp.asarray(Y[:-1])])[:, None])
    np.testing.assert_allclose(found.observation_mean, 0.3 * outputs, rtol=1e-10)
    np.testing.assert_allclose(ss.log_likelihood(model, Y), found.log_likelihood, rtol=1e-12)
    assert ss.forecast(found, horizon=3, num_samples=10, key=0).draws.shape == (10, 3, 1)
    noisy = Recurrent(
        Complex(), GaussianHead([[0.3]], [0.0], [1.0], level=0.0, unit=1.0), noise=True, input_names=["u"]
    )
    assert parameters(noisy)["noise_scale"].shape == (5,)


@pytest.mark.slow
def test_a_layer_is_a_model():
    """One whose state is complex and whose weights are unknown until the model is fitted."""
    from statespace.models.layers import LRU

    model = Recurrent(LRU(1, 4, 2), GaussianHead())
    assert len(model.state_names) == 10
    fitted = ss.fit(model, Y, ss.MAP(num_starts=1, max_iterations=3), progress=False)
    run = ss.filter(fitted)
    assert run.log_likelihood == pytest.approx(fitted.log_likelihood, abs=1e-9)  # by steps, and by the layer's scan
    h, previous = fitted.model.cell.start(), 0.0
    for t, value in enumerate(Y):
        h, _ = fitted.model.cell.step(h, jnp.array([previous]))
        np.testing.assert_allclose(run.mean[t], h, rtol=1e-9, atol=1e-12)
        previous = (value - Y.mean()) / float(fitted.model.head.unit[0])


HEADS = {
    "gaussian": (lambda: GaussianHead(), Y),
    "varying": (lambda: GaussianHead(varying_scale=True), Y),
    "student": (lambda: StudentTHead(), Y),
    "poisson": (lambda: PoissonHead(), np.floor(np.abs(Y))),
    "bernoulli": (lambda: BernoulliHead(), (Y > 0).astype(float)),
    "categorical": (lambda: CategoricalHead(3), np.arange(25) * 7 % 3.0),
    "mixture": (lambda: MixtureHead(2), Y),
    "pair": (lambda: GaussianHead(varying_scale=True), np.column_stack([Y, Y[::-1] * 3])),
}


def expected_density(kind, model, y, signals):
    """Log densities written out with SciPy."""
    level, unit = np.asarray(model.head.level), np.asarray(model.head.unit)
    norm, soft = scipy.stats.norm, lambda v: np.log1p(np.exp(v))
    if kind in ("varying", "pair"):
        return norm.logpdf(y, level + unit * signals[0], unit * soft(signals[1]))
    if kind == "gaussian":
        return norm.logpdf(y, level + unit * signals[0], np.asarray(model.head.scale))
    if kind == "student":
        return scipy.stats.t.logpdf(y, float(model.head.df), level + unit * signals[0], np.asarray(model.head.scale))
    if kind == "poisson":
        return scipy.stats.poisson.logpmf(y, np.maximum(level, 0.5) * np.exp(signals[0]))
    if kind == "bernoulli":
        return scipy.stats.bernoulli.logpmf(y, 1 / (1 + np.exp(-signals[0])))
    if kind == "categorical":
        logits = np.r_[0.0, signals[:, 0]]
        return logits[int(y[0])] - np.log(np.exp(logits).sum())
    w, m, v = np.split(signals, 3)
    p = np.exp(w) / np.exp(w).sum(axis=0)
    return np.log(np.sum(p * norm.pdf(y, level + unit * m, unit * soft(v)), axis=0))


def known(kind, y):
    """A model with that head, its parameters drawn, tied to the data."""
    series = y.shape[1]
    model = Recurrent(GRU(3 if kind == "categorical" else series, 3, key=KEY), HEADS[kind][0]())
    binding = Binding(("a", "b")[:series], (), (), None, level=(1.0, 2.0)[:series], scale=(3.0, 2.0)[:series])
    model, rng, values = model.bind(binding), np.random.default_rng(5), {}
    for path in unknown(model):
        draw = 0.5 * rng.normal(size=parameters(model)[path].shape)
        values[path] = np.exp(draw) if path == "head.scale" else draw
    return replace(model, values | ({"head.df": 5.0} if kind == "student" else {}))


@pytest.mark.parametrize("kind", HEADS)
def test_heads(kind):
    """Terms against SciPy, draws, files, and what it does where an observation is missing."""
    y = np.asarray(HEADS[kind][1], float).reshape(25, -1)
    model = known(kind, y)
    run = ss.filter(model, y)
    outputs = np.asarray(run.mean)
    signals = outputs @ np.asarray(model.head.weights).T + np.asarray(model.head.bias)
    each = model.head.signals_per_series
    terms = [np.sum(expected_density(kind, model, row, s.reshape(each, -1))) for row, s in zip(y, signals, strict=True)]
    np.testing.assert_allclose(run.log_likelihood_terms, terms, rtol=1e-8)
    draws = ss.forecast(run, horizon=4, num_samples=200, key=0).draws
    assert draws.shape == (200, 4, y.shape[1])
    if kind in ("poisson", "bernoulli", "categorical"):
        assert np.all(draws == np.floor(draws))
    stored = rebuild(describe(model))
    assert jax.tree.structure(stored) == jax.tree.structure(model)


@pytest.mark.parametrize("kind", ["categorical", *(pytest.param(k, marks=pytest.mark.slow) for k in HEADS)])
def test_heads_fill_gaps(kind):
    """The mean over draws of a missing value is an integral that categories or quadrature give."""
    y = np.asarray(HEADS[kind][1], float).reshape(25, -1)[:6]
    model, gaps = known(kind, y), y.copy()
    gaps[3, 0] = np.nan
    found = ss.filter(model, gaps, TeacherForcing(num_particles=20000), key=0)
    if kind == "mixture":
        grid = np.linspace(-60, 60, 20001)
    elif kind in ("poisson", "bernoulli", "categorical"):
        grid = np.arange({"poisson": 200, "bernoulli": 2, "categorical": 3}[kind])
    else:
        grid = np.linspace(-80, 80, 20001)
    spacing = grid[1] - grid[0]

    def filled(value):
        return ss.log_likelihood(model, jnp.asarray(y).at[3, 0].set(value))

    exact = jax.nn.logsumexp(jax.jit(jax.vmap(filled))(jnp.asarray(grid, float)) + np.log(spacing))
    assert abs(found.log_likelihood - float(exact)) < max(4 * found.log_likelihood_se, 1e-6)


def test_data_set_level_and_unit_once():
    """A model means the same for any unit of the data, and keeps what it was first tied to."""

    def make(unit):
        return Recurrent(GRU(1, 2, key=KEY), GaussianHead([[1.0, -1.0]], [0.3], [0.5 * unit]))

    first, second = ss.filter(make(1.0), Y), ss.filter(make(1000.0), 100 + 1000 * Y)
    assert first.log_likelihood == pytest.approx(second.log_likelihood + 25 * np.log(1000), abs=1e-8)
    np.testing.assert_allclose(first.model.head.level, Y.mean())
    other = ss.filter(first, Y[:10] + 5)
    np.testing.assert_array_equal(other.model.head.level, first.model.head.level)
    with pytest.raises(ValueError, match="no level and no data to take it from"):
        jax.jit(lambda y: ss.log_likelihood(make(1.0), y))(jnp.asarray(Y))


def test_what_comes_before_the_first_observation():
    cell = GRU(1, 3, key=KEY)
    neutral = ss.filter(Recurrent(cell, head()), Y)
    given = ss.filter(Recurrent(cell, head(), previous=[0.0]), Y)  # the level is zero here
    other = ss.filter(Recurrent(cell, head(), previous=[2.0]), Y)
    np.testing.assert_array_equal(neutral.log_likelihood_terms, given.log_likelihood_terms)
    assert neutral.log_likelihood_terms[0] != other.log_likelihood_terms[0]
    learns = Recurrent(cell, GaussianHead([[0.5, -1.0, 0.3]], [0.1], [0.5]), previous="learn")
    assert unknown(learns) == ["before"]
    assert float(ss.default_priors(learns, Y)["before"].loc[0]) == pytest.approx(Y.mean())
    learnt = replace(Recurrent(cell, head(), previous="learn"), {"before": [2.0]})
    np.testing.assert_array_equal(ss.filter(learnt, Y).log_likelihood_terms, other.log_likelihood_terms)


def test_priors_are_the_cells_own():
    found = ss.default_priors(Recurrent(GRU(1, 4), GaussianHead()), Y)
    assert list(found) == [
        "cell.input_weights",
        "cell.recurrent_weights",
        "cell.bias",
        "cell.recurrent_bias",
        "head.weights",
        "head.bias",
        "head.scale",
    ]
    np.testing.assert_allclose(found["cell.recurrent_weights"].scale, 0.5)
    assert found["head.scale"].batch_shape == (1,)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ss.filter(Recurrent(GRU(2, 3, key=KEY), head()), Y), "the cell takes 2 inputs, but it is fed 1"),
        (lambda: Recurrent(GRU(1, 4, key=KEY), head()), "the head's weights have shape \\(1, 3\\)"),
        (lambda: Recurrent(GRU(1, 3, key=KEY), head(), noise=-1.0), "standard deviations above 0"),
        (lambda: Recurrent(GRU(1, 3, key=KEY), head(), noise=[1.0, 1.0]), "for each of the 3 elements"),
        (lambda: Recurrent(GRU(1, 3, key=KEY), head(), previous="mean"), 'previous is "learn"'),
        (lambda: Recurrent(GRU(1, 3), head(), feedback=False, previous=[1.0]), "belongs to feedback=True"),
        (lambda: GaussianHead(scale=1.0, varying_scale=True), "give one of them"),
        (lambda: GaussianHead(unit=0.0), "unit is 0.0"),
        (lambda: GaussianHead([1.0]), "weights are a matrix"),
        (lambda: MixtureHead(2, jnp.ones((4, 1))), "the same multiple of 6"),
        (lambda: CategoricalHead(1), "at least 2 categories"),
        (lambda: MixtureHead(1), "at least 2 components"),
        (lambda: ss.filter(Recurrent(GRU(1, 3, key=KEY), PoissonHead(jnp.ones((1, 3)), [0.0])), Y), "expects counts"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_wrong_kinds():
    with pytest.raises(TypeError, match="takes a cell and a head"):
        Recurrent(GaussianHead(), GRU(1, 3))
