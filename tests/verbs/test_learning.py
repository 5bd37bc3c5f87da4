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
    method = ss.SVI(guide, num_steps=STEPS, num_buckets=1, optimizer=optax.adabelief(1e-2), num_seeds=2)
    found = ss.fit(model, frames(), method, key=0, progress=False)
    assert found.joint.extra_groups["training"].sizes["seed"] == 2


def test_what_does_not_fit_is_refused():
    model, guide = parts()
    with pytest.raises(ValueError, match="pass key="):
        ss.fit(model, frames(), svi(guide))
    with pytest.raises(ValueError, match="patience= waits"):
        ss.fit(model, frames(), svi(guide, patience=2), key=0)
    with pytest.raises(ValueError, match="leave learning_rate= and clip= out"):
        ss.SVI(guide, optimizer=optax.adam(1e-3), clip=1.0)
    with pytest.raises(ValueError, match='weights="normal"'):
        ss.SVI(guide, num_samples=10)
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


def test_a_fit_of_a_panel_serves_new_sequences(found):
    """One sequence without a name, and a panel with other names: the weights are shared."""
    new = frames(2, seed=9)
    alone = ss.forecast(found, new["s0"], horizon=2, num_samples=10, key=0)
    assert alone.draws.shape == (10, 2, 2)
    assert set(ss.filter(found, {"x": new["s0"], "s1": new["s1"]}, key=0)) == {"x", "s1"}
    assert found.filter_method.guide is found["s0"].filter_method.guide
    empty = new["s0"].assign(b=np.nan)
    assert not ss.impute(found, empty, num_samples=3, key=0).isnull().any()


def test_a_checkpoint_is_that_of_one_run(tmp_path):
    """The mark of a run is the same for a schedule made again, and another for other priors or held values."""
    path = tmp_path / "run.npz"

    def learned(**options):
        model, guide = parts()
        way = svi(guide, num_steps=3, learning_rate=optax.cosine_decay_schedule(0.01, 10), checkpoint=path)
        return ss.fit(model, frames(), way, key=0, progress=False, **options)

    first = learned()
    again = learned()
    np.testing.assert_array_equal(first.estimates["head.bias"], again.estimates["head.bias"])
    for options in ({"priors": {"head.bias": dist.Normal(0.0, 1.0)}}, {"fixed": {"head.bias": np.zeros(2)}}):
        with pytest.raises(ValueError, match="is of a run with another"):
            learned(**options)


def test_columns_of_a_panel_are_matched_by_name():
    model, guide = parts()
    panel = frames(3)
    turned = {name: y[["b", "a"]] if name == "s1" else y for name, y in panel.items()}
    one, other = (ss.fit(model, y, svi(guide, num_steps=2), key=0, progress=False) for y in (panel, turned))
    np.testing.assert_array_equal(one.estimates["head.bias"], other.estimates["head.bias"])
    renamed = {**panel, "s1": panel["s1"].rename(columns={"b": "c"})}
    with pytest.raises(ValueError, match="have the series"):
        ss.fit(model, renamed, svi(guide, num_steps=2), key=0, progress=False)


def test_inputs_go_with_held_out_sequences_by_name():
    model, guide = parts(input_names=["u"])
    every = frames(5)
    inputs = {name: pd.DataFrame({"u": np.arange(float(len(y)))}) for name, y in every.items()}
    held = {"s4": every.pop("s4")}
    fit = ss.fit(model, every, svi(guide, num_steps=2), inputs=inputs, held_out=held, key=0, progress=False)
    assert list(fit) == ["s0", "s1", "s2", "s3"]
    assert np.isfinite(fit.history["held_out"]).all()


def test_a_guide_of_other_sizes_is_refused_in_words():
    model, _ = parts(input_names=["u"])
    _, guide = parts()
    with pytest.raises(ValueError, match="takes 2 numbers of a stamp but meets 3: 2 of series, 1 of inputs"):
        ss.fit(model, frames(1)["s0"], svi(guide), inputs=pd.DataFrame({"u": np.zeros(5)}), key=0, progress=False)
    with pytest.raises(TypeError, match="did you mean num_steps="):
        ss.SVI(guide, num_step=3)


def test_going_on_takes_the_whole_panel_of_which_a_share_was_held_out():
    model, guide = parts()
    every = frames(5)
    fit = ss.fit(model, every, svi(guide, num_steps=2), held_out=0.4, key=0, progress=False)
    assert len(fit) == 3
    more = ss.resume(fit, 2, held_out=every, progress=False)
    whole = ss.fit(model, every, svi(guide, num_steps=4), held_out=0.4, key=0, progress=False)
    np.testing.assert_array_equal(more.estimates["head.bias"], whole.estimates["head.bias"])
    with pytest.raises(ValueError, match="a share was drawn"):
        ss.resume(fit, 2, held_out=0.4, progress=False)
