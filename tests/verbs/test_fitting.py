"""Fits: maximum likelihood, MAP and NUTS, through the public verbs."""

import warnings

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from statsmodels.tsa.statespace.structural import UnobservedComponents

import statespace as ss


@pytest.fixture(scope="module")
def nile():
    return ss.datasets.nile()


@pytest.fixture(scope="module")
def nile_mle(nile):
    return ss.fit(ss.LocalLevel() + ss.Noise(), nile, progress=False)


@pytest.fixture(scope="module")
def nile_posterior(nile):
    method = ss.NUTS(num_warmup=200, num_samples=200, num_chains=2)
    return ss.fit(ss.LocalLevel() + ss.Noise(), nile, method, key=jax.random.key(0), progress=False)


@pytest.fixture(scope="module")
def seatbelts():
    return np.log(ss.datasets.seatbelts()["drivers"])


def test_nile_maximum(nile_mle):
    # published: Durbin and Koopman's variances, and the exact diffuse likelihood with all constants
    assert nile_mle.estimates["noise.scale"] ** 2 == pytest.approx(15098.52, rel=1e-6)
    assert nile_mle.estimates["level.scale"] ** 2 == pytest.approx(1469.18, rel=1e-5)
    assert nile_mle.log_likelihood == pytest.approx(-633.4645636362, abs=1e-8)
    assert nile_mle.status.converged
    assert nile_mle.aic == pytest.approx(2 * 633.4645636362 + 2 * 3, abs=1e-6)


def test_standard_errors_agree_with_a_numerical_hessian(nile, nile_mle):
    peer = UnobservedComponents(nile.to_numpy(), "llevel", use_exact_diffuse=True)
    variances = np.array([nile_mle.estimates["noise.scale"] ** 2, nile_mle.estimates["level.scale"] ** 2])

    def objective(scales):
        return -peer.loglike(scales**2)

    scales, h = np.sqrt(variances), 1e-3 * np.sqrt(variances)
    hessian = np.zeros((2, 2))
    for i in range(2):
        for j in range(2):
            e, f = np.eye(2)[i] * h, np.eye(2)[j] * h
            hessian[i, j] = (
                objective(scales + e + f)
                - objective(scales + e - f)
                - objective(scales - e + f)
                + objective(scales - e - f)
            ) / (4 * h[i] * h[j])
    expected = np.sqrt(np.diag(np.linalg.inv(hessian)))
    found = [float(nile_mle.standard_errors[p]) for p in ("noise.scale", "level.scale")]
    np.testing.assert_allclose(found, expected, rtol=2e-4)


def test_variance_with_its_maximum_at_zero(seatbelts):
    found = ss.fit(ss.LocalLevel() + ss.Seasonal(12) + ss.Noise(), seatbelts, progress=False)
    assert found.log_likelihood + 12 * 0.9189385332046727 == pytest.approx(188.7353364033, abs=1e-6)
    assert found.estimates["seasonal12.scale"] == 0.0
    assert "seasonal12.scale" in found.status.message
    assert found.status.converged
    assert np.isnan(found.standard_errors["seasonal12.scale"])
    assert found.standard_errors["noise.scale"] > 0
    assert found.estimates["noise.scale"] ** 2 == pytest.approx(3.51399e-3, rel=1e-4)
    assert found.estimates["level.scale"] ** 2 == pytest.approx(9.45643e-4, rel=1e-4)


def test_given_value_of_zero_stays(nile):
    found = ss.fit(ss.LocalLevel(0.0) + ss.Noise(), nile, progress=False)
    assert list(found.estimates) == ["noise.scale"]
    assert found.estimates["noise.scale"] == pytest.approx(nile.std(ddof=1), rel=1e-6)  # a constant mean


def test_fixed_parameter_does_not_move(nile):
    found = ss.fit(ss.LocalLevel() + ss.Noise(), nile, fixed={"level.scale": 40.0}, progress=False)
    assert list(found.estimates) == ["noise.scale"]
    assert float(found.model.components[0].scale) == 40.0


def test_warm_start_reaches_the_same_maximum(nile, nile_mle):
    again = ss.fit(
        ss.LocalLevel() + ss.Noise(), nile, ss.MaximumLikelihood(num_starts=1), start=nile_mle, progress=False
    )
    assert again.log_likelihood == pytest.approx(nile_mle.log_likelihood, abs=1e-9)


def test_map_is_the_mode(nile):
    priors = {"noise.scale": dist.HalfNormal(50.0)}
    found = ss.fit(ss.LocalLevel() + ss.Noise(), nile, ss.MAP(), priors=priors, progress=False)

    def density(level, noise):
        model = ss.LocalLevel(level) + ss.Noise(noise)
        law = ss.default_priors(ss.LocalLevel() + ss.Noise(), nile) | priors
        return ss.log_likelihood(model, nile) + float(
            law["level.scale"].log_prob(level) + law["noise.scale"].log_prob(noise)
        )

    level, noise = float(found.estimates["level.scale"]), float(found.estimates["noise.scale"])
    best = density(level, noise)
    for factor in (0.99, 1.01):
        assert density(level * factor, noise) < best
        assert density(level, noise * factor) < best


def test_log_transform_counts_its_jacobian(seatbelts):
    y = np.exp(seatbelts)
    model = ss.LocalLevel(0.03) + ss.Noise()
    plain = ss.fit(model, seatbelts, fixed={"level.scale": 0.03}, progress=False)
    logged = ss.fit(model, y, fixed={"level.scale": 0.03}, transform="log", progress=False)
    assert logged.log_likelihood == pytest.approx(plain.log_likelihood - seatbelts.sum(), abs=1e-6)
    ahead = ss.forecast(logged, horizon=3)
    flat = ss.forecast(plain, horizon=3)
    np.testing.assert_allclose(np.log(ahead.quantile(0.9)), flat.quantile(0.9), rtol=1e-10)


def test_posterior_agrees_with_quadrature(nile, nile_posterior):
    law = ss.default_priors(ss.LocalLevel() + ss.Noise(), nile)
    levels, noises = np.linspace(2, 140, 60), np.linspace(80, 170, 60)

    def density(level, noise):
        terms = ss.log_likelihood(ss.LocalLevel(level) + ss.Noise(noise), np.asarray(nile))
        return terms + law["level.scale"].log_prob(level) + law["noise.scale"].log_prob(noise)

    grid = jax.jit(jax.vmap(jax.vmap(density, (None, 0)), (0, None)))(levels, noises)
    weights = np.exp(np.asarray(grid) - np.max(grid))
    weights /= weights.sum()
    for path, axis, values in (("level.scale", 1, levels), ("noise.scale", 0, noises)):
        marginal = weights.sum(axis=axis)
        mean = (marginal * values).sum()
        sd = np.sqrt((marginal * (values - mean) ** 2).sum())
        draws = nile_posterior.draws[path]
        # about 150 effective draws: four standard errors of the mean
        assert abs(draws.mean() - mean) < 4 * sd / np.sqrt(150)
        assert draws.std() == pytest.approx(sd, rel=0.25)


def test_posterior_tables_and_pointwise(nile_posterior):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ss.ConvergenceWarning)  # 2 x 200 draws may be too few
        table = nile_posterior.summary()
    assert {"level.scale", "noise.scale"} <= set(table.index)
    terms = nile_posterior.pointwise["one_step"]
    assert terms.shape == (2, 200, 100)
    level, noise = (float(nile_posterior.draws[p][1, 7]) for p in ("level.scale", "noise.scale"))
    expected = ss.log_likelihood(ss.LocalLevel(level) + ss.Noise(noise), ss.datasets.nile())
    assert terms[1, 7].sum() == pytest.approx(expected, abs=1e-8)
    exact = ss.smooth(ss.LocalLevel(level) + ss.Noise(noise), ss.datasets.nile()).loo_terms
    np.testing.assert_allclose(nile_posterior.pointwise["loo"][1, 7], exact, atol=1e-9)


def test_both_chain_methods_agree_in_law(nile):
    model, method = ss.LocalLevel() + ss.Noise(), ss.NUTS(100, 150, 2, chain_method="threads")
    threads = ss.fit(model, nile, method, key=jax.random.key(1), progress=False)
    method = ss.NUTS(100, 150, 2, chain_method="vectorised")
    lockstep = ss.fit(model, nile, method, key=jax.random.key(1), progress=False)
    for path in threads.draws:
        np.testing.assert_allclose(threads.draws[path], lockstep.draws[path], rtol=1e-3)


def test_second_fit_of_the_same_shape_traces_nothing(nile):
    from statespace.core import gaussian

    model = ss.LocalLevel() + ss.Noise()
    ss.log_likelihood(ss.LocalLevel(1.0) + ss.Noise(2.0), nile)
    count, original = [0], gaussian.update_element

    def counted(*args):
        count[0] += 1
        return original(*args)

    ss.fit(model, nile, progress=False)
    ss.filter(ss.LocalLevel(1.0) + ss.Noise(2.0), nile)
    gaussian.update_element = counted
    try:
        ss.log_likelihood(ss.LocalLevel(3.0) + ss.Noise(4.0), nile[::-1].set_axis(nile.index))
        ss.filter(ss.LocalLevel(3.0) + ss.Noise(4.0), nile * 2)
        ss.fit(model, nile * 2.0, progress=False)
    finally:
        gaussian.update_element = original
    assert count[0] == 0


def test_interruption_keeps_the_draws(nile, monkeypatch):
    from statespace.inference import chains

    advance, calls = chains._advance, [0]

    def stopping(*args):
        calls[0] += 1
        if calls[0] > 5:
            raise KeyboardInterrupt
        return advance(*args)

    monkeypatch.setattr(chains, "_advance", stopping)
    method = ss.NUTS(50, 500, 1, chain_method="vectorised")
    found = ss.fit(ss.LocalLevel() + ss.Noise(), nile, method, key=jax.random.key(0), progress=False)
    assert found.draws["level.scale"].shape == (1, 75)
    assert not found.status.converged
    assert "interrupted" in found.status.message


def test_coefficients_of_a_regression(seatbelts):
    data = ss.datasets.seatbelts()
    inputs = data.assign(log_petrol=np.log(data["PetrolPrice"]))[["log_petrol", "law"]]
    model = ss.LocalLevel() + ss.Seasonal(12, scale=0.0) + ss.Regression(["log_petrol", "law"]) + ss.Noise()
    found = ss.fit(model, seatbelts, inputs=inputs, progress=False)
    # Durbin and Koopman (2012), section 8.2 (and Harvey and Durbin 1986): about -0.29 and -0.24
    assert found.coefficients["regression.log_petrol"][0] == pytest.approx(-0.29, abs=0.02)
    assert found.coefficients["regression.law"][0] == pytest.approx(-0.237, abs=0.01)
    peer = UnobservedComponents(
        seatbelts.to_numpy(), "llevel", seasonal=12, stochastic_seasonal=False, exog=inputs.to_numpy(),
        mle_regression=False, use_exact_diffuse=True,
    )  # fmt: skip
    params = [float(found.estimates[p]) ** 2 for p in ("noise.scale", "level.scale")]
    assert found.log_likelihood == pytest.approx(peer.loglike(params), abs=1e-6)


def test_save_and_load(nile_posterior, tmp_path):
    path = tmp_path / "fit.nc"
    nile_posterior.save(path)
    again = ss.load(path)
    np.testing.assert_array_equal(again.draws["level.scale"], nile_posterior.draws["level.scale"])
    first = ss.forecast(nile_posterior, horizon=4, key=jax.random.key(3))
    second = ss.forecast(again, horizon=4, key=jax.random.key(3))
    np.testing.assert_allclose(first.mean, second.mean, rtol=1e-12)
    pd.testing.assert_index_equal(first.index, second.index)


def test_groups_for_arviz(nile, nile_posterior, tmp_path):
    key = jax.random.key(4)
    shape = next(iter(nile_posterior.draws.values())).shape
    replicates = ss.posterior_predictive(nile_posterior, key=key)
    assert replicates.dims == ("chain", "draw", "time", "series")
    assert replicates.shape[:2] == shape
    assert ss.posterior_predictive(nile_posterior, num_samples=7, key=key).dims == ("draw", "time", "series")
    paths = ss.sample_states(nile_posterior, key=key)
    prior = ss.prior_predictive(ss.LocalLevel() + ss.Noise(), nile, num_samples=20, key=key)
    ahead = ss.forecast(nile_posterior, horizon=5, num_samples=30, key=key)
    more = nile_posterior.with_groups(
        states=paths,
        posterior_predictive=replicates,
        prior=prior,
        predictions=ahead,
        filtered=ss.filter(nile_posterior),
        smoothed=ss.smooth(nile_posterior),
    )
    tree = more.to_datatree()
    np.testing.assert_array_equal(tree["posterior"]["states"], paths)
    np.testing.assert_array_equal(tree["posterior_predictive"]["y"], replicates)
    np.testing.assert_array_equal(tree["prior_predictive"]["y"][0], prior.y)
    np.testing.assert_array_equal(tree["prior"]["level.scale"][0], prior["level.scale"])
    np.testing.assert_array_equal(tree["predictions"]["y"][0], ahead.draws)
    np.testing.assert_array_equal(tree["predictions"]["component_mean"].sum("component"), ahead.mean)
    assert {"filtered", "smoothed", "components", "observed_data"} <= set(tree.children)
    found = more.to_arviz()
    assert found["posterior_predictive"]["y"].dims[:2] == ("chain", "draw")
    # a path belongs to its draw: in sum, states given data spread as the smoother says
    smoothed = ss.smooth(nile_posterior)
    error = (paths.mean(("chain", "draw")).to_numpy() - smoothed.mean) / smoothed.sd
    assert np.abs(error).max() < 5 / np.sqrt(np.prod(shape) / 2)  # half as many effective draws
    more.save(tmp_path / "more.nc")
    again = ss.load(tmp_path / "more.nc").to_datatree()
    for name, node in tree.children.items():
        np.testing.assert_equal(
            again[name].to_dataset().to_dict()["data_vars"], node.to_dataset().to_dict()["data_vars"]
        )
    with pytest.raises(ValueError, match="one path for each posterior draw"):
        nile_posterior.with_groups(states=ss.sample_states(nile_posterior, num_samples=3, key=key))
    with pytest.raises(TypeError, match=r"predictions= takes what ss.forecast\(fit"):
        nile_posterior.with_groups(predictions=replicates)
