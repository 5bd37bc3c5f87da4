"""The Gaussian approximations by their rule of linearisation: extended, unscented, cubature, Gauss-Hermite."""

import equinox as eqx

from ..core.linearise import AbstractRule, Cubature, GaussHermite, Taylor, Unscented
from .linearised import AbstractLinearised


class ExtendedKalman(AbstractLinearised):
    """The extended Kalman filter and its smoother: first-order Taylor expansions at the means.

    With several iterations, the iterated filter: its update is the Gauss-Newton search for the mode given the
    predicted law.

    Args:
        iterations: How often each emission is linearised.

    Raises:
        ValueError: If iterations is below 1.

    Example:
        >>> ExtendedKalman(iterations=5).iterations
        5

    Reference: Jazwinski (1970), "Stochastic Processes and Filtering Theory", section 8.3; Bell and Cathey (1993).
    """

    iterations: int = eqx.field(static=True, default=1)

    @property
    def rule(self) -> AbstractRule:
        """Taylor's expansion."""
        return Taylor()


class UnscentedKalman(AbstractLinearised):
    """The unscented Kalman filter and its smoother: regression on the scaled unscented points.

    Args:
        alpha: Spread of the points, which lie at alpha sqrt(n + kappa) standard deviations.
        beta: Added to the weight of the centre in covariances (2 is best for a normal law and a quadratic function).
        kappa: Second spread; all weights are positive while alpha^2 (n + kappa) is at least n.
        iterations: How often each emission is linearised.

    Raises:
        ValueError: If a spread is not positive, or iterations is below 1.

    Example:
        >>> UnscentedKalman(beta=2.0).beta
        2.0

    Reference: Julier and Uhlmann (2004), "Unscented filtering and nonlinear estimation", Proceedings of the IEEE 92;
    Särkkä (2008), "Unscented Rauch-Tung-Striebel smoother", IEEE Transactions on Automatic Control 53.
    """

    alpha: float = eqx.field(static=True, default=1.0)
    beta: float = eqx.field(static=True, default=0.0)
    kappa: float = eqx.field(static=True, default=1.0)
    iterations: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if not self.alpha > 0 or not self.kappa > -1:
            raise ValueError(
                f"the points need a spread: alpha above 0 and kappa above -1, got {self.alpha} and {self.kappa}"
            )

    @property
    def rule(self) -> AbstractRule:
        """The unscented points."""
        return Unscented(self.alpha, self.beta, self.kappa)


class CubatureKalman(AbstractLinearised):
    """The cubature Kalman filter and its smoother: regression on 2 n points of equal weight.

    Args:
        iterations: How often each emission is linearised.

    Raises:
        ValueError: If iterations is below 1.

    Example:
        >>> CubatureKalman().iterations
        1

    Reference: Arasaratnam and Haykin (2009); Arasaratnam and Haykin (2011), "Cubature Kalman smoothers",
    Automatica 47.
    """

    iterations: int = eqx.field(static=True, default=1)

    @property
    def rule(self) -> AbstractRule:
        """The cubature points."""
        return Cubature()


class GaussHermiteKalman(AbstractLinearised):
    """The Gauss-Hermite (quadrature) Kalman filter and its smoother: regression on order^n points.

    A function of a linear signal takes `order` points for each series, whatever the size of the state.

    Args:
        order: Points in each direction.
        iterations: How often each emission is linearised.

    Raises:
        ValueError: If order is below 2, or iterations below 1.

    Example:
        >>> GaussHermiteKalman(order=5).order
        5

    Reference: Ito and Xiong (2000); Arasaratnam, Haykin and Elliott (2007).
    """

    order: int = eqx.field(static=True, default=3)
    iterations: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if not isinstance(self.order, int) or self.order < 2:
            raise ValueError(f"order is a whole number of at least 2, got {self.order!r}")

    @property
    def rule(self) -> AbstractRule:
        """The tensor product of Gauss-Hermite points."""
        return GaussHermite(self.order)
