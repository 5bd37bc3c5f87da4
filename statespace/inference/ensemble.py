"""The ensemble Kalman filter and smoother as a method of the verbs."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..core.belief import Ensemble
from ..core.draws import sample_each
from ..core.scan import depends, forward
from ..core.step import Step
from ..models.base import AbstractMomentEmission, AbstractSignalEmission, AbstractStateSpace
from ..models.discrete import AbstractDiscreteDynamics
from .ensemble_maps import AbstractUpdate, centred, inflated, random_rotation
from .ensemble_smoother import smoothed_members
from .ensemble_update import Innovation, innovation, local_square_root, perturbed, square_root
from .localisation import Localisation
from .method import AbstractMethod, Observed, Plan
from .reports import EnsembleArrays, EnsembleSmootherArrays, member_components
from .statistics import log_jacobian, statistics

KINDS = ("perturbed", "square_root")
KEPT = ("moments", "members")


class Slot(NamedTuple):
    """One stamp's step, observation, mask, and keys of its forecast and of its analysis."""

    step: Step
    y: Float[Array, " series"]
    mask: Bool[Array, " series"]
    keys: Any


class Analysed(NamedTuple):
    """What one stamp did: the innovation, the map over members, and the members after it."""

    seen: Innovation
    update: AbstractUpdate
    members: Float[Array, "member ..."]


class EnsembleKalman(AbstractMethod):
    """The ensemble Kalman filter: Kalman's update with the covariances of a sample of states.

        x_i <- draw of the transition from x_i,     m, A: mean and anomalies,     y_i = E[y | x_i],     Y its anomalies
        x   <- x + A'Y (Y'Y + R)^-1 (y - y_i)

    No covariance of states is formed, so that states of 10^5 elements are served; the cost is that of the members times
    the series. It needs a transition that can be drawn from, and the conditional mean and covariance R of the emission
    (the members' mean of R where it depends on the state). It is exact for a linear-Gaussian model in the limit of
    many members; else it is biased, also in that limit.

    The log-likelihood is that of normal innovations with the members' moments; its bias falls as one over the number of
    members. With a fixed key it is a smooth function of the parameters. Where the emission names a statistic, that is
    filtered, as the linearised filters do. With all of a row missing a stamp is a forecast and nothing else.

    Args:
        num_members: Number of members.
        update: "perturbed": each member meets its own perturbed observation; "square_root": the symmetric square root
            (the ensemble transform), which with a localisation is done for each element of the state by itself.
        inflation: What the deviations from the mean are multiplied by after each update.
        rotate: Whether a random rotation that keeps mean and covariance follows each update; "square_root" only.
        localisation: How far observations reach. Perturbed: it multiplies the covariances of states with series and
            among series. Square root: it divides the noise of each series, whose noises are to be independent.
        lag: With how many later stamps `smooth` and `sample_states` update each one; all when left out.
        keep: What the filter keeps of each stamp: any of "moments", "members".

    Raises:
        ValueError: If an option is out of its range, or has no meaning for the update.
        TypeError: If the localisation is not one.

    Example:
        >>> EnsembleKalman(24, update="square_root", inflation=1.013, rotate=True).num_members
        24

    Reference: Evensen (2003), Ocean Dynamics 53; Hunt, Kostelich and Szunyogh (2007), Physica D 230; Sakov and Oke
    (2008), Tellus 60A; the smoother: Evensen and van Leeuwen (2000), Monthly Weather Review 128.
    """

    num_members: int = eqx.field(static=True, default=100)
    update: str = eqx.field(static=True, default="perturbed")
    inflation: float = eqx.field(static=True, default=1.0)
    rotate: bool = eqx.field(static=True, default=False)
    localisation: Localisation | None = None
    lag: int | None = eqx.field(static=True, default=None)
    keep: tuple[str, ...] = eqx.field(static=True, default=("moments",))

    random: ClassVar[bool] = True

    def __check_init__(self):
        if self.num_members < 2:
            raise ValueError(f"num_members must be at least 2, got {self.num_members}")
        if self.update not in KINDS:
            raise ValueError(f"update={self.update!r} is unknown: choose one of {', '.join(KINDS)}")
        if not self.inflation > 0:
            raise ValueError(f"inflation multiplies the spread and must be positive, got {self.inflation}")
        if self.rotate and self.update == "perturbed":
            raise ValueError('rotate=True belongs to update="square_root": perturbed observations need no rotation')
        if self.lag is not None and self.lag < 1:
            raise ValueError(f"lag must be at least 1, or None for all later stamps, got {self.lag}")
        if isinstance(self.keep, str) or any(name not in KEPT for name in self.keep):
            raise ValueError(f"keep={self.keep!r}: choose from {', '.join(map(repr, KEPT))} in a tuple")
        if self.localisation is not None and not isinstance(self.localisation, Localisation):
            raise TypeError(
                f"localisation is made by Localisation.from_coordinates or from_distances, got {self.localisation!r}"
            )

    def lacks(self, model: Any) -> str:
        """States of real numbers, and moments of the emission."""
        if not isinstance(model, AbstractStateSpace):
            return "is not a state-space model"
        if isinstance(model, AbstractDiscreteDynamics):
            return "has no states of real numbers"
        if not isinstance(model, AbstractMomentEmission):
            return "has no conditional moments of its emission (conditional_moments), only a law"
        return "has no laws that do without the observation before" if model.reads_previous else ""

    def check(self, model: Any, observed: Observed) -> None:
        """Raise a ValueError if the localisation is of another number of series or states."""
        if self.localisation is None:
            return
        expected, found = (len(model.state_names), observed.y.shape[1]), self.localisation.weights.shape
        if found != expected:
            raise ValueError(f"the localisation is of {found} states and series, but the model has {expected}")

    def log_likelihood(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> Float[Array, " time"]:
        """The terms log N(y_t; mean and covariance of the members' predictions)."""
        _, terms = self._run(model, observed, key, lambda found: found.seen.term, checkpoint=True)
        return terms + log_jacobian(model, observed)

    def filter(
        self, model: Any, observed: Observed, plan: Plan, belief: Ensemble | None = None, key: Any = None
    ) -> EnsembleArrays:
        """Moments of the members, their predictions of the observations, residuals and terms."""

        def summary(found: Analysed) -> EnsembleArrays:
            mean, spread = centred(_flat(found.members))
            variance, seen = jnp.sum(spread**2, axis=0), found.seen
            kept = {"moments": (mean, variance), "members": _flat(found.members)}
            return EnsembleArrays(
                seen.term,
                jnp.sqrt(jnp.mean(variance)),
                seen.mean,
                jnp.sqrt(seen.variance),
                jnp.where(seen.mask, seen.residuals, jnp.nan),
                {name: kept[name] for name in self.keep},
                None,
            )

        last, found = self._run(model, observed, key, summary, belief)
        terms = found.terms + log_jacobian(model, observed)
        return eqx.tree_at(lambda f: (f.terms, f.last), found, (terms, last), is_leaf=lambda x: x is None)

    def smooth(self, model: Any, observed: Observed, plan: Plan, key: Any = None) -> EnsembleSmootherArrays:
        """Moments of the members after the updates of later stamps."""
        members = self._smoothed(model, observed, key)
        flat = members.reshape(*members.shape[:2], -1)
        components = member_components(model, jnp.moveaxis(flat, 1, 0), observed.steps)
        kept = flat if "members" in self.keep else None
        return EnsembleSmootherArrays(jnp.mean(flat, axis=1), jnp.var(flat, axis=1, ddof=1), *components, kept)

    def sample_paths(
        self, model: Any, observed: Observed, plan: Plan, num_samples: int, key: Any
    ) -> Float[Array, "sample time *state"]:
        """The smoothed members' paths, in random order; repeated where more are asked for."""
        first, second = jax.random.split(key)
        paths = jnp.moveaxis(self._smoothed(model, observed, first), 1, 0)
        return Ensemble(paths).sample(second, num_samples)

    def _smoothed(self, model: Any, observed: Observed, key: Any) -> Float[Array, "time member *state"]:
        if self.localisation is not None and self.lag is None:
            raise ValueError(
                "with a localisation each stamp is updated by each later one in turn: pass lag=, the number of later "
                "stamps that matter"
            )
        _, (members, updates) = self._run(model, observed, key, lambda found: (found.members, found.update))
        flat = members.reshape(*members.shape[:2], -1)
        return smoothed_members(flat, updates, self.localisation, self.lag).reshape(members.shape)

    def _run(
        self,
        model: Any,
        observed: Observed,
        key: Any,
        summary: Callable[[Analysed], Any],
        belief: Ensemble | None = None,
        checkpoint: bool = False,
    ) -> tuple[Ensemble, Any]:
        start, rest = jax.random.split(key)
        keys = jax.random.split(rest, (len(observed.y), 2))
        slots = Slot(observed.steps, statistics(model, observed), observed.mask, keys)
        recursion, started = _Recursion(self, model, summary), belief is not None
        if belief is None:
            x = model.initial(observed.steps[0]).sample(start, (self.num_members,))
            belief = Ensemble(jnp.asarray(x, jnp.result_type(x.dtype, observed.y.dtype)))
        return forward(recursion, belief, slots, started=started, checkpoint=checkpoint)


class _Recursion(eqx.Module):
    """Forecast and analysis of one model by one method, keeping a summary of each stamp."""

    method: EnsembleKalman
    model: Any
    summary: Callable[[Analysed], Any]

    def predict(self, belief: Ensemble, slot: Slot) -> Ensemble:
        """Each member moves by the transition."""
        moved = sample_each(lambda x: self.model.transition(x, slot.step), belief.x, slot.keys[0])
        return Ensemble(moved.astype(belief.x.dtype))

    def update(self, belief: Ensemble, slot: Slot) -> tuple[Ensemble, Any]:
        """The members after the stamp's observation."""
        values, noise = predicted_moments(self.model, belief.x, slot.step)
        localisation, dtype = self.method.localisation, belief.x.dtype
        seen = innovation(values.astype(dtype), noise.astype(dtype), slot.y.astype(dtype), slot.mask, localisation)
        found, before = self._analysis(seen, slot), _flat(belief.x)
        after = inflated(found(before, localisation), self.method.inflation)
        after = jnp.where(jnp.any(slot.mask), after, before).reshape(belief.x.shape)
        return Ensemble(after), self.summary(Analysed(seen, found, after))

    def _analysis(self, seen: Innovation, slot: Slot) -> AbstractUpdate:
        method = self.method
        if method.update == "perturbed":
            return perturbed(seen, slot.keys[1])
        found = square_root(seen) if method.localisation is None else local_square_root(seen)
        if not method.rotate:
            return found
        size, dtype = seen.anomalies.shape[0], seen.anomalies.dtype
        turn = random_rotation(slot.keys[1], size, dtype)
        return found.turned(jnp.where(jnp.any(slot.mask), turn, jnp.eye(size, dtype=dtype)))


def predicted_moments(
    model: Any, members: Float[Array, "member *state"], step: Step
) -> tuple[Float[Array, "member series"], Float[Array, "series series"]]:
    """Mean of the observation given each member, and its covariance given the state, the mean over members.

    Of a function of a linear signal, those of its statistic.
    """

    def moments(x: Array) -> tuple[Array, Array]:
        if not isinstance(model, AbstractSignalEmission):
            return model.conditional_moments(x, step)
        signal = model.signal_matrices(step)
        mean, variance = model.signal_moments(signal.matrix @ x + signal.offset, step)
        return mean, jnp.diag(variance)

    if depends(lambda x: moments(x)[1], members[0]):
        values, noises = jax.vmap(moments)(members)
        return values, jnp.mean(noises, axis=0)
    return jax.vmap(lambda x: moments(x)[0])(members), moments(members[0])[1]


def _flat(members: Float[Array, "member *state"]) -> Float[Array, "member state"]:
    return members.reshape(members.shape[0], -1)
