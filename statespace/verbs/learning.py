"""Fits of deep models with a guide."""

import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm.auto import tqdm

from ..inference.amortised import AmortisedFilter, AmortisedSVI, streams
from ..inference.amortised import state as states
from ..inference.amortised.training import Progress, Trainer
from ..inference.amortised.weights import Trainee
from ..inference.priors import merge_priors
from ..inference.starts import start_values
from ..models import parameters, redrawn, unknown, with_fields, with_values
from ..models.deep import Guide
from ..results import Fitted, PanelFit, Status, in_words
from ..results.training import GROUP, training_group
from .accounts import specification
from .corpus import check_guide, corpus_of, pooled, sequences
from .door import LEARNED, Prepared, as_model, scale_of
from .panel import is_panel, members, split_by_name

_TELLING = (
    "batch_size",
    "clip",
    "num_buckets",
    "num_seeds",
    "hide",
    "weights",
    "window",
)  # options that mark a run
_RATES = (0, 1, 10, 100, 1000, 10_000)  # steps at which a schedule is told from others
_NO_KL = 0.01  # nats a stamp below which the latent states carry nothing


class _Task(NamedTuple):
    """What is to be learned from what.

    Attributes:
        names: Of the sequences; None for a single one.
        prepared: The sequences, each with the model bound to all.
        trainer: Ready to go.
    """

    names: list[str] | None
    prepared: list[Prepared]
    trainer: Trainer


def learned(
    model: Any, data: Any, method: AmortisedSVI, *, held_out: Any, key: Any, progress: bool, **given: Any
) -> Any:
    """Learn a deep model and its guide from one sequence or many; arguments as of `fit`."""
    lack = method.lacks(as_model(model))
    if lack:
        raise TypeError(f"SVI(guide=Guide(...)) cannot serve: {type(model).__name__} {lack}")
    task = _task(model, data, method, held_out, key, **given)
    check_guide(task.trainer.trainee.model, method.guide)
    trainer, mark = task.trainer, _mark(task.trainer)
    state, history = trainer.begin(), trainer.nothing
    if method.checkpoint is not None and os.path.exists(method.checkpoint):
        state, history = states.read(method.checkpoint, state, mark)
    return _result(task, _run(trainer, state, history, max(method.num_steps - state.step, 0), mark, progress))


def go_on(fitted: Any, num_steps: int | None, priors: Any, held_out: Any, progress: bool) -> Any:
    """Go on learning where a fit ended; arguments as of `resume`."""
    parts = dict(fitted) if isinstance(fitted, PanelFit) else {"": fitted}
    first: Fitted = next(iter(parts.values()))
    details, group = first.status.details, first.extra_groups[GROUP]
    if isinstance(held_out, float):
        raise ValueError(
            "a share was drawn when the fit was made: pass the whole panel, of which the fit's own are left out"
        )
    if is_panel(held_out) and len(members(held_out)) != details["held_out"]:  # the whole panel
        held_out = {name: y for name, y in members(held_out).items() if name not in parts}
    if bool(details["held_out"]) != (held_out is not None):
        had = "had held-out sequences: pass the same" if details["held_out"] else "had no held-out sequences: pass no"
        raise ValueError(f"the fit {had} ones as held_out= to go on with it")
    _check_patience(first.sampler, held_out)
    law = {path: v for path, v in {**first.priors, **(priors or {})}.items() if not isinstance(v, str)}
    if missing := [path for path in first.priors if path not in law]:
        raise ValueError(f"the fit had priors on {', '.join(missing)}: pass them as priors= to go on with it")
    method = with_fields(first.sampler, guide=first.filter_method.guide)
    prepared = [Prepared(m.model, m.series, m.transform) for m in parts.values()]
    other = [] if held_out is None else sequences(first, held_out, None, None, None)[1]
    key = jax.random.wrap_key_data(jnp.asarray(details["key"], jnp.uint32))
    trainer = _trainer(prepared, other, Trainee(first.model, method.guide), details["learned"], law, method, key)
    state = states.from_arrays(trainer.begin(), first.sampler_state or [])
    history = states.History(*(group[name].to_numpy() for name in states.History._fields))
    left = method.num_steps - state.step
    count = num_steps if num_steps is not None else left if left > 0 else method.num_steps
    task = _Task(list(parts) if isinstance(fitted, PanelFit) else None, prepared, trainer)
    return _result(task, _run(trainer, state, history, count, _mark(trainer), progress))


def _task(
    model: Any,
    data: Any,
    method: AmortisedSVI,
    held_out: Any,
    key: Any,
    *,
    inputs: Any,
    times: Any,
    priors: Any,
    fixed: Any,
    transform: Any,
    start: Any,
) -> _Task:
    """What `fit` was asked for."""
    _check_patience(method, held_out)
    if method.weights == "normal" and not priors:
        raise ValueError("weights='normal' learns laws of the weights that have priors: name some by priors=")
    apart = list(members(held_out)) if is_panel(held_out) else None
    own, theirs = split_by_name(data, apart, inputs), split_by_name(data, apart, times)
    names, prepared = sequences(model, data, own[0], theirs[0], transform)
    other: list[Prepared] = []
    if isinstance(held_out, float):
        names, prepared, other = _split(names, prepared, held_out, key)
    elif held_out is not None:
        other = sequences(model, held_out, own[1], theirs[1], transform, prepared)[1]
    bound: Any = prepared[0].model
    scale = np.mean([scale_of(p.model, p.series) for p in prepared], axis=0)
    laws = merge_priors(bound, scale, priors) if priors else {}
    held = {path if path.startswith("guide.") else f"model.{path}": v for path, v in (fixed or {}).items()}
    mean = pooled([p.series for p in prepared]).level()
    trainee = _starting(Trainee(bound, method.guide), start, held, mean, scale, key)
    learned = [path for path in parameters(trainee) if path not in held]
    given = {path: laws[path] for path in priors or {}}
    return _Task(names, prepared, _trainer(prepared, other, trainee, learned, given, method, key))


def _check_patience(method: AmortisedSVI, held_out: Any) -> None:
    if method.patience is not None and held_out is None:
        raise ValueError("patience= waits for a better held-out bound: hold some sequences out by held_out=")


def _trainer(
    prepared: list[Prepared],
    other: list[Prepared],
    trainee: Trainee,
    learned: list[str],
    priors: dict[str, Any],
    method: AmortisedSVI,
    key: Any,
) -> Trainer:
    laws = {f"model.{path}": law for path, law in priors.items()}
    return Trainer(trainee, tuple(learned), corpus_of(prepared), corpus_of(other) if other else None, laws, method, key)


def _split(
    names: list[str] | None, prepared: list[Prepared], part: float, key: Any
) -> tuple[list[str] | None, list[Prepared], list[Prepared]]:
    """Some sequences held out, drawn at random."""
    count = round(part * len(prepared))
    if names is None or not 0 < part < 1 or not 0 < count < len(prepared):
        raise ValueError(
            f"held_out={part} of {len(prepared)} sequences leaves none on one side: give a share between 0 and 1 of a "
            "panel, or sequences of their own"
        )
    out = set(
        np.asarray(jax.random.permutation(jax.random.fold_in(key, streams.SPLIT), len(prepared)))[:count].tolist()
    )
    keep = [i for i in range(len(prepared)) if i not in out]
    return [names[i] for i in keep], [prepared[i] for i in keep], [prepared[i] for i in sorted(out)]


def _starting(trainee: Trainee, start: Any, held: dict[str, Any], mean: Any, scale: Any, key: Any) -> Trainee:
    """Model and guide where learning starts: values given, those of an earlier fit, draws of what is unknown.

    Args:
        trainee: Model and guide.
        start: An earlier fit, or values by path.
        held: Values that are not learned.
        mean: Mean of each series, which a head that knows nothing begins with.
        scale: Standard deviation of each series, for what is in their unit.
        key: PRNG key.
    """
    known = parameters(trainee)
    if isinstance(start, Fitted | PanelFit):
        fit = start if isinstance(start, Fitted) else next(iter(start.values()))
        guide = getattr(fit.filter_method, "guide", None)
        earlier = parameters(Trainee(fit.model, trainee.guide if guide is None else guide))
        values = {path: p.value for path, p in earlier.items() if path in known}
    else:
        values = {p if p.startswith("guide.") else f"model.{p}": v for p, v in (start or {}).items()}
    values: dict[str, Any] = {**values, **held}
    for path, value in values.items():
        if path in known and np.shape(value) != known[path].shape:
            raise ValueError(f"{path} has shape {np.shape(value)}, expected {known[path].shape}")
    missing = [path for path, p in known.items() if p.value is None]
    drawn = redrawn(trainee, missing, jax.random.fold_in(key, streams.START))
    if "model.head.bias" in missing:
        drawn = with_values(drawn, {"model.head.bias": trainee.model.head.typical_bias(mean)})
    drawn = with_values(drawn, values)
    left = tuple(unknown(drawn.model))
    return Trainee(with_values(drawn.model, start_values(drawn.model, left, scale)), drawn.guide)


def _mark(trainer: Trainer) -> str:
    """What tells a run from others: its data, first values, what is held, priors, options and key."""
    corpora = [trainer.corpus] if trainer.held_out is None else [trainer.corpus, trainer.held_out]
    first = trainer.begin()
    priors = {path: in_words(law) for path, law in trainer.weights.priors.items()}
    method = trainer.options
    options = {name: getattr(method, name) for name in _TELLING}
    rate = method.learning_rate
    options["learning_rate"] = [float(rate(step)) for step in _RATES] if callable(rate) else rate
    key = np.asarray(jax.random.key_data(trainer.key))
    parts = trainer.trainee, first.values, first.optimizer, method.objective, key
    return states.digest([tuple(corpus) for corpus in corpora], priors, options, *parts)


def _run(
    trainer: Trainer, state: states.State, history: states.History, count: int, mark: str, progress: bool
) -> Progress:
    """So many more steps, with a progress bar and checkpoints."""
    path = trainer.options.checkpoint

    def save(state: states.State, seen: states.History) -> None:
        if path is not None:
            states.write(path, state, history.joined(seen), mark)

    with tqdm(total=state.step + count, initial=state.step, desc="learning", disable=not progress) as bar:

        def report(done: int, total: int, text: str) -> None:
            bar.total = total
            bar.update(done - bar.n)
            bar.set_postfix_str(text)

        found = trainer.run(state, count, report, save)
    save(found.state, found.history)
    return found._replace(history=history.joined(found.history))


def _result(task: _Task, found: Progress) -> Any:
    """The fit of each sequence, all with the same model."""
    trainer, method = task.trainer, task.trainer.options
    values, seed = trainer.best(found.state, found.history)
    best, draws = trainer.weights.point(values), _draws(trainer, values)
    about = {"objective": method.objective.name, "num_particles": method.objective.num_particles}
    history = training_group(found.history, seed, **about)
    known = parameters(best.model)
    filter_method = AmortisedFilter(guide=best.guide)
    shared = {
        "model": best.model,
        "method_name": method.name,
        "draws": draws,
        "estimates": {
            p: draws[p].mean(axis=(0, 1)) if draws and p in draws else np.asarray(known[p].value)
            for p in known
            if f"model.{p}" in trainer.weights.free
        },
        "standard_errors": None,
        "unconstrained_covariance": None,
        "sample_stats": {},
        "log_likelihood": None,
        "num_parameters": sum(p.dimension for path, p in known.items() if f"model.{path}" in trainer.weights.free),
        "diffuse_count": 0,
        "status": _status(trainer, found, seed),
        "priors": {path.removeprefix("model."): law for path, law in trainer.weights.priors.items()},
        "coefficients": {},
        "pointwise": None,
        "supports": {path: str(p.constraint) for path, p in known.items()},
        "specification": specification(best.model),
        "extra_groups": {GROUP: history},
        "filter_method": filter_method,
        "filter_specification": specification(filter_method, LEARNED),
        "sampler": method,
        "sampler_specification": specification(with_fields(method, guide=None, checkpoint=None), LEARNED),
        "sampler_state": states.to_arrays(found.state),
    }
    fits = [
        Fitted(
            series=part.series,
            transform=part.transform,
            num_observations=int(part.series.mask.sum()),
            **shared,
        )
        for part in task.prepared
    ]
    return fits[0] if task.names is None else PanelFit(dict(zip(task.names, fits, strict=True)))


def _draws(trainer: Trainer, values: dict[str, Any]) -> dict[str, Any] | None:
    """Draws of the model's weights that have laws, (chain, draw, ...), or None where all are points."""
    if not trainer.weights.laws:
        return None
    found = trainer.weights.sample(values, trainer.options.num_samples, jax.random.fold_in(trainer.key, streams.DRAWS))
    return {path.removeprefix("model."): np.asarray(v)[None] for path, v in found.items()}


def _status(trainer: Trainer, found: Progress, seed: int) -> Status:
    """How learning ended, with what a user should be warned of."""
    method, history, steps = trainer.options, found.history, found.state.step
    last = history.bound[-trainer.per_epoch :, seed].mean() if len(history.bound) else np.nan
    text = f"{steps} steps ({steps / trainer.per_epoch:.1f} epochs): {method.objective.name} {last:.4f} nats a stamp"
    if trainer.held_out is not None and len(history.held_out):
        text += f", held out {found.state.best_bound[seed]:.4f} at step {found.state.best_step[seed]}"
    kl = history.divergence[-trainer.per_epoch :, seed].mean(axis=0)
    cautions = []
    if method.hide is not None and isinstance(method.guide, Guide) and not getattr(method.guide.encoder, "masks", True):
        cautions.append("the encoder is not told what was hidden from it: make the guide with masks=True")
    if kl.sum() < _NO_KL:
        cautions.append(
            f"the latent states carry nothing (KL {kl.sum():.2g} nats a stamp): warm the divergence up (ELBO(kl_warmup="
            "...)), give it free bits, or learn by FIVO(num_particles=4)"
        )
    details = {
        "cautions": cautions,
        "held_out": 0 if trainer.held_out is None else len(trainer.held_out.y),
        "interrupted": found.ended == "interrupted",
        "key": np.asarray(jax.random.key_data(trainer.key)).tolist(),
        "learned": list(trainer.weights.free),
        "num_sequences": len(trainer.corpus.y),
        "num_stamps": int(trainer.corpus.lengths.sum()),
        "steps_per_epoch": trainer.per_epoch,
    }
    if found.ended == "interrupted" and steps < method.num_steps:
        return Status(False, f"interrupted: {text}; ss.resume goes on", details)
    if found.ended == "patience":
        text += "; stopped, since the held-out bound rose no more"
    return Status(True, text, details)
