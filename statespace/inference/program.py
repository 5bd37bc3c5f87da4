"""Any NumPyro program as a target that can be tempered: prior and likelihood apart."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpyro import handlers
from numpyro.distributions import biject_to


class Program(eqx.Module):
    """A NumPyro program.

    Attributes:
        function: The program, its arguments bound; its latent sites are continuous.
    """

    function: Callable[[], Any] = eqx.field(static=True)

    def draw(self, key: Any) -> dict[str, Array]:
        """Unconstrained values of the latent sites, drawn from the prior."""
        return {name: _transform(site).inv(site["value"]) for name, site in latent(self._seeded(key)).items()}

    def densities(self, z: dict[str, Array]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Log prior density with the Jacobian, and the log density of what was observed, factors included."""
        trace = self._at(z)
        prior = jnp.zeros(())
        for name, site in latent(trace).items():
            change = _transform(site).log_abs_det_jacobian(z[name], site["value"])
            prior = prior + _log_density(site) + jnp.sum(change)
        seen = [_log_density(site) for site in trace.values() if site["type"] == "sample" and site["is_observed"]]
        return prior, sum(seen, jnp.zeros(()))

    def natural(self, z: dict[str, Array]) -> dict[str, Array]:
        """Values of the latent and the deterministic sites."""
        trace = self._at(z)
        made = {name: site["value"] for name, site in trace.items() if site["type"] == "deterministic"}
        return {name: site["value"] for name, site in latent(trace).items()} | made

    def _seeded(self, key: Any) -> dict[str, Any]:
        return handlers.trace(handlers.seed(self.function, key)).get_trace()

    def _at(self, z: dict[str, Array]) -> dict[str, Any]:
        def value(site: dict[str, Any]) -> Any:
            return _transform(site)(z[site["name"]]) if site["name"] in z else None

        program = handlers.substitute(handlers.seed(self.function, jax.random.key(0)), substitute_fn=value)
        return handlers.trace(program).get_trace()


def latent(trace: dict[str, Any]) -> dict[str, Any]:
    """The sites that are learned.

    Raises:
        ValueError: If one is discrete.
    """
    found = {name: site for name, site in trace.items() if site["type"] == "sample" and not site["is_observed"]}
    for name, site in found.items():
        if site["fn"].support.is_discrete:
            raise ValueError(
                f"the site {name!r} is discrete: sum it out (a HiddenMarkov in ss.observe does), or hold it"
            )
    return found


def _transform(site: dict[str, Any]) -> Any:
    return biject_to(site["fn"].support)


def _log_density(site: dict[str, Any]) -> Float[Array, ""]:
    value = site["fn"].log_prob(site["value"])
    return jnp.sum(value if site["scale"] is None else site["scale"] * value)
