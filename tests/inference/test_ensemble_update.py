"""Updates of an ensemble by one observation against dense formulas, and their localisation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.ensembles import Case, on_a_line
from scipy.linalg import sqrtm
from scipy.stats import multivariate_normal

from statespace.inference.ensemble_maps import inflated, random_rotation
from statespace.inference.ensemble_update import innovation, local_square_root, perturbed, square_root
from statespace.inference.localisation import Localisation, gaspari_cohn

# --- one observation, against dense formulas --------------------------------------------------------------------


CASES = {
    "few series": Case(),
    "some missing": Case(missing=(1,)),
    "more series than members": Case(members=6, state=4, series=9),
    "the same, some missing": Case(members=6, state=4, series=9, missing=(0, 5)),
    "more states than members": Case(members=5, state=12, series=2),
    "two members": Case(members=2, state=3, series=4),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def test_the_square_root_update_has_the_moments_of_kalman(case):
    mean, cov, log_density = case.kalman()
    seen = case.seen()
    after = np.asarray(square_root(seen)(jnp.asarray(case.x), None))
    np.testing.assert_allclose(after.mean(axis=0), mean, atol=1e-10)
    np.testing.assert_allclose(np.cov(after.T), cov, atol=1e-10)
    assert float(seen.term) == pytest.approx(log_density, abs=1e-9)


def test_perturbed_observations_have_the_mean_of_kalman_exactly_and_its_covariance_on_average(case, key):
    mean, cov, _ = case.kalman()
    seen = case.seen()
    one = jax.jit(lambda k: perturbed(seen, k)(jnp.asarray(case.x), None))
    after = np.asarray(jax.vmap(one)(jax.random.split(key, 4000)))
    np.testing.assert_allclose(after.mean(axis=1), np.broadcast_to(mean, (4000, len(mean))), atol=1e-8)
    spread = after - after.mean(axis=1, keepdims=True)
    covs = np.einsum("sni,snj->sij", spread, spread) / (after.shape[1] - 1)
    error = covs.std(axis=0) / np.sqrt(4000)
    assert (np.abs(covs.mean(axis=0) - cov) < 4.5 * error + 1e-10).all()


def test_residuals_are_those_of_a_cholesky_factor_and_predictions_cover_what_is_missing():
    case = CASES["some missing"]
    seen = case.seen()
    S = case.H @ np.cov(case.x.T) @ case.H.T + case.R
    there = np.ix_(case.mask, case.mask)
    expected = np.linalg.solve(np.linalg.cholesky(S[there]), (case.y - case.H @ case.x.mean(axis=0))[case.mask])
    np.testing.assert_allclose(np.asarray(seen.residuals)[case.mask], expected, atol=1e-10)
    np.testing.assert_allclose(seen.mean, case.H @ case.x.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(seen.variance, np.diag(S), atol=1e-10)


def test_a_row_without_values_changes_nothing(key):
    case = Case(missing=(0, 1, 2))
    seen, x = case.seen(), jnp.asarray(case.x)
    for update in (perturbed(seen, key), square_root(seen)):
        np.testing.assert_array_equal(update(x, None), x)
    assert float(seen.term) == 0.0


def test_exact_observations_are_met_exactly(key):
    """R = 0 has no inverse, and needs none while there are fewer series than members."""
    case = Case()
    case.R = np.zeros((3, 3))
    seen = case.seen()
    for update in (perturbed(seen, key), square_root(seen)):
        after = np.asarray(update(jnp.asarray(case.x), None))
        np.testing.assert_allclose(after @ case.H.T, np.broadcast_to(case.y, (30, 3)), atol=1e-6)


def test_rotation_and_inflation(key):
    x = jnp.asarray(Case(members=7).x)
    turn = random_rotation(key, 7, x.dtype)
    np.testing.assert_allclose(turn @ turn.T, np.eye(7), atol=1e-12)
    np.testing.assert_allclose(turn.sum(axis=1), 1.0, atol=1e-12)
    turned, wide = np.asarray(turn @ x), np.asarray(inflated(x, 1.3))
    np.testing.assert_allclose(np.cov(turned.T), np.cov(x.T), atol=1e-10)
    assert np.abs(turned - x).max() > 0.1
    np.testing.assert_allclose(wide.mean(axis=0), x.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(np.cov(wide.T), 1.69 * np.cov(x.T), atol=1e-10)
    many = jax.vmap(lambda k: random_rotation(k, 3, x.dtype))(jax.random.split(key, 4000))
    np.testing.assert_allclose(many.mean(axis=0), np.full((3, 3), 1 / 3), atol=0.04)  # uniform: no direction is left


def test_single_precision_stays_single(key):
    case = Case()
    arrays = [jnp.asarray(v, jnp.float32) for v in (case.x @ case.H.T, case.R, case.y)]
    seen, x = innovation(*arrays, jnp.asarray(case.mask)), jnp.asarray(case.x, jnp.float32)
    space = Localisation.from_coordinates(range(4), range(3), 2.0)
    turn = random_rotation(key, 30, jnp.float32)

    def everything():
        updates = [(perturbed(seen, key), space), (square_root(seen), None), (local_square_root(seen), space)]
        moved = [update(x, localisation) for update, localisation in updates]
        return seen, [u for u, _ in updates], moved, inflated(x, 1.1), updates[1][0].turned(turn)(x, None)

    kinds = {str(leaf.dtype) for leaf in jax.tree.leaves(eqx.filter_eval_shape(everything))}
    assert kinds == {"float32", "bool"}


# --- localisation -----------------------------------------------------------------------------------------------


def test_the_taper_is_a_convolution():
    """Gaspari and Cohn's function is the self-convolution of a cone in three dimensions; here by quadrature."""
    r, c = np.linspace(0, 2.3, 12), 1.0
    s = np.linspace(0, c, 1501)[:, None]
    u = np.linspace(-1, 1, 1501)[None]

    def cone(d):
        return np.maximum(1 - 2 * d / (2 * c), 0)  # 1 at 0, 0 at c

    def at(x):
        values = cone(s) * cone(np.sqrt(s**2 + x**2 - 2 * s * x * u)) * s**2
        return np.trapezoid(np.trapezoid(values, u[0], axis=1), s[:, 0])

    expected = np.array([at(x) for x in r]) / at(0.0)
    np.testing.assert_allclose(gaspari_cohn(r, c), expected, atol=2e-5)
    np.testing.assert_allclose(gaspari_cohn(r * 3, 3.0), gaspari_cohn(r, 1.0), atol=1e-12)
    assert float(gaspari_cohn(5.0, np.inf)) == 1.0


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_the_taper_is_positive_definite(dimension):
    places = np.random.default_rng(dimension).uniform(0, 6, size=(80, dimension))
    space = Localisation.from_coordinates(places, places, radius=1.5)
    assert np.linalg.eigvalsh(np.asarray(space.between)).min() > -1e-12
    np.testing.assert_allclose(space.weights, space.between)
    distance = np.linalg.norm(places[3] - places[11])
    assert float(space.weights[3, 11]) == pytest.approx(float(gaspari_cohn(distance, 1.5)), abs=1e-12)


def test_space_may_repeat():
    ring = Localisation.from_coordinates(range(10), [0.0, 9.5], 1.0, period=10)
    assert float(ring.weights[9, 0]) == pytest.approx(float(gaspari_cohn(1.0, 1.0)))
    assert float(ring.between[0, 1]) == pytest.approx(float(gaspari_cohn(0.5, 1.0)))
    tube = Localisation.from_coordinates([[0, 0], [9, 9]], [[0, 0]], 9.0, period=[10, np.inf])
    assert float(tube.weights[1, 0]) == pytest.approx(float(gaspari_cohn(np.hypot(1, 9), 9.0)))


@pytest.mark.parametrize("members", [5, 30])
@pytest.mark.parametrize("radius", [0.8, 2.0])
def test_local_square_roots_are_those_of_hunt(members, radius):
    case = Case(members=members, state=8, series=6, missing=(2,), independent=True)
    space = on_a_line(8, 6, radius)
    after = np.asarray(local_square_root(case.seen(space))(jnp.asarray(case.x), space))
    x, mean = case.x, case.x.mean(axis=0)
    Y = (x - mean) @ case.H[case.mask].T
    d = case.y[case.mask] - case.H[case.mask] @ mean
    for i in range(8):
        precision = np.asarray(space.weights)[i, case.mask] / np.diag(case.R)[case.mask]
        P = np.linalg.inv((members - 1) * np.eye(members) + (Y * precision) @ Y.T)
        w = P @ Y @ (precision * d)
        W = np.real(sqrtm((members - 1) * P)) + w[:, None]
        np.testing.assert_allclose(after[:, i], mean[i] + (x - mean)[:, i] @ W, atol=1e-9)


def test_localised_gains_are_schur_products(key):
    case = Case(members=5, state=8, series=6, missing=(2,))
    space = on_a_line(8, 6, 1.5)
    after = np.asarray(perturbed(case.seen(space), key)(jnp.asarray(case.x), space)).mean(axis=0)
    mean, P, m = case.x.mean(axis=0), np.cov(case.x.T), case.mask
    S = (np.asarray(space.between) * (case.H @ P @ case.H.T))[np.ix_(m, m)] + case.R[np.ix_(m, m)]
    cross = (np.asarray(space.weights) * (P @ case.H.T))[:, m]
    expected = mean + cross @ np.linalg.solve(S, case.y[m] - case.H[m] @ mean)
    np.testing.assert_allclose(after, expected, atol=1e-9)
    assert float(case.seen(space).term) == pytest.approx(
        multivariate_normal(case.H[m] @ mean, S).logpdf(case.y[m]), abs=1e-9
    )


@pytest.mark.parametrize("members", [5, 30])
def test_an_infinite_radius_is_no_localisation(members, key):
    case = Case(members=members, state=8, series=6)
    space, x = on_a_line(8, 6, np.inf), jnp.asarray(case.x)
    local, plain = case.seen(space), case.seen()
    np.testing.assert_allclose(local_square_root(local)(x, space), square_root(plain)(x, None), atol=1e-9)
    np.testing.assert_allclose(perturbed(local, key)(x, space), perturbed(plain, key)(x, None), atol=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Localisation.from_coordinates(range(4), range(2), 0.0), "radius"),
        (lambda: Localisation.from_coordinates(np.zeros((4, 2)), np.zeros((2, 3)), 1.0), "of one dimension"),
        (lambda: Localisation.from_distances(np.zeros((2, 4)), np.zeros((2, 2)), 1.0), "expected distances"),
        (lambda: Localisation.from_distances(-np.ones((4, 2)), np.zeros((2, 2)), 1.0), "negative"),
    ],
)
def test_localisations_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=message):
        make()
