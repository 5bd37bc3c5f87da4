"""Options of learning a deep model together with a guide."""

import os
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import optax

from ...models.deep import AbstractGuide, DeepStateSpace
from ...models.weights import check_choice
from ..method import AbstractMethod
from .filter import AmortisedFilter
from .hiding import AbstractHiding, HiddenElements
from .objectives import ELBO, FIVO, AbstractObjective

_RATE, _CLIP, _SAMPLES = 1e-3, 10.0, 200  # unless told otherwise


def _hiding(value: Any) -> Any:
    """A share of elements, or what hides in other ways."""
    return HiddenElements(value) if isinstance(value, float) else value


class AmortisedSVI(eqx.Module):
    """Learn a deep model and an amortised guide by stochastic gradients of a bound over batches of sequences.

        maximise  sum over sequences of bound(model, guide, y) + log prior      over the weights of both

    The guide is an answer, too: filters, smoothers and forecasts of the fit propose by it. The weights are point
    estimates; those that are given priors, posterior modes, or draws of normal laws that are learned with the rest.

    Args:
        guide: The guide.
        objective: `ELBO()`, `IWAE()` or `FIVO()`.
        num_steps: Steps, of one batch each.
        batch_size: About how many sequences there are in a batch; fewer where there are fewer.
        learning_rate: Step size of Adam, or an `optax` schedule of it.
        clip: Largest global norm of a gradient.
        optimizer: An `optax` transformation in place of Adam behind the clipping. A fit that has one, or a schedule,
            cannot be gone on with from a file (but from a checkpoint).
        hide: What is hidden from the guide's encoder at each step, though not from the likelihood, so that it learns to
            fill gaps: `HiddenElements`, `HiddenStretches`, or a number, the share of elements. Nothing when left out.
        weights: What is learned of the model's weights that have priors: "mode", or "normal", a normal law of each
            (on the unconstrained scale, independent), from which the fit has draws. Of others, a value.
        num_samples: Number of these draws.
        num_buckets: Largest number of lengths to which sequences are padded: each is compiled.
        window: Stamps of a part of a sequence, where sequences are long: gradients do not flow beyond it, particles and
            the state of a forward encoder are carried on. Whole sequences when left out.
        num_seeds: Fits from so many draws of the first weights, side by side; the one with the best bound stays.
        evaluate_every: Steps between evaluations of the held-out bound, after which the state is written to the
            checkpoint; once an epoch when left out.
        patience: Evaluations without a better held-out bound after which learning ends; never when left out.
        checkpoint: Path of a file (.npz) that holds the state of learning: `fit` called again goes on from it.

    Raises:
        TypeError: If the guide or the objective is something else.
        ValueError: If a number is out of its range.

    Example:
        >>> from statespace.models.deep import Guide, Prior
        >>> AmortisedSVI(Guide(None, Prior()), num_steps=10).objective.name
        'ELBO'

    Reference: Krishnan, Shalit and Sontag (2017), "Structured inference networks for nonlinear state space models".
    """

    guide: AbstractGuide
    objective: AbstractObjective = ELBO()
    num_steps: int = eqx.field(static=True, default=2000)
    batch_size: int = eqx.field(static=True, default=20)
    learning_rate: float | Callable[[Any], Any] = eqx.field(static=True, default=_RATE)
    clip: float = eqx.field(static=True, default=_CLIP)
    optimizer: Any = eqx.field(static=True, default=None)
    hide: AbstractHiding | None = eqx.field(static=True, default=None, converter=_hiding)
    weights: str = eqx.field(static=True, default="mode")
    num_samples: int = eqx.field(static=True, default=_SAMPLES)
    num_buckets: int = eqx.field(static=True, default=3)
    window: int | None = eqx.field(static=True, default=None)
    num_seeds: int = eqx.field(static=True, default=1)
    evaluate_every: int | None = eqx.field(static=True, default=None)
    patience: int | None = eqx.field(static=True, default=None)
    checkpoint: str | os.PathLike | None = eqx.field(static=True, default=None)

    name: ClassVar[str] = "amortised_svi"

    def __check_init__(self):
        if not isinstance(self.guide, AbstractGuide):
            raise TypeError(f"guide= takes a Guide, got {type(self.guide).__name__}")
        if not isinstance(self.objective, AbstractObjective):
            raise TypeError(f"objective= takes ELBO(), IWAE() or FIVO(), got {self.objective!r}")
        counts = {name: getattr(self, name) for name in _COUNTS}
        counts |= {name: 1 if getattr(self, name) is None else getattr(self, name) for name in _OPTIONAL}
        for name, count in counts.items():
            if not isinstance(count, int) or count < 1:
                raise ValueError(f"{name} is {count!r}, expected a whole number of at least 1")
        if self.hide is not None and not isinstance(self.hide, AbstractHiding):
            raise TypeError(f"hide= takes HiddenElements, HiddenStretches or a share, got {self.hide!r}")
        check_choice("weights", self.weights, ("mode", "normal"))
        rate = self.learning_rate
        if not callable(rate) and not rate > 0:
            raise ValueError(f"learning_rate is {rate!r}, expected a number above 0 or a schedule")
        if self.window is not None and not self.objective.cuts:
            name = self.objective.name
            raise ValueError(f"{name} weighs sequences as a whole: leave window= out, or take ELBO() or FIVO()")
        if self.optimizer is not None and (rate != _RATE or self.clip != _CLIP):
            raise ValueError("optimizer= has its own learning rate and clipping: leave learning_rate= and clip= out")
        if self.weights == "mode" and self.num_samples != _SAMPLES:
            raise ValueError('num_samples= counts draws of weights with laws: pass weights="normal" with it')
        if self.guide.twisted and not isinstance(self.objective, FIVO):
            raise ValueError(f"a twist is learned by FIVO(), not by {self.objective.name}: leave it out of the guide")
        if not self.clip > 0:
            raise ValueError(f"clip is {self.clip!r}, expected a norm above 0")

    @property
    def filter(self) -> AbstractMethod:
        """What the fit filters and forecasts with: particles that the guide proposes."""
        return AmortisedFilter(guide=self.guide)

    def lacks(self, model: Any) -> str:
        """A deep model."""
        return "" if isinstance(model, DeepStateSpace) else "is not a DeepStateSpace, which a Guide is made for"

    def transformation(self) -> optax.GradientTransformation:
        """The optimiser."""
        if self.optimizer is not None:
            return self.optimizer
        both = optax.chain(optax.clip_by_global_norm(self.clip), optax.adam(self.learning_rate))
        return optax.flatten(both)  # one vector: compiled in less time, and faster


_COUNTS = ("num_steps", "batch_size", "num_samples", "num_buckets", "num_seeds")
_OPTIONAL = ("evaluate_every", "patience", "window")
