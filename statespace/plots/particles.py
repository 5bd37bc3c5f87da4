"""What a particle filter saw of the states, and how many particles carried it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results import ParticleFiltered

_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_FEW = 10  # effective particles below which a stamp rests on hardly any


def particles(
    filtered: "ParticleFiltered",
    *,
    names: str | Sequence[str] | None = None,
    observed: str | None = None,
    transform: Callable[[Any], Any] | None = None,
    axes: Any = None,
) -> np.ndarray:
    """Draws a fan for each state, and below them the effective sample size with the stamps of resampling.

    The fan is made of the quantiles, or of the particles themselves, where the filter kept them
    (`keep=("moments", "quantiles")` or `keep=("history",)`); else the 90 % band is that of a normal law with the kept
    moments. The dashed line is where particles are resampled; stamps on fewer than ten effective particles are marked.

    Args:
        filtered: What `statespace.filter` returned with a particle filter.
        names: Which states; all when left out, none for `()`.
        observed: The state in whose panel the data are drawn, where they are on its scale.
        transform: Increasing function of the states that is drawn in their place, such as `lambda x: np.exp(x / 2)` for
            the volatility of a log-variance.
        axes: Where to draw, one Axes for each state and one for the effective sample size; a new figure when left out.

    Returns:
        One Axes for each state, in the order of the names, and that of the effective sample size.

    Raises:
        TypeError: If the result is not that of a particle filter.
        ValueError: If a state does not exist, nothing of the states was kept, or the number of Axes is wrong.

    Example:
        >>> import statespace as ss
        >>> model = ss.StochasticVolatility(-1.02, 0.9702, 0.178)
        >>> found = ss.filter(model, ss.datasets.gbp_usd()[:10], ss.BootstrapFilter(500), key=0)
        >>> axes = ss.plots.particles(found)
        >>> [ax.get_title(loc="left") for ax in axes]
        ['log_variance', 'effective sample size']

    Reference: Chopin and Papaspiliopoulos (2020), "An Introduction to Sequential Monte Carlo", section 10.2.
    """
    style.expect(filtered, "ess", "filter")
    available = list(filtered.state_names)
    wanted = [] if names == () else style.chosen(names, available, "state")
    if observed is not None and observed not in wanted:
        raise ValueError(f"observed={observed!r} is no state that is drawn: there are {wanted}")
    fans = [_fan(filtered, available.index(name)) for name in wanted]
    heights = {"height_ratios": [*(1.5 for _ in wanted), 1.0]} if axes is None else {}
    panels = style.panels(len(wanted) + 1, 1, axes, (8, 2.3), sharex=True, **heights).ravel()
    x = style.times(filtered.index)
    for ax, name, (edges, remark) in zip(panels, wanted, fans, strict=False):
        _draw_fan(ax, x, edges if transform is None else [np.asarray(transform(edge)) for edge in edges])
        if name == observed:
            style.line(ax, x, _data(filtered), linestyle="none", marker=".", markersize=4, label="observed")
        style.title(ax, name, remark)
        if name in (wanted[0], observed):
            style.legend(ax)
    _draw_sizes(panels[-1], x, filtered)
    style.time_axis(panels[-1], filtered.index)
    return panels


def _fan(filtered: Any, state: int) -> tuple[list[np.ndarray], str]:
    """The edges of the fan from bottom to top, and what has to be said about them."""
    if filtered.quantiles is not None:
        return list(np.asarray(filtered.quantiles)[:, :, state].T), ""
    if filtered.particles is not None and filtered.log_weights is not None:
        cloud = np.asarray(filtered.particles).reshape(*filtered.particles.shape[:2], -1)[:, :, state]
        return _weighted_quantiles(cloud, np.exp(np.asarray(filtered.log_weights))), ""
    if filtered.mean is None or filtered.sd is None:
        raise ValueError('nothing of the states was kept: filter with keep=("moments", "quantiles"), or pass names=()')
    mean, half = np.asarray(filtered.mean)[:, state], style.normal_quantile(0.9) * np.asarray(filtered.sd)[:, state]
    return [mean - half, mean, mean + half], 'normal band from the moments: keep=("quantiles",) gives the fan'


def _weighted_quantiles(cloud: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Quantiles of each stamp's particles."""
    order = np.argsort(cloud, axis=1)
    values, total = np.take_along_axis(cloud, order, 1), np.cumsum(np.take_along_axis(weights, order, 1), axis=1)
    found = []
    for level in _LEVELS:
        place = np.minimum((total < level * total[:, -1:]).sum(axis=1), cloud.shape[1] - 1)
        found.append(np.take_along_axis(values, place[:, None], 1)[:, 0])
    return found


def _draw_fan(ax: "Axes", x: np.ndarray, edges: Sequence[np.ndarray]) -> None:
    """Nested bands about the middle line."""
    middle = len(edges) // 2
    names = (("90 %", 0.2),) if middle == 1 else (("90 %", 0.2), ("50 %", 0.45))
    for place, (name, strength) in enumerate(names):
        style.band(ax, x, edges[place], edges[-1 - place], color=style.tint(strength), label=name)
    style.line(ax, x, edges[middle], color=style.BLUE, linewidth=1.4, label="mean" if middle == 1 else "median")


def _data(filtered: Any) -> np.ndarray:
    """The one observed series, on the model's scale."""
    values = np.asarray(filtered.series.observed)
    if values.shape[1] != 1:
        raise ValueError(f"observed= draws one series, but the data have {values.shape[1]}: leave it out")
    return values[:, 0]


def _draw_sizes(ax: "Axes", x: np.ndarray, filtered: Any) -> None:
    """The effective sample size, where particles are resampled, and where hardly any are left."""
    size, ess = filtered.num_particles, np.asarray(filtered.ess)
    style.line(ax, x, ess, color=style.BLUE, linewidth=1.2)
    share = getattr(filtered.filter_method, "threshold", None)
    if share is not None and 0 < share < 1:
        ax.axhline(share * size, color=style.GREY, linewidth=0.9, linestyle=(0, (4, 3)), label="resampled below")
    few = ess < min(_FEW, 0.5 * size)
    if few.any():
        place = {"linestyle": "none", "marker": "v", "markersize": 5, "color": style.ORANGE}
        ax.plot(x[few], ess[few], **place, label=f"below {min(_FEW, 0.5 * size):g}")
    marks = x[np.asarray(filtered.resampled)]
    if len(marks):
        rug = ax.get_xaxis_transform()  # just above the axis, whatever the scale
        ax.vlines(marks, 0.0, 0.05, color=style.INK, linewidth=0.9, transform=rug, label="resampled")
    ax.set_ylim(0, 1.03 * size)
    style.title(ax, "effective sample size", f"{size} particles, resampled at {len(marks)} of {len(x)} stamps")
    style.legend(ax)
