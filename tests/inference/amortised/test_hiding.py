"""What is hidden from a guide: shares are as told, the likelihood keeps all, and bounds of a finished model see all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inference.amortised import linear

import statespace as ss
from statespace.core.parameters import with_fields
from statespace.inference.amortised import AmortisedSVI, HiddenElements, HiddenStretches
from statespace.inference.amortised.paths import draw_paths
from statespace.models.deep import Guide, Prior


def test_shares_are_as_told():
    """Of elements that are independent, and of stretches, the first and the last stamps included."""
    found = HiddenElements(0.3).shown(jax.random.key(0), 20_000, 2)
    assert abs(float(found.mean()) - 0.7) < 4 * (0.21 / 40_000) ** 0.5
    keys = jax.random.split(jax.random.key(1), 4000)
    found = np.asarray(jax.vmap(lambda k: HiddenStretches(0.4, length=5).shown(k, 12, 3))(keys))
    assert np.all(found == found[:, :, :1])
    np.testing.assert_allclose(found[:, :, 0].mean(axis=0), 0.6, atol=4 * (0.24 / 4000) ** 0.5)
    inner = found[:, 4:8, 0]  # a hidden stamp with seen ones on both sides is too short a stretch
    assert not np.any(~inner[:, 1] & inner[:, 0] & inner[:, 2])


def test_a_hidden_value_does_not_reach_the_guide_but_the_likelihood():
    """Another value where it is hidden moves the likelihood by its own density alone."""
    guide, model = linear.GUIDES["DKS"](), linear.model()
    y = linear.data(6)
    shown = np.ones(y.shape, bool)
    shown[3, 0] = False
    other = y.copy()
    other[3, 0] += 1.0
    found = []
    for values in (y, other):
        sequence = with_fields(linear.sequence(values), shown=jnp.asarray(shown))
        frames = sequence.frames(model, guide)
        found.append((frames, ss.ELBO().bound(model, guide, sequence, jax.random.key(0))))
    for a, b in zip(found[0][0].messages, found[1][0].messages, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(found[0][1].divergence, found[1][1].divergence)
    assert abs(float(found[0][1].value - found[1][1].value)) > 1e-3
    unseen = linear.sequence(y, mask=shown).frames(model, guide)
    for a, b in zip(found[0][0].messages, unseen.messages, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_guide_that_skips_takes_the_models_law_where_all_is_hidden():
    model = linear.model()
    guide = Guide(linear.encoder("backward"), linear.GUIDES["DKS"]().proposal, skips=True)
    shown = np.ones((5, 2), bool)
    shown[2] = False
    sequence = with_fields(linear.sequence(linear.data(5)), shown=jnp.asarray(shown))
    each = np.asarray(draw_paths(model, guide, sequence, 3, jax.random.key(0)).divergence)
    np.testing.assert_array_equal(each[2], 0.0)
    assert np.all(each[[0, 1, 3, 4]] > 0)


def test_learning_with_hidden_values(tmp_path):
    """A guide that has learned without some values does better without them; the fit is saved with the option."""
    model, panel = linear.model(), [linear.data(20, seed) for seed in range(12)]
    fits = {}
    for hide in (None, 0.5):
        guide = linear.GUIDES["DKS"]()
        way = ss.SVI(guide, num_steps=300, learning_rate=0.01, num_buckets=1, batch_size=12, hide=hide)
        fits[hide] = ss.fit(model, panel, way, key=0, progress=False)
    assert fits[0.5]["0"].sampler.hide == HiddenElements(0.5)
    gaps = [np.where(HiddenElements(0.5).shown(jax.random.key(i), *y.shape), y, np.nan) for i, y in enumerate(panel)]
    scores = {
        hide: ss.evaluate(fit, gaps, bound="elbo", num_particles=20, repeats=3, key=0, progress=False).bounds.sum()
        for hide, fit in fits.items()
    }
    assert scores[0.5] > scores[None]
    fits[0.5].save(tmp_path / "fit.nc")
    assert ss.load(tmp_path / "fit.nc")["0"].sampler.hide == HiddenElements(0.5)


def test_bad_options():
    with pytest.raises(ValueError, match="between 0 and 1"):
        HiddenElements(1.0)
    with pytest.raises(ValueError, match="length"):
        HiddenStretches(0.5, length=0)
    with pytest.raises(TypeError, match="hide= takes"):
        AmortisedSVI(Guide(None, Prior()), hide="all")
