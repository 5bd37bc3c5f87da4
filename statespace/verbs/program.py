"""observe and sample_program: a state-space likelihood inside any NumPyro program, and such programs sampled."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpyro
from tqdm.auto import tqdm

from ..data import placeholder
from ..inference.amortised import AbstractObjective
from ..inference.method import AbstractMethod
from ..inference.program import Program
from ..inference.tempered import TemperedSMC, temper
from ..models.deep import AbstractGuide
from ..results import ProgramFit, Status
from .bound_law import bound_law
from .door import as_key, as_model, check_method, names_of_series
from .law import law_of, series_law


def observe(
    name: str,
    model: Any,
    y: Any = None,
    *,
    length: int | None = None,
    times: Any = None,
    inputs: Any = None,
    mask: Any = None,
    series: Sequence[str] | None = None,
    method: AbstractMethod | None = None,
    guide: AbstractGuide | None = None,
    bound: AbstractObjective | None = None,
) -> Any:
    """Declare a series as a site of a NumPyro program, its states integrated out.

    Args:
        name: Name of the site.
        model: Model whose parameters are values or samples of the program. Leading batch axes of the
            parameters (from a `plate`) make a batch of series.
        y: The series, (time,) or (time, series); with batch axes in front for a batch (arrays only). NaN is
            missing. None to draw it instead (`Predictive`), which needs a proper first law.
        length: Number of stamps, where y is None.
        times: Stamps of data that carry none.
        inputs: Input columns, if the model reads any.
        mask: Which elements are present, in the shape of y, where that is not told by NaN.
        series: Names of the series, where y is None and the model does not tell how many there are.
        method: Filtering method; the exact one when left out.
        guide: Of a deep model: its log density is a bound, drawn anew with each seed of the program, and y may be a
            panel, a list or dictionary of sequences of any lengths, which is one site (in an array, padded). Weights
            become sites by `sample_parameters`, a guide's by `learn_parameters`.
        bound: The bound: `ELBO()` when left out, `IWAE()` or `FIVO()`.

    Returns:
        The value of the site.

    Raises:
        ValueError: If data and model do not fit together, or y is None and no length or times are given.

    Example:
        >>> import jax, numpyro, numpyro.distributions as dist, statespace as ss
        >>> def program(y):
        ...     scale = numpyro.sample("scale", dist.HalfNormal(50.0))
        ...     ss.observe("y", ss.LocalLevel(scale=scale) + ss.Noise(scale=120.0), y)
        >>> with numpyro.handlers.seed(rng_seed=0):
        ...     program(ss.datasets.nile())
    """
    model = as_model(model)
    if guide is not None or bound is not None:
        if method is not None:
            raise ValueError("method= goes without guide= and bound=, which say how the states are integrated out")
        law, value = bound_law(
            model, y, guide, bound, inputs=inputs, times=times, mask=mask, length=length, names=series
        )
        return numpyro.sample(name, law, obs=value)
    method = check_method(model, method, "observe")
    if y is not None:
        if length is not None:
            raise ValueError("length= is for drawing (y=None); with y given the series has its own length")
        law, value = law_of(model, y, inputs=inputs, times=times, mask=mask, method=method)
        return numpyro.sample(name, law, obs=value)
    if mask is not None:
        raise ValueError("mask= goes with y: without y every element is drawn")
    names = names_of_series(model, series)
    blank = placeholder(length, times=times, inputs=inputs, input_columns=model.input_names, names=names)
    return numpyro.sample(name, series_law(model, blank, None, method))


def sample_program(
    program: Callable[..., Any],
    *args: Any,
    sampler: TemperedSMC | None = None,
    key: Any,
    start: ProgramFit | None = None,
    progress: bool = True,
    **kwargs: Any,
) -> ProgramFit:
    """Sample the posterior of any NumPyro program by tempered sequential Monte Carlo, and estimate its evidence.

    Args:
        program: The program; its latent sites are continuous.
        args: Its arguments.
        sampler: Options; the default ones when left out.
        key: PRNG key, or a whole number that makes one.
        start: An earlier run of the same program and options (`ss.load` reads a saved one) from which to go on: an
            interrupted one to its end, a finished one by moving its particles once more.
        progress: Whether to show a progress bar.
        kwargs: Named arguments of the program.

    Returns:
        A `ProgramFit`: `summary()`, `to_arviz()`, `log_evidence`. Interrupted, it has the draws of the exponent
        that was reached, says so, and can be saved and gone on from.

    Raises:
        TypeError: If the sampler is another one (NumPyro's own MCMC serves programs too).
        ValueError: If a latent site is discrete, the run to start from had other options, or no draw from the prior
            gives the data a positive likelihood.

    Example:
        >>> import jax, numpyro, numpyro.distributions as dist, statespace as ss
        >>> def program(y):
        ...     mean = numpyro.sample("mean", dist.Normal(0.0, 2.0))
        ...     numpyro.sample("y", dist.Normal(mean, 1.0), obs=y)
        >>> small = ss.TemperedSMC(num_samples=200, num_chains=2)
        >>> ss.sample_program(program, 1.0, sampler=small, key=0, progress=False).draws["mean"].shape
        (2, 200)

    Reference: Dau and Chopin (2022), "Waste-free sequential Monte Carlo", JRSS B 84.
    """
    sampler = TemperedSMC() if sampler is None else sampler
    if not isinstance(sampler, TemperedSMC):
        raise TypeError(f"sample_program takes TemperedSMC(), got {sampler!r}: NumPyro's MCMC runs programs as well")
    if start is not None:
        had, asked = next(iter(start.draws.values())).shape[:2], (sampler.num_chains, sampler.num_samples)
        if had != asked:
            raise ValueError(f"the run to start from has {had} chains and draws, but the sampler makes {asked}")
    with tqdm(total=1.0, desc=f"TemperedSMC, {sampler.num_chains} chains", disable=not progress) as bar:

        def report(done: float, total: float, text: str) -> None:
            del total
            bar.update(done - bar.n)
            bar.set_postfix_str(text)

        state = None if start is None else start.sampler_state
        found = temper(Program(functools.partial(program, *args, **kwargs)), sampler, as_key(key), report, state)
    done = f"{sampler.num_samples} draws in each of {sampler.num_chains} chains"
    text = found.unfinished or done
    return ProgramFit(
        draws=found.values,
        sample_stats=found.stats,
        log_evidence=found.details["log_evidence"],
        log_evidence_se=found.details["log_evidence_se"],
        status=Status(not found.unfinished, text, {**found.details, "interrupted": found.interrupted}),
        sampler_state=found.state,
    )
