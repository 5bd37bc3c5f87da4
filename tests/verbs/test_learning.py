"""Deep models through the verbs: learned, filtered, forecast, saved, gone on with."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
import pandas as pd
import pytest

import statespace as ss
from statespace.inference.amortised import ELBO
from statespace.models.deep import deep_markov_model
from statespace.models.recurrent.heads import GaussianHead

STEPS = 12


def frames(count=6, seed=0):
    """Sequences of two yes-or-no series, of 5 to 8 stamps."""
    random = np.random.default_rng(seed)
    return {
        f"s{i}": pd.DataFrame((random.random((5 + i % 4, 2)) < [0.2, 0.7]).astype(float), columns=["a", "b"])
        for i in range(count)
    }


def parts(**options):
    return deep_markov_model(2, latent=2, transition=4, emission=[4], encoder=4, key=0, **options)


def svi(guide, **options):
    given = {"num_steps": STEPS, "batch_size": 3, "num_buckets": 1, "learning_rate": 0.01} | options
    return ss.SVI(guide, **given)


@pytest.fixture(scope="module")
def found():
    model, guide = parts()
    return ss.fit(model, frames(), svi(guide), held_out=frames(3, seed=1), key=0, progress=False)


def test_a_fit_of_a_panel_serves_every_verb(found):
    assert list(found) == list(frames())
    assert found.history.sizes["step"] == STEPS
    assert len(found.history["held_out"]) == STEPS // 2
    one = found["s1"]
    assert len(ss.filter(one, key=0).mean) == len(frames()["s1"])
    assert ss.forecast(one, horizon=3, num_samples=20, key=0).to_pandas().shape[0] >= 3
    new = frames(1, seed=5)["s0"]
    assert np.isfinite(ss.log_likelihood(one, new, key=0))
    table = found.summary()
    assert table.loc["held_out_bound", "value"] == pytest.approx(found.history["held_out"].max())
    assert table.loc["steps", "value"] == STEPS


def test_the_status_names_the_step_of_the_best_held_out_bound(found):
    assert f"at step {int(found.history['evaluated_at'][int(np.argmax(found.history['held_out'].values))])}" in (
        found.status.message
    )


def test_the_head_begins_at_the_data_s_shares():
    model, guide = parts()
    begun = ss.fit(model, frames(40), svi(guide, num_steps=1, learning_rate=1e-9), key=0, progress=False)
    share = np.concatenate(list(frames(40).values())).mean(axis=0)
    np.testing.assert_allclose(begun.estimates["head.bias"], np.log(share / (1 - share)), atol=1e-6)


def test_going_on_from_a_file_is_the_same_as_never_having_stopped(found, tmp_path):
    model, guide = parts()
    whole = ss.fit(model, frames(), svi(guide, num_steps=2 * STEPS), held_out=frames(3, seed=1), key=0, progress=False)
    found.save(tmp_path / "deep.nc")
    loaded = ss.load(tmp_path / "deep.nc")
    assert list(loaded) == list(found)
    assert loaded["s2"].series.length == found["s2"].series.length
    more = ss.resume(loaded, held_out=frames(3, seed=1), progress=False)
    for path, value in whole.estimates.items():
        np.testing.assert_array_equal(more.estimates[path], value)
    np.testing.assert_array_equal(more.history["bound"], whole.history["bound"])
    np.testing.assert_array_equal(ss.filter(more["s3"], key=1).mean, ss.filter(whole["s3"], key=1).mean)
    with pytest.raises(ValueError, match="had held-out sequences"):
        ss.resume(found, progress=False)


def test_a_checkpoint_is_gone_on_with_by_the_same_call(tmp_path, monkeypatch):
    model, guide = parts()
    data, path = frames(), tmp_path / "state.npz"
    whole = ss.fit(model, data, svi(guide), key=0, progress=False)
    from statespace.inference.amortised.training import Trainer

    step, taken = Trainer._stepped, []

    def interrupted(self, *args):
        if len(taken) == 5:
            raise KeyboardInterrupt
        taken.append(1)
        return step(self, *args)

    monkeypatch.setattr(Trainer, "_stepped", interrupted)
    method = svi(guide, checkpoint=path)
    first = ss.fit(model, data, method, key=0, progress=False)
    assert not first.status.converged
    assert "interrupted" in first.status.message
    monkeypatch.setattr(Trainer, "_stepped", step)
    again = ss.fit(model, data, method, key=0, progress=False)
    for name, value in whole.estimates.items():
        np.testing.assert_array_equal(again.estimates[name], value)
    assert again.history.sizes["step"] == STEPS
    with pytest.raises(ValueError, match="delete it, or name another"):
        ss.fit(model, data, method, key=1, progress=False)


def test_priors_pull_weights_and_fixed_ones_stay():
    model, guide = parts()
    held = np.zeros(4)
    tight = {"dynamics.first": dist.Normal(jnp.full(2, 3.0), 1e-3)}
    rate = svi(guide, num_steps=60, learning_rate=0.2)
    found = ss.fit(model, frames(), rate, priors=tight, fixed={"network.layers0.bias": held}, key=0, progress=False)
    np.testing.assert_allclose(found.estimates["dynamics.first"], 3.0, atol=0.1)
    assert "network.layers0.bias" not in found.estimates
    np.testing.assert_array_equal(found.joint.model.network.layers[0].bias, held)


def test_one_series_with_gaps_and_a_share_held_out():
    random = np.random.default_rng(0)
    y = pd.Series(np.sin(np.arange(30) / 3) + 0.1 * random.normal(size=30), name="wave")
    y.iloc[5:8] = np.nan
    model, guide = deep_markov_model(1, latent=2, transition=4, emission=[4], encoder=4, head=GaussianHead(), key=0)
    fit = ss.fit(model, y, svi(guide, objective=ELBO(analytic=False)), key=0, progress=False)
    assert isinstance(fit, ss.Fitted)
    assert np.isfinite(fit.history["bound"]).all()
    assert fit.estimates["head.scale"] > 0
    many = ss.fit(parts()[0], frames(), svi(parts()[1]), held_out=0.34, key=0, progress=False)
    assert len(many) == 4
    assert many.status.details["held_out"] == 2


def test_an_optimiser_of_one_s_own_and_several_seeds():
    model, guide = parts()
    method = svi(guide, optimizer=optax.adabelief(1e-2), num_seeds=2)
    found = ss.fit(model, frames(), method, key=0, progress=False)
    assert found.joint.extra_groups["training"].sizes["seed"] == 2


def test_what_does_not_fit_is_refused():
    model, guide = parts()
    with pytest.raises(ValueError, match="pass key="):
        ss.fit(model, frames(), svi(guide))
    with pytest.raises(TypeError, match="is not a DeepStateSpace"):
        ss.fit(ss.LocalLevel() + ss.Noise(), ss.datasets.nile(), svi(guide), key=0)
    with pytest.raises(TypeError, match="held_out= is for"):
        ss.fit(ss.LocalLevel() + ss.Noise(), ss.datasets.nile(), held_out=0.1)
    with pytest.raises(ValueError, match="expects 0 or 1"):
        ss.fit(model, {"a": frames()["s0"] + 2}, svi(guide), key=0)
    with pytest.raises(ValueError, match="leaves none on one side"):
        ss.fit(model, frames(2), svi(guide), held_out=0.1, key=0)
    with pytest.raises(ValueError, match="batch_size is 0"):
        ss.SVI(guide, batch_size=0)
    with pytest.raises(TypeError, match="objective= takes"):
        ss.SVI(guide, objective="elbo")
    with pytest.raises(TypeError, match="no history"):
        ss.fit(ss.LocalLevel() + ss.Noise(), ss.datasets.nile(), progress=False).history  # noqa: B018


@pytest.mark.slow
def test_a_small_deep_markov_model_beats_first_order_markov_on_chorales():
    """Two minutes of learning: clearly below 10.47 nats a frame (canonical split, ELBO of one path, all frames)."""
    train, test = (ss.datasets.jsb_chorales(split) for split in ("train", "test"))
    model, guide = deep_markov_model(88, latent=16, transition=32, emission=[64], encoder=64, key=0)
    way = ss.SVI(guide, objective=ELBO(kl_warmup=200), num_steps=1200, learning_rate=3e-3, num_buckets=2)
    fit = ss.fit(model, train, way, key=0, progress=False)
    score = ss.evaluate(fit, test, bound="elbo", num_particles=1, repeats=3, key=1, progress=False)
    assert score.stamps.sum() == 4725
    assert score.table().loc["over stamps", "value"] > -9.7
