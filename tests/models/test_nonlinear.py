"""Nonlinear models of their fields: laws against SciPy, likelihoods against histogram filters, verbs and the door."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logsumexp

import statespace as ss
from statespace.core.draws import sample_each
from statespace.core.parameters import parameters, unknown
from statespace.core.step import make_steps
from statespace.models.specification import describe, rebuild

INDEX = pd.date_range("2021-03-01", periods=30, freq="MS")
START = ss.InitialLaw.gaussian([3.0, 5.0, -0.2, 0.1], [1.0, 1.0, 0.1, 0.1])
MODELS = {
    "volatility": lambda: ss.StochasticVolatility(-1.0, 0.95, 0.25),
    "heavy": lambda: ss.StochasticVolatility(-1.0, 0.95, 0.25, 5.0),
    "leverage": lambda: ss.LeverageVolatility(-1.0, 0.9, 0.4, -0.6),
    "gompertz": lambda: ss.Gompertz(0.2, 2.0, 0.1, 0.15, 1.0),
    "theta": lambda: ss.ThetaLogistic(0.2, 2.0, 1.5, 0.1, 0.15, 1.0),
    "ricker": lambda: ss.Ricker(10.0, 0.3, 4.0, 3.0),
    "growth": lambda: ss.NonlinearGrowth(10**0.5, 1.0),
    "sir": lambda: ss.SIR(500, 0.9, 0.3, infected=5, reporting=0.6, concentration=20.0, dt=0.25),
    "bearings": lambda: ss.BearingsOnly([[0.0, 0.0], [4.0, 0.0]], START, 0.02, 0.05),
}
PF = ss.BootstrapFilter(4000)
GRIDDED = ("volatility", "gompertz", "theta", "growth")


def some(*often):
    """The named models every day, the others with the long studies."""
    return [name if name in often else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]


@functools.lru_cache
def simulated(name, length, seed):
    return ss.simulate(MODELS[name](), length, key=seed).y.values[0].astype(float)


def made(name, length=30, seed=3):
    return simulated(name, length, seed).copy()


def anything(name, length=30):
    """Data that the model takes."""
    rng = np.random.default_rng(0)
    columns = MODELS[name]().num_series
    if name == "sir":
        return np.round(45 * np.exp(-(((np.arange(length) - 9.0) / 5.0) ** 2)))[:, None]
    if name == "ricker":
        return rng.poisson(20, (length, columns)).astype(float)
    noise = rng.normal(size=(length, columns))
    return np.exp(0.3 * noise) if name in ("gompertz", "theta") else np.clip(noise, -3.0, 3.0)


def step_at(t, previous=None):
    steps = make_steps(40)[t]
    return steps if previous is None else type(steps)(steps.index, steps.time, previous=jnp.array([previous]))


# --- every model through the verbs ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", some("leverage", "sir"))
def test_the_verbs_serve(name, key):
    model = MODELS[name]()
    y = pd.DataFrame(anything(name) if name in ("leverage", "sir") else made(name), INDEX)
    y.columns = [f"s{i}" for i in range(y.shape[1])]
    y.iloc[[4, 11]] = np.nan
    found = ss.filter(model, y, ss.BootstrapFilter(300), key=key)
    assert np.isfinite(found.log_likelihood)
    assert found.log_likelihood_terms[4] == 0.0
    assert found.mean.shape == (30, len(model.state_names))
    ahead = ss.forecast(found, horizon=3, num_samples=100, key=key)
    assert ahead.mean.shape == (3, y.shape[1])
    assert list(ahead.index) == list(pd.date_range("2023-09-01", periods=3, freq="MS"))
    again = rebuild(describe(model))
    assert list(parameters(again)) == list(parameters(model))
    assert ss.log_likelihood(again, y, ss.BootstrapFilter(300), key=key) == pytest.approx(found.log_likelihood)


@pytest.mark.parametrize("name", MODELS)
def test_priors_are_proper_and_inside_the_supports(name, key):
    model = MODELS[name]()
    priors = ss.default_priors(model, anything(name))
    found = parameters(model)
    assert set(priors) == set(found)
    for path, prior in priors.items():
        draws = prior.sample(key, (200,))
        assert bool(jnp.all(found[path].constraint(draws))), path
        assert bool(jnp.all(jnp.isfinite(prior.log_prob(draws)))), path


# --- histogram filters ---------------------------------------------------------------------------------------


def histogram(first, move, density, y, x):
    """log p(y) for a state on a grid: laws as matrices of densities times the grid's width."""
    log_a = first
    total = 0.0
    for t in range(len(y)):
        if t:
            log_a = logsumexp(log_a[:, None] + move(t), axis=0)
        log_a = log_a + (0.0 if np.isnan(y[t]) else density(y[t], x))
        top = logsumexp(log_a)
        total, log_a = total + top, log_a - top
    return total


def normal_moves(x, mean, sd):
    """log p(x' | x) dx with the mass of what leaves the grid put back."""
    log_p = stats.norm.logpdf(x[None], mean[:, None], sd)
    return log_p - logsumexp(log_p, axis=1, keepdims=True)


def normal_first(x, mean, sd):
    log_p = stats.norm.logpdf(x, mean, sd)
    return log_p - logsumexp(log_p)


def exact(name, y):
    """The likelihood by histogram, written from the equations with NumPy."""
    if name in ("volatility", "heavy", "leverage"):
        rho, s = (0.9, 0.4) if name == "leverage" else (0.95, 0.25)
        lev = -0.6 if name == "leverage" else 0.0
        x = np.linspace(-6.0, 4.0, 700)
        law = stats.t(5.0) if name == "heavy" else stats.norm()
        first = normal_first(x, -1.0, s / np.sqrt(1 - rho**2))

        def move(t):
            shock = 0.0 if name != "leverage" else lev * s * y[t - 1] * np.exp(-x / 2)
            return normal_moves(x, -1.0 + rho * (x + 1.0) + shock, s * np.sqrt(1 - lev**2))

        return histogram(first, move, lambda v, g: law.logpdf(v / np.exp(g / 2)) - g / 2, y, x)
    if name in ("gompertz", "theta"):
        x = np.linspace(-1.5, 2.0, 700)
        if name == "gompertz":
            fade = np.exp(-0.2)
            drift = lambda g: fade * g + (1 - fade) * np.log(2.0)  # noqa: E731
        else:
            drift = lambda g: g + 0.2 * (1 - (np.exp(g) / 2.0) ** 1.5)  # noqa: E731
        moves = normal_moves(x, drift(x), 0.1)
        density = lambda v, g: stats.lognorm.logpdf(v, 0.15, scale=np.exp(g))  # noqa: E731
        return histogram(normal_first(x, drift(0.0), 0.1), lambda t: moves, density, y, x)
    if name == "ricker":
        x = np.linspace(-9.0, 4.0, 1200)
        moves = normal_moves(x, np.log(10.0) + x - np.exp(x), 0.3)
        first = np.where(np.arange(len(x)) == np.abs(x - np.log(3.0)).argmin(), 0.0, -np.inf)
        x[np.isfinite(first)] = np.log(3.0)
        return histogram(first, lambda t: moves, lambda v, g: stats.poisson.logpmf(v, 4.0 * np.exp(g)), y, x)
    x = np.linspace(-40.0, 40.0, 900)
    map_ = x / 2 + 25 * x / (1 + x**2)
    first = normal_first(x, 0.0, 5**0.5)
    move = lambda t: normal_moves(x, map_ + 8 * np.cos(1.2 * t), 10**0.5)  # noqa: E731
    return histogram(first, move, lambda v, g: stats.norm.logpdf(v, g**2 / 20, 1.0), y, x)


@pytest.mark.parametrize(
    "name",
    [*("heavy", "leverage", "ricker"), *(pytest.param(n, marks=pytest.mark.slow) for n in GRIDDED)],
)
def test_the_likelihood_is_that_of_a_histogram_filter(name, key):
    y = made(name)[:, 0]
    if name != "leverage":
        y[[5, 12]] = np.nan
    runs = np.array([ss.log_likelihood(MODELS[name](), y, PF, key=k) for k in range(6)])
    found = logsumexp(runs) - np.log(6)
    error = np.exp(runs - found).std(ddof=1) / np.sqrt(6)
    assert found == pytest.approx(exact(name, y), abs=4 * error + 0.02)
    assert error < 0.15


# --- volatility ----------------------------------------------------------------------------------------------


def test_moments_of_the_statistic_with_heavy_tails(key):
    model = MODELS["heavy"]()
    z = np.log(stats.t(5.0).rvs(400_000, random_state=1) ** 2)
    mean, variance = model.signal_moments(jnp.array([0.7]), step_at(0))
    assert float(mean[0]) == pytest.approx(0.7 + z.mean(), abs=0.02)
    assert float(variance[0]) == pytest.approx(z.var(), rel=0.02)
    plain = MODELS["volatility"]().signal_moments(jnp.array([0.7]), step_at(0))
    many = ss.StochasticVolatility(-1.0, 0.95, 0.25, 1e7).signal_moments(jnp.array([0.7]), step_at(0))
    np.testing.assert_allclose(many, plain, rtol=1e-5)


def test_volatility_is_the_sum_of_its_components():
    y = anything("volatility")[:, 0]
    ar = ss.AutoRegressive(1, [0.95], 0.25) + ss.LogVolatility()
    scaled = ss.log_likelihood(ar, y / np.exp(-0.5), ss.ExtendedKalman()) - len(y) * -0.5
    found = ss.log_likelihood(MODELS["volatility"](), y, ss.ExtendedKalman())
    assert found == pytest.approx(scaled, abs=1e-9)


def test_leverage_is_the_correlation_of_the_shocks():
    model = ss.LeverageVolatility(-1.0, 0.9, 0.4, -0.6)
    draws = ss.simulate(model, 4000, key=0)
    x, y = draws.states.values[0, :, 0], draws.y.values[0, :, 0]
    u = y[:-1] * np.exp(-x[:-1] / 2)
    e = (x[1:] + 1.0 - 0.9 * (x[:-1] + 1.0)) / 0.4
    assert np.corrcoef(u, e)[0, 1] == pytest.approx(-0.6, abs=0.04)
    assert e.std() == pytest.approx(1.0, abs=0.04)
    assert x.std() == pytest.approx(0.4 / np.sqrt(1 - 0.81), rel=0.1)


def test_a_return_of_zero_is_for_particles_or_an_offset(key):
    y = anything("volatility")[:, 0]
    y[7] = 0.0
    assert np.isfinite(ss.log_likelihood(MODELS["volatility"](), y, PF, key=key))
    for method in (ss.ExtendedKalman(), ss.PosteriorLinearisation()):
        with pytest.raises(ValueError, match=r"stamp 7 .* is 0; .* pass offset= to StochasticVolatility"):
            ss.filter(MODELS["volatility"](), y, method)
    raised = ss.StochasticVolatility(-1.0, 0.95, 0.25, offset=0.01)
    assert np.isfinite(ss.log_likelihood(raised, y, ss.ExtendedKalman()))


# --- populations ---------------------------------------------------------------------------------------------


def test_moments_of_log_are_exact_for_gompertz():
    """The Kalman filter of the logarithms, and the Jacobian."""
    y = made("gompertz")[:, 0]
    y[[3, 4]] = np.nan
    fade = np.exp(-0.2)
    linear = ss.LinearGaussian(
        [[fade]], [0.1], [[1.0]], [0.15],
        initial_mean=[(1 - fade) * np.log(2.0)], initial_scale=[0.1], transition_offset=[(1 - fade) * np.log(2.0)],
    )  # fmt: skip
    expected = ss.log_likelihood(linear, np.log(y)) - np.nansum(np.log(y))
    for method in (ss.ExtendedKalman(), ss.UnscentedKalman(), ss.PosteriorLinearisation()):
        assert ss.log_likelihood(MODELS["gompertz"](), y, method) == pytest.approx(expected, abs=1e-9)
    assert expected == pytest.approx(exact("gompertz", y), abs=1e-3)


@pytest.mark.slow
def test_populations_learn(key):
    y = pd.Series(made("gompertz", 120)[:, 0], name="size")
    method = ss.MaximumLikelihood(filter=ss.ExtendedKalman(), num_starts=1)
    fitted = ss.fit(ss.Gompertz(), y, method, fixed={"start": 1.0}, progress=False)
    assert fitted.log_likelihood > ss.log_likelihood(MODELS["gompertz"](), y, ss.ExtendedKalman())
    z = np.log(fitted.estimates["capacity"] / 2.0) / (fitted.standard_errors["capacity"] / 2.0)
    assert abs(float(z)) < 3.5
    assert np.all(ss.forecast(fitted, horizon=2, num_samples=50, key=key).draws > 0)


def test_limits_of_theta_logistic():
    """Theta 1 is the logistic growth; r / theta with theta to 0 is Gompertz's deviation from capacity."""
    x, step = jnp.array([0.3]), step_at(1)
    logistic = ss.ThetaLogistic(0.2, 2.0, 1.0, 0.1, 0.1, 1.0).drift(x, step)
    assert float(logistic[0]) == pytest.approx(0.3 + 0.2 * (1 - np.exp(0.3) / 2.0))
    small = ss.ThetaLogistic(0.2 / 1e-6, 2.0, 1e-6, 0.1, 0.1, 1.0).drift(x, step)
    assert float(small[0]) == pytest.approx(0.3 - 0.2 * (0.3 - np.log(2.0)), abs=1e-5)


# --- bearings ------------------------------------------------------------------------------------------------


def test_bearings_do_not_break_at_pi():
    model = MODELS["bearings"]()
    behind = jnp.array([-3.0, 1e-9, 0.0, 0.0])
    law = model.emission(behind, step_at(1))
    near, far = (law.log_prob(jnp.array([a, 0.0])) for a in (np.pi - 0.02, 0.02 - np.pi))
    assert float(near) == pytest.approx(float(far), abs=1e-6)
    one = float(model.emission(jnp.array([3.0, 5.0, 0, 0]), step_at(1)).log_prob(jnp.array([1.1, 1.8])))
    expected = sum(
        stats.vonmises.logpdf(y, 400.0, loc=a) for y, a in ((1.1, np.arctan2(5, 3)), (1.8, np.arctan2(5, -1)))
    )
    assert one == pytest.approx(expected, abs=1e-6)


def test_the_target_moves_as_an_integrated_brownian_motion():
    model = MODELS["bearings"]()
    dt = 2.5
    step = type(step_at(1))(jnp.ones((), int), jnp.asarray(dt), jnp.asarray(dt))
    factor = model.transition_matrices(step).factor
    block = 0.02**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
    np.testing.assert_allclose(factor @ factor.T, np.kron(block, np.eye(2)), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(model.propagate(jnp.array([1.0, 2.0, 0.3, -0.1]), step), [1.75, 1.75, 0.3, -0.1])


def test_a_carried_sensor_is_one_that_moves(key):
    y = anything("bearings")[:, :1]
    fixed = ss.BearingsOnly([[1.0, 2.0]], START, 0.02, 0.05)
    carried = ss.BearingsOnly([[0.0, 0.0]], START, 0.02, 0.05, carrier=("east", "north"))
    path = pd.DataFrame({"north": np.full(30, 2.0), "east": np.full(30, 1.0)})
    method = ss.BootstrapFilter(200)
    found = ss.log_likelihood(carried, pd.DataFrame(y), method, inputs=path, key=key)
    assert found == pytest.approx(ss.log_likelihood(fixed, y, method, key=key), abs=1e-9)


def test_bearings_find_the_target(key):
    draws = ss.simulate(MODELS["bearings"](), 30, key=5)
    y, path = draws.y.values[0], draws.states.values[0]
    found = ss.filter(MODELS["bearings"](), y, ss.BootstrapFilter(5000), key=key)
    z = (path[-1] - found.mean[-1]) / found.sd[-1]
    assert np.abs(z).max() < 4
    assert found.sd[-1, :2].max() < 0.7 < found.sd[0, :2].max() + 0.5


# --- epidemics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", ["multinomial", "poisson"])
def test_people_are_conserved_and_counts_start_anew(steps, key):
    model = ss.SIR(400, 1.2, 0.4, infected=4, reporting=0.5, law="poisson", steps=steps, dt=0.2)
    path = [model.initial(step_at(0)).sample(key, (50,))]
    np.testing.assert_array_equal(path[0][:, 3], 396 - path[0][:, 0])
    move = jax.jit(lambda x, k: sample_each(lambda z: model.transition(z, step_at(1)), x, k))
    for i in range(20):
        path.append(move(path[-1], jax.random.fold_in(key, i)))
    s, i, r, new, gone = np.moveaxis(np.array(path), 2, 0)
    assert np.array_equal(path, np.round(path))
    assert min(s.min(), i.min(), r.min()) >= 0
    np.testing.assert_array_equal(s + i + r, 400)
    np.testing.assert_array_equal(new[1:], s[:-1] - s[1:])
    np.testing.assert_array_equal(gone[1:], r[1:] - r[:-1])
    assert gone.max() > 20


@pytest.mark.parametrize("steps", ["multinomial", "poisson"])
def test_births_keep_the_population(steps, key):
    model = ss.SIR(1000, 1.2, 0.4, infected=0.1, reporting=0.5, law="poisson", birth_rate=0.1, steps=steps, dt=0.1)
    x = jnp.array([300.0, 100.0, 200.0, 9.0, 9.0])
    law = model.transition(x, step_at(3))
    draws = np.asarray(law.sample(key, (20000,)))
    total = draws[:, :3].sum(axis=1)
    expected = 1000 - 400 * np.exp(-0.1)
    assert total.mean() == pytest.approx(expected, abs=1.5)  # to the first order in dt
    np.testing.assert_allclose(draws.mean(axis=0), law.mean, rtol=0.01 if steps == "multinomial" else 0.03)


def test_one_step_has_the_moments_of_its_binomials(key):
    model = ss.SIR(500, 0.9, 0.3, infected=5, reporting=0.6, concentration=20.0, dt=1.0)
    x = jnp.array([300.0, 120.0, 80.0, 7.0, 7.0])
    draws = np.asarray(model.transition(x, step_at(3)).sample(key, (40000,)))
    p, q = 1 - np.exp(-0.9 * 120 / 500), 1 - np.exp(-0.3)
    for column, n, chance in ((3, 300, p), (4, 120, q)):
        mean, sd = n * chance, np.sqrt(n * chance * (1 - chance))
        assert draws[:, column].mean() == pytest.approx(mean, abs=5 * sd / 200)
        assert draws[:, column].std() == pytest.approx(sd, rel=0.02)
    assert abs(np.corrcoef(draws[:, 3], draws[:, 4])[0, 1]) < 0.025


def test_a_season_moves_the_rate():
    options = {"infected": 50, "reporting": 0.5, "law": "poisson", "dt": 0.01}
    model = ss.SIR(10**6, 0.5, 0.2, amplitude=0.8, peak=3.0, season=12.0, **options)
    x = jnp.array([9e5, 100.0, 1e5 - 100, 0, 0])
    growth = [float(model.transition(x, step_at(t)).mean[3]) for t in (1, 3, 9)]
    hours = np.arange(2, 3, 1e-3)
    swing = 1 + 0.8 * np.cos(2 * np.pi * (hours - 3.0) / 12)
    rate = 0.5 * 0.9 * swing - 0.2
    infectious = 100 * np.exp(np.cumsum(rate) * 1e-3)
    assert growth[1] == pytest.approx((0.45 * swing * infectious).sum() * 1e-3, rel=0.01)
    assert growth[1] > growth[0] > growth[2]


def chain_likelihood(y, people, beta, gamma, infected, reporting):
    """The exact likelihood of counts of infections, one step a stamp, by the forward sum over (S, I)."""
    alpha = {(people - infected, infected): 1.0}
    total = 0.0
    for count in y:
        new = {}
        for (s, i), a in alpha.items():
            p, q = 1 - np.exp(-beta * i / people), 1 - np.exp(-gamma)
            for d in range(s + 1):
                seen = stats.poisson.pmf(count, reporting * d) if d else float(count == 0)
                for r in range(i + 1):
                    w = a * seen * stats.binom.pmf(d, s, p) * stats.binom.pmf(r, i, q)
                    if w:
                        new[s - d, i + d - r] = new.get((s - d, i + d - r), 0.0) + w
        mass = sum(new.values())
        total, alpha = total + np.log(mass), {k: v / mass for k, v in new.items()}
    return total


def test_the_likelihood_of_a_small_epidemic_is_the_sum_over_its_paths():
    y = np.array([1.0, 2.0, 2.0, 1.0])
    model = ss.SIR(10, 1.1, 0.5, infected=2, reporting=0.7, law="poisson", dt=1.0)
    runs = np.array([ss.log_likelihood(model, y, PF, key=k) for k in range(8)])
    found = logsumexp(runs) - np.log(8)
    assert found == pytest.approx(chain_likelihood(y, 10, 1.1, 0.5, 2, 0.7), abs=0.02)


@pytest.mark.slow
def test_irregular_stamps_pass_in_steps_of_their_own(key):
    days = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-09", "2020-01-10"])
    y = pd.Series([3.0, 5.0, 90.0, 30.0], days)
    model = ss.SIR(500, 0.9, 0.3, infected=5, reporting=0.6, concentration=20.0, dt=0.25)
    found = ss.filter(model, y, PF, key=key)
    dense = y.reindex(pd.date_range(days[0], days[-1], freq="D"))
    daily = ss.filter(
        ss.SIR(500, 0.9, 0.3, infected=5, reporting=0.6, concentration=20.0, dt=0.25), dense[:2], PF, key=key
    )
    np.testing.assert_allclose(found.mean[1], daily.mean[1], rtol=0.1)
    assert found.mean[2, 3] > 2 * found.mean[3, 3]  # a week's infections against a day's


def test_counts_may_be_binomial_or_of_the_infectious(key):
    x = jnp.array([300.0, 120.0, 80.0, 7.0, 4.0])
    binomial = ss.SIR(500, 0.9, 0.3, infected=5, reporting=0.6, law="binomial")
    assert float(binomial.emission(x, step_at(1)).log_prob(5)) == pytest.approx(stats.binom.logpmf(5, 7, 0.6), rel=1e-6)
    poisson = ss.SIR(500, 0.9, 0.3, infected=5, reporting=0.6, law="poisson", counts="infectious")
    assert float(poisson.emission(x, step_at(1)).log_prob(70)) == pytest.approx(
        stats.poisson.logpmf(70, 72.0), rel=1e-6
    )
    negative = ss.SIR(500, 0.9, 0.3, infected=5, reporting=0.6, concentration=9.0, counts="recoveries")
    expected = stats.nbinom.logpmf(5, 9.0, 9.0 / (9.0 + 2.4))
    assert float(negative.emission(x, step_at(1)).log_prob(5)) == pytest.approx(expected, rel=1e-6)


def test_what_needs_a_density_is_refused_with_advice(key):
    model, y = MODELS["sir"](), anything("sir")
    with pytest.raises(TypeError, match=r"has no density: use a BootstrapFilter .* smoother=\"genealogy\""):
        ss.smooth(model, y, ss.BootstrapFilter(100), key=key)
    with pytest.raises(TypeError, match=r"pass one of BootstrapFilter\(\), AuxiliaryFilter\(\)"):
        ss.filter(model, y, ss.ExtendedKalman())
    smoothed = ss.smooth(model, y, ss.BootstrapFilter(300, smoother="genealogy"), key=key)
    np.testing.assert_allclose(smoothed.mean[:, :3].sum(axis=1), 500, rtol=1e-6)
    assert np.isfinite(ss.log_likelihood(model, y, ss.AuxiliaryFilter(300), key=key))


def test_parameters_that_are_held_are_no_parameters():
    assert unknown(ss.SIR(100)) == ["transmission_rate", "recovery_rate", "infected", "reporting", "concentration"]
    full = ss.SIR(100, immune=None, birth_rate=None, amplitude=None, season=12.0, law="poisson", reporting=1.0)
    assert unknown(full)[2:] == ["infected", "immune", "birth_rate", "amplitude", "peak"]
    assert unknown(ss.StochasticVolatility()) == ["mean", "persistence", "scale"]
    assert unknown(ss.StochasticVolatility(df=None))[-1] == "df"


# --- the door ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ss.StochasticVolatility(0.0, 1.0, 0.1), "persistence is 1.0, expected a number inside"),
        (lambda: ss.StochasticVolatility(df=2.0), "df is 2.0, expected more than 2"),
        (lambda: ss.StochasticVolatility(offset=-1.0), "offset is -1.0"),
        (lambda: ss.LeverageVolatility(0.0, 0.9, 0.1, 1.0), "leverage is 1.0, expected a correlation"),
        (lambda: ss.Ricker(crowding=0.0), "crowding is 0.0"),
        (lambda: ss.NonlinearGrowth(start_scale=0.0), "start_scale is 0.0"),
        (lambda: ss.SIR(10.5), "population is 10.5, expected a whole number"),
        (lambda: ss.SIR(10, dt=2.0), "dt is 2.0, expected the length of a step"),
        (lambda: ss.SIR(10, counts="cases"), "counts='cases' is unknown: choose one of infections"),
        (lambda: ss.SIR(10, amplitude=0.5), "an amplitude needs the season's length"),
        (lambda: ss.SIR(10, law="binomial", concentration=1.0), "belongs to the negative binomial law"),
        (lambda: ss.BearingsOnly([0.0, 0.0, 0.0], START), r"sensors has shape \(3,\)"),
        (lambda: ss.BearingsOnly([0.0, 0.0], ss.InitialLaw.diffuse_law(4)), "a proper normal law of x, y, vx, vy"),
        (lambda: ss.BearingsOnly([0.0, 0.0], START, carrier="ship"), "carrier names two input columns"),
    ],
)  # fmt: skip
def test_bad_models_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("gompertz", 0.0, "Gompertz expects numbers above 0"),
        ("ricker", 2.5, "Ricker expects whole numbers"),
        ("sir", -1.0, "SIR expects whole numbers"),
        ("bearings", 4.0, "BearingsOnly expects angles in radians"),
    ],
)
def test_bad_values_are_named(name, bad, message, key):
    y = anything(name)
    y[2, 0] = bad
    with pytest.raises(ValueError, match=message):
        ss.filter(MODELS[name](), y, PF, key=key)


@pytest.mark.parametrize("name", ["volatility", "leverage", "gompertz", "ricker", "growth"])
def test_irregular_stamps_are_refused(name, key):
    days = pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-09"])
    with pytest.raises(ValueError, match="counts periods"):
        ss.filter(MODELS[name](), pd.Series(anything(name)[:3, 0], days), PF, key=key)
