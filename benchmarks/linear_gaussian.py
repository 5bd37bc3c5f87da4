"""Log-likelihoods and gradients against statsmodels and dynamax, in one process.

float64, T = 1000, known initial law, jitted functions of arrays, compile time apart, minima over repeats;
statsmodels' `loglike` of the same matrices (Cython), dynamax's `lgssm_filter`. The ratios are what counts.
"""

import os

import statespace as ss  # before the first JAX computation: it sets the loop option

import jax  # isort: skip

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np
from _timing import REPEATS, best
from dynamax.linear_gaussian_ssm import LinearGaussianSSM
from statsmodels.tsa.statespace.kalman_filter import KalmanFilter
from statsmodels.tsa.statespace.structural import UnobservedComponents

from statespace.core.step import make_steps
from statespace.inference import kalman_filter as kalman
from statespace.inference.problem import make_problem

T = int(os.environ.get("STATESPACE_BENCH_LENGTH", "1000"))


def row(name, ours, peer, target):
    """Print one comparison."""
    ratio = peer / ours
    verdict = "" if target is None else f"  target {target:g}x {'ok' if ratio >= target else 'MISSED'}"
    print(f"{name:52s} ours {ours:9.3f} ms   peer {peer:9.3f} ms   ratio {ratio:6.1f}x{verdict}", flush=True)


def structural_matrices():
    """Trend with a dummy seasonal of period 12: 13 states in dense matrices."""
    model = ss.LocalLinearTrend(0.3, 0.05) + ss.Seasonal(12, scale=0.1) + ss.Noise(0.5)
    step = make_steps(2)[1]
    parts = model.transition_matrices(step)
    return (
        np.asarray(model.propagate(jnp.eye(13), step)),
        np.asarray(parts.factor),
        np.asarray(model.emission_matrices(step).matrix),
        np.array([0.5]),
    )


def dense(n, p, rng):
    """A stable random model."""
    f = 0.9 * np.linalg.qr(rng.normal(size=(n, n)))[0]
    return f, 0.5 * np.eye(n), rng.normal(size=(p, n)), np.ones(p)


def ours(model_of):
    """Value and value-and-gradient of our log-likelihood as functions of arrays."""
    steps = make_steps(T)

    def value(arrays, y):
        mask = jnp.ones(y.shape, bool)
        terms = kalman.log_likelihood(model_of(arrays), y, mask, steps, diffuse_steps=0, complete=True)
        return jnp.sum(terms)

    return jax.jit(value), jax.jit(jax.value_and_grad(value))


def statsmodels_loglike(f, g, h, s, y):
    """statsmodels' Cython filter on the same matrices, known start."""
    n, p = f.shape[0], h.shape[0]
    filtered = KalmanFilter(k_endog=p, k_states=n, k_posdef=g.shape[1], tolerance=0)
    filtered.bind(y)
    filtered["transition"], filtered["selection"], filtered["design"] = f, g, h
    filtered["state_cov"], filtered["obs_cov"] = np.eye(g.shape[1]), np.diag(s**2)
    filtered.initialize_known(np.zeros(n), np.eye(n))
    return filtered.loglike


def dynamax_functions(f, g, h, s, y):
    """dynamax's value and gradient over the same matrices."""
    n, p = f.shape[0], h.shape[0]
    model = LinearGaussianSSM(n, p)
    params, _ = model.initialize(
        jax.random.key(0),
        initial_mean=jnp.zeros(n),
        initial_covariance=jnp.eye(n),
        dynamics_weights=jnp.asarray(f),
        dynamics_covariance=jnp.asarray(g @ g.T + 1e-12 * np.eye(n)),
        emission_weights=jnp.asarray(h),
        emission_covariance=jnp.diag(jnp.asarray(s**2)),
    )

    def value(params, y):
        return model.marginal_log_prob(params, y)

    return params, jax.jit(value), jax.jit(jax.value_and_grad(value))


def matrices():
    """The table of sizes: value against statsmodels, value and gradient against dynamax."""
    rng = np.random.default_rng(0)
    cases = [(n, p, dense(n, p, rng)) for n, p in [(1, 1), (2, 1), (4, 2)]]
    cases += [(13, 1, structural_matrices()), (13, 1, dense(13, 1, rng)), (8, 8, dense(8, 8, rng))]
    labels = ["", "", "", " (trend+seasonal, as components)", " (dense random F)", ""]
    for (n, p, (f, g, h, s)), label in zip(cases, labels, strict=True):
        y = rng.normal(size=(T, p))
        if "components" in label:
            start = dict(initial=ss.InitialLaw.gaussian(np.zeros(2), np.ones(2)))
            seasonal = dict(initial=ss.InitialLaw.gaussian(np.zeros(11), np.ones(11)))

            def model_of(a, start=start, seasonal=seasonal):
                trend = ss.LocalLinearTrend(a[0], a[1], **start)
                return trend + ss.Seasonal(12, scale=a[2], **seasonal) + ss.Noise(a[3])

            arrays = jnp.array([0.3, 0.05, 0.1, 0.5])
        else:

            def model_of(a, n=n):
                return ss.LinearGaussian(*a, initial_scale=jnp.eye(n))

            arrays = tuple(map(jnp.asarray, (f, g, h, s)))
        value, gradient = ours(model_of)
        compile_value, t_value = best(value, arrays, jnp.asarray(y))
        compile_gradient, t_gradient = best(gradient, arrays, jnp.asarray(y))
        loglike = statsmodels_loglike(f, g, h, s, y)
        _, t_sm = best(loglike)
        params, d_value, d_gradient = dynamax_functions(f, g, h, s, jnp.asarray(y))
        _, t_dv = best(d_value, params, jnp.asarray(y), repeats=REPEATS // 4)
        _, t_dg = best(d_gradient, params, jnp.asarray(y), repeats=REPEATS // 4)
        np.testing.assert_allclose(value(arrays, jnp.asarray(y)), loglike(), rtol=1e-8)
        small = n <= 4
        size = f"{n} x {p}{label}"
        row(f"{size}: value vs statsmodels", t_value, t_sm, 8 if small else 2)
        row(f"{size}: value vs dynamax", t_value, t_dv, None)
        row(f"{size}: value+grad vs dynamax", t_gradient, t_dg, 30 if small else 5)
        print(f"{'':52s} compile {compile_value:.1f} s, with gradient {compile_gradient:.1f} s")


def seatbelts():
    """Value and gradient of the seatbelts model against statsmodels' numerical score."""
    data = ss.datasets.seatbelts()
    y = np.log(data["drivers"].to_numpy(float))
    inputs = np.column_stack([np.log(data["PetrolPrice"]), data["law"]])
    model = ss.LocalLinearTrend() + ss.Seasonal(12) + ss.Regression(["log_petrol", "law"]) + ss.Noise()
    mask = np.ones((len(y), 1), bool)
    problem = make_problem(model, y[:, None], mask, inputs=inputs, scale=y.std())
    values = {
        "trend.level_scale": 0.03,
        "trend.slope_scale": 1e-3,
        "seasonal12.scale": 1e-2,
        "noise.scale": 0.06,
    }
    values = {path: jnp.asarray(v) for path, v in values.items()}
    _, t_value = best(jax.jit(lambda v: problem.log_likelihood(v)), values)
    _, t_gradient = best(jax.jit(jax.value_and_grad(lambda v: problem.log_likelihood(v))), values)
    peer = UnobservedComponents(y, "lltrend", seasonal=12, exog=inputs, mle_regression=False, use_exact_diffuse=True)
    params = np.array([values[p] ** 2 for p in ("noise.scale", "trend.level_scale", "trend.slope_scale")])
    params = np.append(params, float(values["seasonal12.scale"]) ** 2)
    _, t_like = best(lambda: peer.loglike(params), repeats=20)
    _, t_score = best(lambda: peer.score(params), repeats=5)
    row("seatbelts (15 states, diffuse): value vs loglike", t_value, t_like, None)
    row("seatbelts: value+grad vs statsmodels' score", t_gradient, t_score, 5)


def long_seasonal():
    """Trend with seasonal(168), T = 1000, exact diffuse start: seconds a value."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=(T, 1)).cumsum(axis=0)
    model = ss.LocalLinearTrend() + ss.Seasonal(168) + ss.Noise()
    problem = make_problem(model, y, np.ones_like(y, bool), scale=1.0)
    values = {
        "trend.level_scale": 0.3,
        "trend.slope_scale": 0.01,
        "seasonal168.scale": 0.01,
        "noise.scale": 0.5,
    }
    first, t = best(jax.jit(lambda v: problem.log_likelihood(v)), jax.tree.map(jnp.asarray, values), repeats=5)
    print(f"trend + seasonal(168), T={T}: {t:.0f} ms a value (target below 200), compile {first:.1f} s")


if __name__ == "__main__":
    matrices()
    seatbelts()
    long_seasonal()
