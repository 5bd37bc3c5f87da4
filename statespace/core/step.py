"""What belongs to one time stamp, and the sequence of them that a scan runs over."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree, Shaped


class Step(eqx.Module):
    """One time stamp, or (with a leading axis on every field) a sequence of them.

    Attributes:
        index: Position of the stamp, 0 at the first stamp of the model's series.
        time: Time of the stamp in periods (regular series) or in days (irregular series).
        spacing: Time since the previous stamp, never used at the first one; None on a regular series, where it
            is 1 and what depends on it can be computed once.
        inputs: Values of the input columns at this stamp, or None.
        schedule: This stamp's slice of the model's own time-varying arrays, or None.
        previous: The observation at the stamp before, for a model that reads it (`AbstractStateSpace.reads_previous`);
            NaN before the first stamp, None for other models.
    """

    index: Int[Array, "*time"]
    time: Float[Array, "*time"]
    spacing: Float[Array, "*time"] | None = None
    inputs: Shaped[Array, "*time inputs"] | None = None
    schedule: PyTree = None
    previous: Float[Array, "*time series"] | None = None

    @property
    def dt(self) -> Float[Array, "*time"]:
        """Time since the previous stamp."""
        return jnp.ones(self.index.shape, self.time.dtype) if self.spacing is None else self.spacing

    def __getitem__(self, item) -> "Step":
        """The step or steps at a position or slice of the time axis."""
        return jax.tree.map(lambda leaf: leaf[item], self)

    def __len__(self) -> int:
        """The number of stamps."""
        return self.index.shape[0]


def make_steps(
    length: int,
    *,
    start: int | Int[Array, ""] = 0,
    time: Float[Array, " time"] | Float[np.ndarray, " time"] | None = None,
    dt: Float[Array, " time"] | Float[np.ndarray, " time"] | None = None,
    inputs: Shaped[Array, "time inputs"] | None = None,
    schedule: PyTree = None,
) -> Step:
    """The steps of `length` stamps, the first of them at position `start`.

    Args:
        length: Number of stamps.
        start: Position of the first of them; above 0 for forecasts and appended rows.
        time: Times of the stamps; their positions when left out.
        dt: Time since the previous stamp, where it is not always 1.
        inputs: Input values, one row a stamp.
        schedule: Arrays of the model with a leading axis over *all* positions from 0 on; the slice that
            belongs to these stamps is taken here.

    Returns:
        A `Step` with a leading time axis.

    Raises:
        ValueError: If the schedule ends before the stamps do.

    Example:
        >>> from statespace.core.step import make_steps
        >>> len(make_steps(3))
        3
    """
    index = jnp.arange(length) + start
    dtype = jnp.result_type(float)
    if schedule is not None:
        known = min(leaf.shape[0] for leaf in jax.tree.leaves(schedule))
        if isinstance(start, int) and known < start + length:
            raise ValueError(
                f"the model's time-varying arrays hold {known} stamps but stamps {start} to {start + length - 1} "
                "are needed; give arrays that cover the data and the forecast horizon"
            )
        schedule = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, length), schedule)
    return Step(
        index,
        jnp.asarray(index if time is None else time, dtype),
        None if dt is None else jnp.asarray(dt, dtype),
        inputs,
        schedule,
    )
