"""Published values inside the statsmodels wheel (KFAS, Stata, R), and statsmodels itself.

KFAS leaves out -0.5 log 2 pi for each diffuse element. Its filtered covariances Ptt are known to be wrong,
and so are the states at a stamp where an ordinary element follows a diffuse one (cases "mixed", "dfm",
"restricted"; statsmodels has the smoothed state wrong there too if matrices vary): the dense normal agrees
with ours, and these are left out.
"""

import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from inference.problems import log_likelihood, problem_of
from oracles import Dense
from outside.peers import HALF_LOG_2PI, from_statsmodels

import statespace as ss
from statespace.inference.analysis import filter_arrays, smoother_arrays
from statespace.models.initial import InitialLaw
from statespace.models.linear import LinearGaussian
from statespace.models.structural import (
    AutoRegressive,
    Cycle,
    LocalLevel,
    LocalLinearTrend,
    Noise,
    Regression,
    Seasonal,
)

sm_tests = pytest.importorskip("statsmodels.tsa.statespace.tests")
from statsmodels.datasets import macrodata  # noqa: E402
from statsmodels.tsa.statespace.dynamic_factor import DynamicFactor  # noqa: E402
from statsmodels.tsa.statespace.initialization import Initialization  # noqa: E402
from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother  # noqa: E402
from statsmodels.tsa.statespace.structural import UnobservedComponents  # noqa: E402
from statsmodels.tsa.statespace.tests.results import (  # noqa: E402
    results_dynamic_factor,
    results_structural,
    results_varmax,
)
from statsmodels.tsa.statespace.varmax import VARMAX  # noqa: E402

RESULTS = Path(results_structural.__file__).parent


def test_the_release_is_the_pinned_one():
    import statsmodels

    assert statsmodels.__version__.startswith("0.15")


# --- structural models of quarterly unemployment (KFAS) ---------------------------------------------------


def sd(variance):
    return float(np.sqrt(variance))


def trend(level, slope):
    return LocalLinearTrend(sd(level), sd(slope))


STRUCTURAL = {
    "irregular": lambda v: LocalLevel(0.0, initial=InitialLaw.known([0.0])) + Noise(sd(v[0])),
    "deterministic_constant": lambda v: LocalLevel(0.0) + Noise(sd(v[0])),
    "local_level": lambda v: LocalLevel(sd(v[1])) + Noise(sd(v[0])),
    "random_walk": lambda v: LocalLevel(sd(v[0])) + Noise(0.0),
    "deterministic_trend": lambda v: trend(0, 0) + Noise(sd(v[0])),
    "local_linear_deterministic_trend": lambda v: trend(v[1], 0) + Noise(sd(v[0])),
    "random_walk_with_drift": lambda v: trend(v[0], 0) + Noise(0.0),
    "local_linear_trend": lambda v: trend(v[1], v[2]) + Noise(sd(v[0])),
    "smooth_trend": lambda v: trend(0, v[1]) + Noise(sd(v[0])),
    "random_trend": lambda v: trend(0, v[0]) + Noise(0.0),
    "cycle": lambda v: Cycle(2 * np.pi / v[2], scale=sd(v[1]), damped=False) + Noise(sd(v[0])),
    "seasonal": lambda v: Seasonal(4, scale=sd(v[1])) + Noise(sd(v[0])),
    "freq_seasonal": lambda v: Seasonal(5, form="trigonometric", scale=sd(v[1])) + Noise(sd(v[0])),
    "reg": lambda v: Regression(["log_gdp"]) + Noise(sd(v[0])),
    "rtrend_ar1": lambda v: trend(0, v[0]) + AutoRegressive(1, [v[2]], sd(v[1])) + Noise(0.0),
    "lltrend_cycle_seasonal_reg_ar1": lambda v: (
        trend(v[1], v[2])
        + Seasonal(4, scale=sd(v[3]))
        + Cycle(2 * np.pi / v[6], scale=sd(v[4]), damped=False)
        + AutoRegressive(1, [v[7]], sd(v[5]))
        + Regression(["log_gdp"])
        + Noise(sd(v[0]))
    ),
}
DIFFUSE = {"irregular": 0, "deterministic_constant": 1, "local_level": 1, "random_walk": 1, "reg": 1}
DIFFUSE |= {"cycle": 2, "seasonal": 3, "freq_seasonal": 4, "lltrend_cycle_seasonal_reg_ar1": 8}


@pytest.fixture(scope="module")
def macro():
    return macrodata.load_pandas().data


@pytest.mark.parametrize("name", list(STRUCTURAL))
def test_structural_models_of_kfas(macro, name):
    published = getattr(results_structural, name)
    gdp = np.log(macro[["realgdp"]].to_numpy())
    problem = problem_of(STRUCTURAL[name](published["params"]), macro["unemp"], inputs=gdp, input_names=["log_gdp"])
    diffuse = sum(problem.model.initial_law(problem.steps[0]).diffuse)
    assert diffuse == DIFFUSE.get(name, 2)
    kfas = log_likelihood(problem) + diffuse * HALF_LOG_2PI
    assert kfas == pytest.approx(published["llf"], rel=1e-8 if "rtol" not in published else 1e-6, abs=1e-6)


def test_fixed_intercept_is_a_level_without_steps():
    first, second = results_structural.fixed_intercept, results_structural.deterministic_constant
    assert first["params"] == second["params"]
    assert first["llf"] == second["llf"]


# --- KFAS with an exact diffuse start: every moment, stamp by stamp -----------------------------------------


def representation(y, design, obs_cov, transition, selection, state_cov):
    y = np.asarray(y, float).reshape(len(y), -1)
    selection = np.asarray(selection, float)
    ssm = KalmanSmoother(k_endog=y.shape[1], k_states=len(transition), k_posdef=selection.shape[1])
    ssm.bind(np.ascontiguousarray(y))
    for name, value in zip(
        ("design", "obs_cov", "transition", "selection", "state_cov"),
        (design, obs_cov, transition, selection, state_cov),
        strict=True,
    ):
        ssm[name] = np.asarray(value, float)
    ssm.initialize(Initialization(ssm.k_states, "diffuse"))
    return ssm


def growth():
    levels = macrodata.load_pandas().data[["realgdp", "realcons"]]
    return (np.log(levels).iloc[:21].diff().iloc[1:] * 400).to_numpy()


def local_level():
    return representation([10.2394] + [1] * 9, [[1]], [[1.993]], [[1]], [[1]], [[8.253]])


def local_linear_trend(missing=False):
    y = [10.2394, np.nan if missing else 4.2039, 6.123123] + [1] * 7
    return representation(y, [[1, 0]], [[1.993]], [[1, 1], [0, 1]], np.eye(2), np.diag([8.253, 2.334]))


def common_level(restricted=False):
    y = np.column_stack([[10.2394] + [1] * 9, [8.2304] + [1] * 9])
    if restricted:
        return representation(y, [[1], [0.1111]], np.eye(2), [[1]], [[1]], [[3.2324]])
    return representation(y, [[1, 0], [0.1111, 1]], np.eye(2), np.eye(2), [[1], [0]], [[3.2324]])


def var1(noise=(0, 0), missing=False, mixed=False):
    y = growth()
    if missing:
        y[0:5, 0] = np.nan
        y[8:12, :] = np.nan
    ssm = representation(y, np.eye(2), np.diag(noise), [[0.5, 0.3], [0.2, 0.4]], np.eye(2), np.diag([2, 3]))
    if mixed:
        start = Initialization(2)
        start.set(0, "diffuse")
        start.set(1, "stationary")
        ssm.initialize(start)
    return ssm


def dynamic_factor():
    return representation(growth(), [[0.5, 0], [1, 0]], np.diag([1.5, 2]), [[0.9, 0.1], [1, 0]], [[1], [0]], [[1]])


EXACT_INITIAL = {
    "local_level": (local_level, 1, -23.0163218509),
    "local_linear_trend": (local_linear_trend, 2, -21.1364983872),
    "local_linear_trend_missing": (lambda: local_linear_trend(True), 2, -18.3036127436),
    "common_level": (common_level, 2, -51.9451615109),
    "common_level_restricted": (lambda: common_level(True), 1, -62.9698544760),
    "var1": (var1, 2, -167.4314975985),
    "var1_measurement_error": (lambda: var1((4, 5)), 2, -110.9160142993),
    "var1_missing": (lambda: var1(missing=True), 2, -85.7656323069),
    "var1_mixed": (lambda: var1(mixed=True), 1, -174.2210167599),
    "dfm": (dynamic_factor, 2, -167.1358334004),
}
KFAS_WRONG_UNTIL = {"var1_mixed": 2, "dfm": 2, "common_level_restricted": 1}


@pytest.fixture(scope="module", params=list(EXACT_INITIAL))
def exact(request):
    make, diffuse, printed = EXACT_INITIAL[request.param]
    ssm = make()
    y = np.asarray(ssm.endog).T
    problem = problem_of(from_statsmodels(ssm), y)
    return SimpleNamespace(
        name=request.param, ssm=ssm, y=y, problem=problem, diffuse=diffuse, printed=printed,
        kfas=pd.read_csv(RESULTS / f"results_exact_initial_{request.param}_R.csv"),
        skip=KFAS_WRONG_UNTIL.get(request.param, 0),
        filtered=filter_arrays(problem, {}), smoothed=smoother_arrays(problem, {}),
    )  # fmt: skip


def columns(table, name, shape):
    """One array a stamp; KFAS adds one stamp at the end."""
    size = int(np.prod(shape))
    return table[[f"{name}_{i + 1}" for i in range(size)]].to_numpy().reshape(-1, *shape)


def covariances(table, name, cov):
    """Ours and theirs: element by element, or the sum of all elements where only that was kept."""
    if f"sum{name}" in table:
        return np.asarray(cov).sum((1, 2)), table[f"sum{name}"].to_numpy()
    return np.asarray(cov), columns(table, name, cov.shape[1:])


CLOSE = dict(rtol=1e-8, atol=1e-8)


def test_exact_initial_likelihood(exact):
    assert int(exact.filtered.diffuse_count) == exact.diffuse
    kfas = float(exact.filtered.terms.sum()) + exact.diffuse * HALF_LOG_2PI
    assert kfas == pytest.approx(exact.printed, abs=1e-9)
    assert kfas == pytest.approx(exact.kfas["llf"][0], abs=1e-9)


def test_exact_initial_filtered(exact):
    n, m = exact.filtered.mean.shape
    predicted = np.isfinite(np.asarray(exact.filtered.predicted_cov)).all((1, 2)) & (np.arange(n) >= exact.skip)
    assert predicted.sum() >= n - 3
    want = columns(exact.kfas, "a", (m,))[:n]
    np.testing.assert_allclose(exact.filtered.predicted_mean[predicted], want[predicted], **CLOSE)
    ours, theirs = covariances(exact.kfas, "P", exact.filtered.predicted_cov)
    np.testing.assert_allclose(ours[predicted], theirs[:n][predicted], **CLOSE)
    filtered = np.isfinite(np.asarray(exact.filtered.cov)).all((1, 2)) & (np.arange(n) >= exact.skip)
    want = columns(exact.kfas, "att", (m,))[:n]
    np.testing.assert_allclose(exact.filtered.mean[filtered], want[filtered], **CLOSE)


def test_exact_initial_smoothed(exact):
    n, m = exact.smoothed.mean.shape
    want = columns(exact.kfas, "alphahat", (m,))[:n]
    np.testing.assert_allclose(exact.smoothed.mean[exact.skip :], want[exact.skip :], **CLOSE)
    ours, theirs = covariances(exact.kfas, "V", exact.smoothed.cov)
    np.testing.assert_allclose(ours, theirs[:n], **CLOSE)


def test_exact_initial_auxiliary_residuals(exact):
    """Smoothed disturbances over the standard deviation of their estimates, where KFAS tells that."""
    n = len(exact.y)
    noise, p = np.diag(np.asarray(exact.ssm["obs_cov"])), exact.y.shape[1]
    if (noise > 0).all():
        disturbance, variance = (columns(exact.kfas, name, (p,))[:n] for name in ("epshat", "Veps"))
        said = np.where(np.isnan(exact.y), np.nan, noise - variance)
        expected = disturbance / np.sqrt(said)
        keep = slice(exact.skip, None)
        np.testing.assert_allclose(exact.smoothed.observation_residuals[keep], expected[keep], rtol=1e-6)
    if exact.name in ("local_level", "common_level_restricted"):
        drift = float(np.asarray(exact.ssm["state_cov"]).squeeze())
        disturbance, variance = exact.kfas["etahat_1"][: n - 1], exact.kfas["sumVeta"][: n - 1]
        expected = disturbance / np.sqrt(drift - variance)  # the one from t to t + 1
        np.testing.assert_allclose(exact.smoothed.state_residuals[1:, 0], expected, rtol=1e-6)


def test_exact_initial_agrees_with_statsmodels(exact):
    exact.ssm.filter_univariate = True
    theirs = exact.ssm.smooth()
    np.testing.assert_allclose(exact.filtered.terms, theirs.llf_obs, atol=1e-9)
    np.testing.assert_allclose(exact.smoothed.mean, theirs.smoothed_state.T, **CLOSE)
    np.testing.assert_allclose(exact.smoothed.cov, theirs.smoothed_state_cov.T, **CLOSE)


# --- airline, Lake Huron, lynx ------------------------------------------------------------------------------

THETA, SEASONAL_THETA, SIGMA = -0.4018324, -0.5569342, 0.0367167


def moving_average():
    """Coefficients of (1 + theta L)(1 + Theta L^12), from lag 0 to 13."""
    weights = np.zeros(14)
    weights[[0, 1, 12, 13]] = 1, THETA, SEASONAL_THETA, THETA * SEASONAL_THETA
    return weights


@pytest.fixture(scope="module")
def passengers():
    return np.log(ss.datasets.air_passengers().to_numpy(float))


def test_airline_with_diffuse_states(passengers):
    """States: the last 14 shocks, and y[t-1] ... y[t-13] without a prior; nothing else is in the observation."""
    row = np.concatenate([moving_average(), np.zeros(13)])
    row[14 + np.array([0, 11, 12])] = 1, 1, -1
    transition = np.zeros((27, 27))
    transition[1:14, :13] = np.eye(13)
    transition[14] = row
    transition[15:, 14:26] = np.eye(12)
    shock = SIGMA * np.eye(27, 1)
    first = np.concatenate([np.full(14, SIGMA), np.zeros(13)])
    model = LinearGaussian(transition, shock, row[None], [0.0], np.zeros(27), first, diffuse=np.arange(27) >= 14)
    problem = problem_of(model, passengers)
    ours = log_likelihood(problem)
    assert ours == pytest.approx(232.7502859, abs=2e-7)
    assert ours + 13 * HALF_LOG_2PI == pytest.approx(244.6964868, abs=2e-7)


def test_airline_differenced(passengers):
    differenced = passengers[1:] - passengers[:-1]
    differenced = differenced[12:] - differenced[:-12]
    model = LinearGaussian(np.eye(14, k=-1), SIGMA * np.eye(14, 1), moving_average()[None], [0.0], stationary=True)
    found = log_likelihood(problem_of(model, differenced))
    assert found == pytest.approx(244.6964868, abs=2e-7)
    assert found == pytest.approx(244.69651, abs=3e-5)  # Stata, at its own unrounded estimates


def test_lake_huron():
    lake = ss.datasets.lake_huron()
    years = lake.index.year.to_numpy() - 1920.0
    model = (
        AutoRegressive(2, [1.004830, -0.291313], np.sqrt(0.456606))
        + Regression(["one", "year"], initial=InitialLaw.known([579.0994, -0.021573]))
        + Noise(0.0)
    )
    inputs = np.column_stack([np.ones(len(years)), years])
    problem = problem_of(model, lake, inputs=inputs, input_names=["one", "year"])
    assert log_likelihood(problem) == pytest.approx(-101.198267, abs=1e-6)


def test_lynx():
    lynx = np.log10(ss.datasets.lynx().to_numpy(float))
    model = (
        AutoRegressive(2, [1.377693, -0.739857], np.sqrt(0.051068))
        + LocalLevel(0.0, initial=InitialLaw.known([2.903806]))
        + Noise(0.0)
    )
    assert log_likelihood(problem_of(model, lynx)) == pytest.approx(6.504656, abs=1e-6)


# --- Lutkepohl's quarterly data (Stata) ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def lutkepohl():
    index = pd.date_range("1960-01-01", "1982-10-01", freq="QS")
    data = np.log(pd.DataFrame(results_varmax.lutkepohl_data, columns=["inv", "inc", "consump"], index=index))
    return data.diff().loc["1960-04-01":"1978-10-01"]


def var_model(params, *, diagonal=False, **kwargs):
    phi = np.reshape(params[:9], (3, 3))
    if diagonal:
        factor = np.diag(np.sqrt(params[9:12]))
    else:
        factor = np.zeros((3, 3))
        factor[np.tril_indices(3)] = params[9:15]
    return LinearGaussian(phi, factor, np.eye(3), np.zeros(3), stationary=True, **kwargs)


def test_vector_autoregression(lutkepohl):
    published = results_varmax.lutkepohl_var1
    found = log_likelihood(problem_of(var_model(published["params"]), lutkepohl))
    assert found == pytest.approx(587.8481018832, rel=2e-7)
    assert published["loglike"] == pytest.approx(587.8481018832, abs=1e-9)


def test_vector_autoregression_with_diagonal_noise(lutkepohl):
    params = results_varmax.lutkepohl_var1_diag["params"]
    found = log_likelihood(problem_of(var_model(params, diagonal=True), lutkepohl))
    assert found == pytest.approx(562.8168476509, rel=2e-7)


def test_vector_autoregression_with_observation_intercept(lutkepohl):
    published = results_varmax.lutkepohl_var1_obs_intercept
    model = var_model(published["params"], diagonal=True, emission_offset=published["obs_intercept"])
    assert log_likelihood(problem_of(model, lutkepohl)) == pytest.approx(593.5252693885, rel=2e-7)


FACTORS = {
    "lutkepohl_dfm": (dict(k_factors=1, factor_order=2), 594.0902026191),
    "lutkepohl_dfm2": (dict(k_factors=2, factor_order=1), 496.3798329173),
    "lutkepohl_dfm_gen": (
        dict(k_factors=1, factor_order=1, error_var=True, error_order=1, error_cov_type="unstructured"),
        607.7715711926,
    ),
    "lutkepohl_dfm_ar2": (dict(k_factors=1, factor_order=1, error_order=2), 607.4203109233),
}


@pytest.mark.parametrize("name", list(FACTORS))
def test_dynamic_factors_of_stata(lutkepohl, name):
    options, printed = FACTORS[name]
    theirs = DynamicFactor(lutkepohl, **options)
    theirs.update(getattr(results_dynamic_factor, name)["params"])
    found = log_likelihood(problem_of(from_statsmodels(theirs.ssm), lutkepohl))
    assert found == pytest.approx(printed, rel=1e-6)  # the parameters are printed to about six digits


# --- KFAS: several series with gaps, and given variates -----------------------------------------------------


def vector_with_gaps():
    y = macrodata.load_pandas().data[["realgdp", "realcons", "realinv"]].diff().iloc[1:].to_numpy().copy()
    for rows, column in ((slice(0, 50), 0), (slice(19, 70), 1), (slice(39, 90), 2)):
        y[rows, column] = np.nan
    y[119:130, [0, 2]] = np.nan
    return y


def test_several_series_with_gaps_of_kfas():
    published = pd.read_csv(RESULTS / "results_smoothing_R.csv")
    one = np.ones(3)
    model = LinearGaussian(np.eye(3), one, np.eye(3), one, np.zeros(3), 1e3 * one)
    problem = problem_of(model, vector_with_gaps())
    filtered, smoothed = filter_arrays(problem, {}), smoother_arrays(problem, {})
    assert float(filtered.terms.sum()) == pytest.approx(-205310.9767, abs=1e-4)
    n = len(problem.y)
    following = published[["a1", "a2", "a3"]][: n - 1]  # the file's first row is the second stamp
    np.testing.assert_allclose(filtered.predicted_mean[1:], following, rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(
        smoothed.mean, published[["alphahat1", "alphahat2", "alphahat3"]][:n], rtol=1e-7, atol=1e-6
    )
    found = np.linalg.det(np.asarray(smoothed.cov))
    np.testing.assert_allclose(found, published["detV"][:n], rtol=1e-7)


# --- statsmodels itself -------------------------------------------------------------------------------------


def series(length=60, gaps=False, seed=3):
    rng = np.random.default_rng(seed)
    y = 10 + np.cumsum(rng.normal(size=length)) + 3 * np.sin(np.arange(length) * np.pi / 2) + rng.normal(size=length)
    if gaps:
        y[[1, 7, 8, 9, 30, 31, 59]] = np.nan
    return y


PAIRS = {
    "trend and dummy seasonal": (
        dict(level="lltrend", seasonal=4),
        [0.7, 0.3, 0.01, 0.05],
        lambda v: trend(v[1], v[2]) + Seasonal(4, scale=sd(v[3])) + Noise(sd(v[0])),
    ),
    "level, damped cycle and autoregression": (
        dict(
            level="llevel", cycle=True, stochastic_cycle=True, damped_cycle=True, autoregressive=2,
            cycle_period_bounds=(2, 40),
        ),
        [0.7, 0.3, 0.2, 0.4, 2 * np.pi / 9, 0.8, 0.5, -0.2],
        lambda v: (
            LocalLevel(sd(v[1]))
            + Cycle(2 * np.pi / v[4], v[5], sd(v[2]), initial=InitialLaw.diffuse_law(2))
            + AutoRegressive(2, v[6:8], sd(v[3]))
            + Noise(sd(v[0]))
        ),
    ),
    "smooth trend": (
        dict(level="strend"),
        [0.7, 0.02],
        lambda v: trend(0, v[1]) + Noise(sd(v[0])),
    ),
}  # fmt: skip


@pytest.mark.parametrize("gaps", [False, True], ids=["complete", "gaps"])
@pytest.mark.parametrize("name", list(PAIRS))
def test_components_against_statsmodels(name, gaps):
    options, params, make = PAIRS[name]
    y = series(gaps=gaps)
    theirs = UnobservedComponents(y, use_exact_diffuse=True, **options)
    theirs.ssm.tolerance = 0  # no switch to the steady state
    theirs = theirs.smooth(params, cov_type="none")
    problem = problem_of(make(params), y)
    filtered, smoothed = filter_arrays(problem, {}), smoother_arrays(problem, {})
    np.testing.assert_allclose(filtered.terms, theirs.llf_obs, atol=1e-9)
    d = problem.plan.diffuse_steps
    close = dict(rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(filtered.mean[d:], theirs.filtered_state.T[d:], **close)
    np.testing.assert_allclose(filtered.cov[d:], theirs.filtered_state_cov.T[d:], **close)
    np.testing.assert_allclose(smoothed.mean, theirs.smoothed_state.T, **close)
    np.testing.assert_allclose(smoothed.cov, theirs.smoothed_state_cov.T, **close)
    standardised = np.where(np.isnan(y[d:]), np.nan, theirs.standardized_forecasts_error[0, d:])
    np.testing.assert_allclose(filtered.residuals[d:, 0], standardised, **close)


def test_time_varying_matrices_and_full_noise_against_statsmodels():
    rng = np.random.default_rng(11)
    n, p, k = 25, 2, 3
    ssm = KalmanSmoother(k_endog=p, k_states=k, k_posdef=2)
    y = rng.normal(size=(n, p)) * 2 + 1
    y[4, 0] = y[9, 1] = y[15, :] = np.nan
    ssm.bind(y)
    ssm["design"] = rng.normal(size=(p, k, n))
    ssm["obs_intercept"] = rng.normal(size=(p, n))
    factors = rng.normal(size=(n, p, p))
    ssm["obs_cov"] = np.moveaxis(factors @ np.swapaxes(factors, 1, 2), 0, -1)
    ssm["transition"] = 0.5 * rng.normal(size=(k, k, n))
    ssm["state_intercept"] = rng.normal(size=(k, n))
    ssm["selection"] = rng.normal(size=(k, 2, n))
    factors = rng.normal(size=(n, 2, 2))
    ssm["state_cov"] = np.moveaxis(factors @ np.swapaxes(factors, 1, 2), 0, -1)
    ssm.initialize(Initialization(k, "diffuse"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about disturbances, which are not compared
        theirs = ssm.smooth()
    problem = problem_of(from_statsmodels(ssm), y)
    assert log_likelihood(problem) == pytest.approx(float(theirs.llf_obs.sum()), abs=1e-8)
    smoothed = smoother_arrays(problem, {})
    dense, _, _ = Dense.of(problem.model, problem.steps).posterior(y)
    np.testing.assert_allclose(smoothed.mean, dense, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(smoothed.mean[1:], theirs.smoothed_state.T[1:], rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(smoothed.cov[1:], theirs.smoothed_state_cov.T[1:], rtol=1e-7, atol=1e-8)


def test_vector_moving_average_with_stationary_start_against_statsmodels(lutkepohl):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about identification, which does not matter at given values
        theirs = VARMAX(lutkepohl, order=(1, 1), trend="c", error_cov_type="diagonal")
        params = np.array(theirs.start_params)
    theirs.ssm.tolerance = 0
    result = theirs.smooth(params, cov_type="none")
    problem = problem_of(from_statsmodels(theirs.ssm), lutkepohl)
    assert log_likelihood(problem) == pytest.approx(float(result.llf), abs=1e-8)
    np.testing.assert_allclose(smoother_arrays(problem, {}).mean, result.smoothed_state.T, rtol=1e-6, atol=1e-9)
