"""What the data added: prior and posterior densities of each parameter."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import style
from .density import density

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results import Fitted

PRIOR_DRAWS = 4000


class _Marginal(NamedTuple):
    """One element of a parameter: its draws, its prior's draws, its prior, its place in the parameter's shape."""

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
        ValueError: If a parameter does not exist or the number of Axes is wrong.

    Example:
        >>> fit = ss.fit(model, y, ss.NUTS(), key=key)  # doctest: +SKIP
        >>> axes = ss.plots.priors(fit, names=["level.scale", "noise.scale"])  # doctest: +SKIP
    """
    wanted = style.chosen(names, list(fitted.draws), "parameter")
    drawn = [
        element
        for name in wanted
        for element in _elements(name, np.asarray(fitted.draws[name], dtype=float), fitted.priors.get(name))
    ]
    panels = style.grid(len(drawn), axes, (3.6, 2.5), 2 if len(drawn) in (2, 4) else 3)
    for ax, element in zip(panels, drawn, strict=True):
        _draw(ax, element)
        style.title(ax, element.label)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.grid(False)
    style.legend(panels[0], loc="upper right")
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

    if prior is None:
        return None
    try:
        draws = np.asarray(prior.sample(jax.random.key(0), (PRIOR_DRAWS,)), dtype=float)
    except NotImplementedError:
        return None
    padded = draws.reshape(PRIOR_DRAWS, *(1,) * (len(shape) + 1 - draws.ndim), *draws.shape[1:])
    return np.broadcast_to(padded, (PRIOR_DRAWS, *shape))


def _draw(ax: "Axes", element: _Marginal) -> None:
    """Prior as a line, posterior as an area; a stroke for a parameter that does not vary."""
    x, (low, high) = _range(element), _support(element.prior)
    if element.prior_draws is not None:
        curve = _prior_density(element, x, low, high)
        ax.plot(x, curve, color=style.ORANGE, linestyle="--", linewidth=1.3, label="prior")
    if np.ptp(element.draws) == 0:
        ax.axvline(element.draws[0], color=style.BLUE, linewidth=1.6, label="posterior")
    else:
        curve = density(element.draws, x, low, high)
        ax.fill_between(x, 0, curve, color=style.BLUE, alpha=0.25, linewidth=0)
        ax.plot(x, curve, color=style.BLUE, linewidth=1.5, label="posterior")
    ax.set_xlim(x[0], x[-1])
    ax.set_ylim(bottom=0)


def _range(element: _Marginal) -> np.ndarray:
    """The posterior's range, widened to the prior's by no more than twice its own width to each side."""
    begin, end = np.quantile(element.draws, [0.001, 0.999])
    width = (end - begin) or max(abs(end), 1.0)
    low, high = begin - 0.15 * width, end + 0.15 * width
    if element.prior_draws is not None:
        first, last = np.quantile(element.prior_draws, [0.01, 0.99])
        low = min(low, max(first, begin - 2 * width))
        high = max(high, min(last, end + 2 * width))
    support = _support(element.prior)
    return np.linspace(max(low, support[0]), min(high, support[1]), 401)


def _prior_density(element: _Marginal, x: np.ndarray, low: float, high: float) -> np.ndarray:
    """The exact density of an element with a prior of its own, else one smoothed from the prior's draws."""
    if element.prior.event_shape:
        return density(element.prior_draws, x, low, high)
    inside = np.clip(x, np.nextafter(low, np.inf), np.nextafter(high, -np.inf))
    lifted = inside.reshape(-1, *(1,) * len(element.place))
    log_density = np.asarray(element.prior.log_prob(lifted))
    shape = np.broadcast_shapes(log_density.shape, (len(x), *(1,) * len(element.place)))
    full = np.broadcast_to(log_density, shape)
    place = tuple(i if size > 1 else 0 for i, size in zip(element.place, shape[1:], strict=True))
    return np.exp(full[(slice(None), *place)])


def _support(prior: Any) -> tuple[float, float]:
    """The ends of a prior's support that are single numbers, else infinite."""
    support = getattr(prior, "support", None)
    support = getattr(support, "base_constraint", support)
    ends = (getattr(support, "lower_bound", -np.inf), getattr(support, "upper_bound", np.inf))
    low, high = (
        float(end) if np.ndim(end) == 0 else infinite for end, infinite in zip(ends, (-np.inf, np.inf))
    )
    return low, high
