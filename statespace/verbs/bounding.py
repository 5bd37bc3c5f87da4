"""evaluate and collapse_report: how well deep models describe sequences, and whether their latent states matter."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from ..inference.amortised import IWAE, AbstractObjective, AmortisedFilter, Sequence
from ..inference.amortised.batches import Corpus, buckets, epoch
from ..inference.amortised.paths import draw_paths
from ..models.deep import AbstractGuide, DeepStateSpace
from ..results import Evaluation, Fitted, PanelFit
from .corpus import as_guide, as_objective, corpus_of, sequences
from .door import Prepared, as_key, as_model, log_jacobian, require_known

_PARTICLES = 128
_BATCH = 20
_SHAPES = 3  # lengths to which sequences are padded
_ACTIVE = 0.01  # variance over stamps of a posterior mean, above which a latent state counts as active
_CARRIES = 0.001  # and its divergence, nats a stamp: a prior that moves moves the posterior with it


def evaluate(
    model: Any,
    data: Any = None,
    *,
    bound: str | AbstractObjective = "fivo",
    num_particles: int | None = None,
    repeats: int = 5,
    guide: AbstractGuide | None = None,
    inputs: Any = None,
    times: Any = None,
    key: Any,
    progress: bool = True,
) -> Evaluation:
    """Bounds on the log-likelihood of sequences under a deep model, with their Monte Carlo errors.

    Scores of different bounds, numbers of particles or averages cannot be compared: the table names all three. Weights
    that have laws are taken at the middle of these; a head that has met no data takes level and unit from those given.

    Args:
        model: A fit by `SVI(guide=Guide(...))`, or a `DeepStateSpace` whose parameters are known.
        data: A sequence or a panel, NaN is missing; the fit's own when left out.
        bound: "elbo" (one path, averaged over num_particles), "iwae", "fivo", or an objective of your own choice of
            options, which has its own number of particles.
        num_particles: Number of particles, 128 when left out; an objective of your own has its own.
        repeats: How often each bound is computed.
        guide: What proposes; the fit's when left out, or the model's own transition (a bootstrap filter).
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.
        key: PRNG key, or a whole number that makes one.
        progress: Whether to show a progress bar.

    Returns:
        An `Evaluation`: `table()`, `to_pandas()`, `to_xarray()`.

    Raises:
        TypeError: If the model is no deep model, or a parameter unknown.
        ValueError: If the bound is unknown or a count below 1.

    Example:
        >>> import jax.numpy as jnp, statespace as ss
        >>> model, guide = ss.deep_markov_model(2, latent=2, transition=4, emission=[4], encoder=4, key=0)
        >>> fit = ss.fit(model, jnp.ones((5, 2)), ss.SVI(guide, num_steps=2), key=0, progress=False)
        >>> ss.evaluate(fit, num_particles=8, repeats=2, key=0, progress=False).table().index.tolist()
        ['over stamps', 'over sequences', 'importance-weighted']

    Reference: Maddison et al. (2017), "Filtering variational objectives", NeurIPS; Krishnan, Shalit and Sontag (2017),
    appendix.
    """
    objective = as_objective(bound, num_particles, _PARTICLES)
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    names, prepared, found = _known("evaluate", model, data, guide, inputs, times)
    corpus, deep = corpus_of(prepared), prepared[0].model
    keys = jax.random.split(as_key(key), repeats)

    def bounds(batch: Sequence, k: Any) -> Any:
        return _bounds(objective, deep, found, batch, k)

    values = [_over(corpus, bounds, k, progress, f"{objective.name} {i + 1}/{repeats}") for i, k in enumerate(keys)]
    value, divergence, ess = (np.stack(part) for part in zip(*values, strict=True))
    jacobian = np.array([log_jacobian(p.series, p.transform).sum() for p in prepared])
    return Evaluation(
        bounds=np.where(np.isfinite(value), value, -np.inf) + jacobian,
        divergence=divergence,
        ess=ess,
        stamps=np.array([max(int(p.series.mask.any(axis=1).sum()), 1) for p in prepared]),
        names=tuple(names),
        objective=objective.name,
        num_particles=objective.num_particles,
    )


def collapse_report(
    model: Any,
    data: Any = None,
    *,
    num_particles: int = 64,
    guide: AbstractGuide | None = None,
    inputs: Any = None,
    times: Any = None,
    key: Any,
    progress: bool = True,
) -> pd.DataFrame:
    """Whether the latent states of a deep model carry anything: the bound alone does not show it.

    A latent state is active if its posterior mean varies over the stamps of all sequences with a variance above 0.01,
    and it diverges from its prior by more than 0.001 nats a stamp: where the prior moves with what the model is fed, a
    state that repeats it varies, too. A model whose states are all inactive has learned to do without them.

    Args:
        model: A fit by `SVI(guide=Guide(...))`, or a `DeepStateSpace` whose parameters are known.
        data: A sequence or a panel; the fit's own when left out.
        num_particles: Number of paths for posterior means, and of IWAE's particles.
        guide: What proposes; the fit's when left out.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.
        key: PRNG key, or a whole number that makes one.
        progress: Whether to show a progress bar.

    Returns:
        A row for each latent state: `divergence` (KL(guide || prior), nats a stamp), `mean_variance`, `active`; in
        `attrs` the `elbo`, the `iwae` and their `gap` in nats a stamp, and the number of `active_units`.

    Raises:
        TypeError: If the model is no deep model, or the guide none.
        ValueError: If a parameter is unknown, or there are no data.

    Example:
        >>> import jax.numpy as jnp, statespace as ss
        >>> model, guide = ss.deep_markov_model(2, latent=2, transition=4, emission=[4], encoder=4, key=0)
        >>> fit = ss.fit(model, jnp.ones((5, 2)), ss.SVI(guide, num_steps=2), key=0, progress=False)
        >>> list(ss.collapse_report(fit, num_particles=4, key=0, progress=False).index)
        ['z0', 'z1']

    Reference: Burda, Grosse and Salakhutdinov (2016), "Importance weighted autoencoders", section 4.2 (active units).
    """
    names, prepared, found = _known("collapse_report", model, data, guide, inputs, times)
    del names
    corpus = corpus_of(prepared)
    deep: Any = prepared[0].model
    objective = IWAE(num_particles)

    def met(batch: Sequence, k: Any) -> Any:
        return _path_moments(objective, deep, found, batch, k)

    length, first, second, divergence, elbo, iwae = _over(corpus, met, as_key(key), progress, "latent states")
    mean = first.sum(axis=0) / length.sum()
    variance = second.sum(axis=0) / length.sum() - mean**2
    total = corpus.stamps
    latent, divergence = deep.dynamics.latent, divergence.sum(axis=0) / total
    active = (variance > _ACTIVE) & (divergence > _CARRIES)
    table = pd.DataFrame(
        {"divergence": divergence, "mean_variance": variance, "active": active},
        index=pd.Index([f"z{i}" for i in range(latent)], name="latent"),
    )
    bounds = {"elbo": float(elbo.sum() / total), "iwae": float(iwae.sum() / total)}
    table.attrs = {**bounds, "gap": bounds["iwae"] - bounds["elbo"], "active_units": int(active.sum())}
    return table


@eqx.filter_jit
def _bounds(objective: AbstractObjective, model: Any, guide: Any, batch: Sequence, key: Any) -> Any:
    keys = jax.random.split(key, batch.y.shape[0])
    return tuple(jax.vmap(lambda one, k: objective.bound(model, guide, one, k))(batch, keys))


@eqx.filter_jit
def _path_moments(objective: IWAE, model: Any, guide: Any, batch: Sequence, key: Any) -> Any:
    """Of each sequence: its length, sums over stamps of posterior means and their squares, divergence, both bounds."""

    def one(sequence: Sequence, k: Any) -> Any:
        paths = draw_paths(model, guide, sequence, objective.num_particles, k)
        inside = jnp.ones(len(sequence.y)) if sequence.inside is None else sequence.inside.astype(float)
        means = jnp.mean(model.split(paths.x)[1], axis=1) * inside[:, None]
        divergence = jnp.sum(jnp.mean(paths.divergence, axis=1), axis=0)
        logs = jnp.sum(paths.seen, axis=0) + jnp.sum(paths.ratio, axis=(0, 2))
        iwae = jax.nn.logsumexp(logs) - jnp.log(len(logs))
        elbo = jnp.mean(jnp.sum(paths.seen, axis=0)) - jnp.sum(divergence)
        return jnp.sum(inside), jnp.sum(means, axis=0), jnp.sum(means**2, axis=0), divergence, elbo, iwae

    return jax.vmap(one)(batch, jax.random.split(key, batch.y.shape[0]))


def _over(corpus: Corpus, function: Callable[[Sequence, Any], Any], key: Any, progress: bool, what: str) -> Any:
    """What a function says of each sequence, in their order."""
    groups = buckets(corpus.lengths, _BATCH, _SHAPES)
    parts: list[Any] = [None] * len(corpus.y)
    batches = list(epoch(groups, 0))
    for number, (which, group) in enumerate(tqdm(batches, desc=what, disable=not progress, leave=False)):
        batch = corpus.batch(which, group.length, group.size)
        found = [np.asarray(x) for x in function(batch, jax.random.fold_in(key, number))]
        for position, i in enumerate(which):
            parts[i] = [x[position] for x in found]
    return [np.stack(column) for column in zip(*parts, strict=True)]


def _known(
    verb: str, model: Any, data: Any, guide: Any, inputs: Any, times: Any
) -> tuple[list[str], list[Prepared], AbstractGuide]:
    """Names, sequences with a model all of whose parameters are known, and the guide."""
    fits = dict(model) if isinstance(model, PanelFit) else {"": model}
    first = next(iter(fits.values()))
    deep = as_model(first)
    if not isinstance(deep, DeepStateSpace):
        raise TypeError(f"this scores a DeepStateSpace, or a fit of one by SVI(guide=...), got {type(deep).__name__}")
    if guide is None:
        method = first.filter_method if isinstance(first, Fitted) else None
        guide = method.guide if isinstance(method, AmortisedFilter) else None
    if data is not None:
        names, prepared = sequences(first, data, inputs, times, None)
    elif isinstance(first, Fitted):
        names, prepared = list(fits), [Prepared(f.model, f.series, f.transform) for f in fits.values()]
    else:
        raise ValueError(f"{verb} needs data (only a fit carries its own)")
    require_known(prepared[0].model, verb)
    return names or ["y"], prepared, as_guide(guide)
