"""A particle filter that proposes by a learned guide, as a method of the verbs."""

from typing import Any

import equinox as eqx

from ...core.belief import Particles
from ...models.deep import AbstractGuide, DeepStateSpace
from ..method import Observed, Plan
from ..particle import AbstractParticleFilter
from ..reports import ParticleArrays
from .moves import AmortisedMoves, Frame, Sequence


class AmortisedFilter(AbstractParticleFilter):
    """Particles of a deep model move by a guide, and are weighed by the ratio of densities.

    Its answers are the model's: a guide that has seen the future only proposes better, and at each stamp the particles
    are weighted by the data up to it. The guide's encoder reads a sequence from its beginning, so that a run with
    messages cannot be gone on with.

    Args:
        guide: The guide.
        num_particles: Number of particles.
        resampling: "systematic", "stratified", "residual" or "multinomial".
        threshold: Resample where the effective sample size falls to this share of the particles.
        keep: What to keep of each stamp: any of "moments", "quantiles", "genealogy", "history".
        smoother: "genealogy" (the default) or "lag"; "mcmc" and "exact" need a path without deterministic states.

    Raises:
        TypeError: If the guide is none.
        ValueError: If an option is out of its range.

    Example:
        >>> from statespace.models.deep import Guide, Prior
        >>> AmortisedFilter(guide=Guide(None, Prior()), num_particles=100).num_particles
        100

    Reference: Maddison et al. (2017), "Filtering variational objectives", NeurIPS, section 3.
    """

    smoother: str = eqx.field(static=True, default="genealogy")
    guide: AbstractGuide | None = None

    def __check_init__(self):
        if not isinstance(self.guide, AbstractGuide):
            raise TypeError(f"guide= takes a Guide, got {type(self.guide).__name__}")

    def lacks(self, model: Any) -> str:
        """A deep model."""
        return "" if isinstance(model, DeepStateSpace) else "is not a DeepStateSpace"

    def kac(self, model: Any) -> AmortisedMoves:
        """Move by the guide, weigh by the densities' ratio."""
        assert self.guide is not None
        return AmortisedMoves(model, self.guide, self.num_particles)

    def slots(self, model: Any, observed: Observed) -> Frame:
        """The stamps with the guide's messages."""
        assert self.guide is not None
        mask = None if observed.complete else observed.mask
        return Sequence(observed.y, mask, observed.steps).frames(model, self.guide, whole=False)

    def filter(
        self, model: Any, observed: Observed, plan: Plan, belief: Particles | None = None, key: Any = None
    ) -> ParticleArrays:
        """As of any particle filter.

        Raises:
            TypeError: If a run is gone on with by a guide that reads more than the stamp itself.
        """
        assert self.guide is not None
        if belief is not None and self.guide.direction != "none":
            raise TypeError(
                f"the guide reads the sequence {self.guide.direction}, from its beginning, so that rows cannot be "
                "appended to a run: filter the whole series again, or by BootstrapFilter()"
            )
        return super().filter(model, observed, plan, belief, key)
