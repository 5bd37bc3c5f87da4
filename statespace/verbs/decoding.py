"""viterbi."""

from typing import Any

import equinox as eqx
import numpy as np

from ..inference.discrete import ForwardBackward
from ..inference.method import AbstractMethod
from .door import known_problem
from .filtering import prepared_for
from .labelling import label_paths
from .panel import for_each_member


@for_each_member
def viterbi(
    model: Any,
    data: Any = None,
    method: AbstractMethod | None = None,
    *,
    inputs: Any = None,
    times: Any = None,
) -> Any:
    """The most likely path of discrete states given all data.

        argmax p(x_1, ..., x_T | y_1, ..., y_T)

    The states of this path need not be the likeliest ones stamp by stamp, which `smooth` gives: a path has to be
    possible as a whole.

    Args:
        model: Model with discrete states and known parameters, or a fit (its estimates, or the mean of its draws).
        data: Series, (time,) or (time, series); the fit's own when left out.
        method: `ForwardBackward()`, with its options; meant when left out.
        inputs: Input columns, if the model reads any.
        times: Stamps of data that carry none.

    Returns:
        An `xarray.DataArray` (time,) of the states' numbers; its `attrs` hold their names.

    Raises:
        ValueError: If a parameter is unknown or data and model do not fit together.
        TypeError: If the states are not discrete.

    Example:
        >>> import numpyro.distributions as dist, statespace as ss
        >>> model = ss.HiddenMarkov(
        ...     2, dist.Normal, initial="stationary", transition=[[0.9, 0.1], [0.1, 0.9]], loc=[0.0, 5.0], scale=1.0)
        >>> ss.viterbi(model, [0.1, -0.3, 2.6, 5.2, 4.9]).values.tolist()
        [0, 0, 1, 1, 1]

    Reference: Viterbi (1967), IEEE Transactions on Information Theory 13.
    """
    prepared, method = prepared_for(model, data, method or ForwardBackward(), inputs, times, "viterbi")
    if not isinstance(method, ForwardBackward):
        raise TypeError(f"viterbi takes ForwardBackward(), got {method!r}")
    return label_paths(np.asarray(_path(known_problem(prepared.model, prepared.series, method))), prepared)


@eqx.filter_jit
def _path(problem: Any) -> Any:
    return problem.method.most_likely_path(problem.at({}), problem.observed)
