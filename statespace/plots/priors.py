"""What the data added: prior and posterior densities of each parameter."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..results import is_repeated
from . import style
from .density import density

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results import Fitted

PRIOR_DRAWS = 4000


class _Marginal(NamedTuple):
    """One element of a parameter: its draws, its prior and draws of that, its place in the parameter."""

    label: str
    draws: np.ndarray
    prior: Any
    prior_draws: np.ndarray | None
    place: tuple[int, ...]


def priors(fitted: "Fitted", *, names: str | Sequence[str] | None = None, axes: Any = None) -> np.ndarray:
    """Draws the prior density of each parameter against the density of its posterior draws.

    The horizontal axis covers the posterior, and the prior as far as it is not much wider. Where both
    agree the data say nothing about the parameter; where the posterior sits in the prior's tail, they
    contradict each other. Densities of draws are reflected at the ends of the support.

    Args:
        fitted: What `statespace.fit` returned for a method that draws.
        names: Which parameters; all when left out. A vector gets a panel for each element.
        axes: Where to draw, one Axes an element; a new figure when left out.

    Returns:
        One Axes for each element of each parameter.

    Raises:
        TypeError: If the fit has no draws.
        ValueError: If a parameter does not exist or the number of Axes is wrong.

    Example:
        >>> fit = ss.fit(model, y, ss.NUTS(), key=key)  # doctest: +SKIP
        >>> axes = ss.plots.priors(fit, names=["level.scale", "noise.scale"])  # doctest: +SKIP
    """
    if fitted.draws is None:
        raise TypeError("a point estimate has no posterior draws to compare with the prior: fit with NUTS")
    wanted = style.chosen(names, list(fitted.draws), "parameter")
    drawn = [
        element
        for name in wanted
        for element in _elements(name, np.asarray(fitted.draws[name], dtype=float), fitted.priors.get(name))
        if not is_repeated(element.label, fitted.supports)
    ]
    panels = style.grid(len(drawn), axes, (3.6, 2.5), 2 if len(drawn) in (2, 4) else 3)
    for ax, element in zip(panels, drawn, strict=True):
        _draw(ax, element)
        style.title(ax, element.label)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.grid(False)
        ax.locator_params(axis="x", nbins=5)
    style.legend(panels[0], loc="best")
    return panels


def _elements(name: str, draws: np.ndarray, prior: Any) -> Iterator[_Marginal]:
    """Every element of a parameter of shape (chain, draw, ...)."""
    shape = draws.shape[2:]
    from_prior = _prior_draws(prior, shape)
    for place in np.ndindex(shape):
        label = f"{name}[{', '.join(map(str, place))}]" if place else name
        here = (..., *place)
        own = None if from_prior is None else from_prior[here]
        yield _Marginal(label, draws[here].ravel(), prior, own, place)


def _prior_draws(prior: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Draws of the whole parameter from its prior, (draw, ...); None for none or an improper one."""
    import jax

    if prior is None or isinstance(prior, str):  # a fit that was loaded has its priors in words
        return None
    try:
        draws = np.asarray(prior.sample(jax.random.key(0), (PRIOR_DRAWS,)), dtype=float)
    except NotImplementedError:
        return None
    padded = draws.reshape(PRIOR_DRAWS, *(1,) * (len(shape) + 1 - draws.ndim), *draws.shape[1:])
    return np.broadcast_to(padded, (PRIOR_DRAWS, *shape))


def _draw(ax: "Axes", element: _Marginal) -> None:
    """Prior as a line, posterior as an area; a stroke for a parameter that does not vary."""
    x, support = _range(element), _support(element)
    peaks: list[float] = []
    if element.prior_draws is not None:
        curve = _prior_density(element, element.prior_draws, x)
        ax.plot(x, curve, color=style.ORANGE, linestyle="--", linewidth=1.3, label="prior")
        peaks.append(np.nanmax(curve))
    if np.ptp(element.draws) == 0:
        ax.axvline(element.draws[0], color=style.BLUE, linewidth=1.6, label="posterior")
    else:
        curve = density(element.draws, x, *support)
        ax.fill_between(x, 0, curve, color=style.BLUE, alpha=0.25, linewidth=0)
        ax.plot(x, curve, color=style.BLUE, linewidth=1.5, label="posterior")
        peaks.append(curve.max())
    ax.set_xlim(2 * x[0] - x[1], 2 * x[-1] - x[-2])  # the ends that `_range` left out
    if peaks:  # a spike of the prior may leave the picture rather than flatten the posterior
        ax.set_ylim(0, 1.15 * min(max(peaks), 4 * peaks[-1]))


def _range(element: _Marginal) -> np.ndarray:
    """The posterior's range, widened to the prior's by no more than its own width to each side."""
    begin, end = np.quantile(element.draws, [0.001, 0.999])
    width = (end - begin) or max(abs(end), 1.0)
    low, high = begin - 0.15 * width, end + 0.15 * width
    if element.prior_draws is not None:
        first, last = np.quantile(element.prior_draws, [0.01, 0.99])
        low = min(low, max(first, begin - width))
        high = max(high, min(last, end + width))
    bottom, top = _support(element)
    # without the very ends, where a density may be infinite
    return np.linspace(max(low, bottom), min(high, top), 803)[1:-1]


def _prior_density(element: _Marginal, draws: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The exact density of an element with a prior of its own, else one smoothed from the prior's draws."""
    if element.prior.event_shape:
        return density(draws, x, *_support(element))
    column = x.reshape(-1, *(1,) * len(element.place))
    table = np.asarray(element.prior.log_prob(column), dtype=float)
    return np.exp([_at(row, element.place) for row in table])


def _support(element: _Marginal) -> tuple[float, float]:
    """The ends of an element's support, infinite where its prior names none."""
    support = getattr(element.prior, "support", None)
    support = getattr(support, "base_constraint", support)
    low, high = getattr(support, "lower_bound", -np.inf), getattr(support, "upper_bound", np.inf)
    return _at(low, element.place), _at(high, element.place)


def _at(values: Any, place: tuple[int, ...]) -> float:
    """One element of an array that may have fewer axes than its place, or axes of length one."""
    array = np.asarray(values, dtype=float)
    last = place[len(place) - array.ndim :]
    return float(array[tuple(i if size > 1 else 0 for i, size in zip(last, array.shape, strict=True))])
