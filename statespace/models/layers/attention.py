"""Attention as a linear recurrence: the state is a sum of products of keys and values."""

import math
from dataclasses import KW_ONLY
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ...core.diagonal import part_of_step
from ...core.parameters import Unknown
from ...core.recurrence import Method, linear_recurrence
from ..weights import check_choice, check_counts, normal, set_weights, weight
from .layer import AbstractLayer, silenced

_CHUNK = 64
_TEMPER = 16.0  # gates are logistic functions to the power 1/16, near one at the start


class LinearAttention(AbstractLayer):
    """Causal attention with a kernel of products of features, read after the write.

        S[t] = a[t] S[t-1] + phi(k[t]) v[t]',      n[t] = a[t] n[t-1] + phi(k[t])
        y[t] = phi(q[t])' S[t] / phi(q[t])' n[t]

    in each head, with q, k, v affine in u; outputs of the heads are mixed by W_out. The factor a is

    - one (decay None): all of the past counts alike;
    - 1 - 2^(-5-h) in head h (`"fixed"`, as in RetNet);
    - a logistic function of the input to the power 1/16 for each key feature (`"gated"`, as in gated linear attention).

    With dt a decayed layer holds its input: a becomes a^dt and the write is scaled so that two steps of half the
    length are one step. The feature map is elu + 1, which is positive; or the identity (and queries times
    1 / sqrt(key_size)), which has no normaliser.

    Args:
        features: Number of inputs, and of outputs.
        heads: Number of heads.
        key_size: Features of a key; features / heads when left out.
        decay: None, `"fixed"` or `"gated"`.
        feature_map: `"elu"` or `"identity"`.
        normalised: Whether outputs are divided by the normaliser; as the feature map allows when left out.
        key: PRNG key of the weights; they are unknown when it is left out.

    Raises:
        ValueError: If a size is below 1, heads do not divide the features, an option is unknown, or a normaliser is
            asked for with the identity.

    Example:
        >>> LinearAttention(4, 2, decay="fixed").reads_dt  # with key=jax.random.key(0) its weights are drawn
        True

    Reference: Katharopoulos et al. (2020), "Transformers are RNNs", eqs. 18-20; Sun et al. (2023), "Retentive network";
    Yang et al. (2024), "Gated linear attention transformers with hardware-efficient training".
    """

    queries: Float[Array, "keys features"] | Unknown = weight(lambda self: (self.heads * self.keys, self.size), normal)
    keyed: Float[Array, "keys features"] | Unknown = weight(lambda self: (self.heads * self.keys, self.size), normal)
    values: Float[Array, "features features"] | Unknown = weight(lambda self: (self.size, self.size), normal)
    out: Float[Array, "features features"] | Unknown = weight(lambda self: (self.size, self.size), normal)
    gates: Float[Array, "keys features"] | Unknown = weight(
        lambda self: (self.heads * self.keys, self.size), normal, active=lambda self: self.decay == "gated"
    )
    _: KW_ONLY  # the fields below have no default, those above have
    size: int = eqx.field(static=True)
    heads: int = eqx.field(static=True)
    keys: int = eqx.field(static=True)
    decay: str | None = eqx.field(static=True)
    feature_map: str = eqx.field(static=True)
    normalised: bool = eqx.field(static=True)

    def __init__(
        self,
        features: int,
        heads: int = 1,
        *,
        key_size: int | None = None,
        decay: Literal["fixed", "gated"] | None = None,
        feature_map: Literal["elu", "identity"] = "elu",
        normalised: bool | None = None,
        key: Any = None,
    ):
        check_counts(features=features, heads=heads)
        if features % heads:
            raise ValueError(f"{features} features do not divide among {heads} heads")
        key_size = features // heads if key_size is None else key_size
        check_counts(key_size=key_size)
        self.size, self.heads, self.keys = features, heads, key_size
        self.decay = None if decay is None else check_choice("decay", decay, ("fixed", "gated"))
        self.feature_map = check_choice("feature_map", feature_map, ("elu", "identity"))
        self.normalised = feature_map == "elu" if normalised is None else bool(normalised)
        if self.normalised and feature_map != "elu":
            raise ValueError('a normaliser needs positive features: feature_map="elu", or normalised=False')
        set_weights(self, key)

    @property
    def input_size(self) -> int:
        """Number of inputs of a step."""
        return self.size

    @property
    def output_size(self) -> int:
        """Number of outputs of a step."""
        return self.size

    @property
    def reads_dt(self) -> bool:
        """Whether a step depends on the time since the one before: only where the past decays."""
        return self.decay is not None

    def start(self) -> Float[Array, "heads keys columns"]:
        """The state before the first input, zero: S with n as its last column."""
        return jnp.zeros((self.heads, self.keys, self.size // self.heads + 1), self.values.dtype)

    def parts(
        self, u: Float[Array, "*steps features"], dt: Any = None
    ) -> tuple[Array, Array, Array, Float[Array, "..."]]:
        """Features of queries and keys, values with a one at the end, and the logarithms of a, all by head."""
        columns = self.keys, self.keys, self.size // self.heads
        weights = self.queries, self.keyed, self.values
        q, k, v = (
            jnp.reshape(u @ w.T, (*u.shape[:-1], self.heads, each)) for w, each in zip(weights, columns, strict=True)
        )
        q, k = (jax.nn.elu(q) + 1, jax.nn.elu(k) + 1) if self.feature_map == "elu" else (q / math.sqrt(self.keys), k)
        log_a = self.log_factors(u)
        if dt is not None:
            dt = jnp.asarray(dt, k.dtype)[..., None, None]
            k, log_a = part_of_step(log_a, dt)[1] * k, dt * log_a
        return q, k, jnp.concatenate([v, jnp.ones_like(v[..., :1])], axis=-1), log_a

    def log_factors(self, u: Float[Array, "*steps features"]) -> Float[Array, "..."]:
        """The logarithms of a, for each key feature if gated, else (heads, 1)."""
        if self.decay == "gated":
            gates = jax.nn.log_sigmoid(u @ self.gates.T) / _TEMPER
            return gates.reshape(*u.shape[:-1], self.heads, self.keys)
        fixed = jnp.log1p(-(2.0 ** -(5.0 + jnp.arange(self.heads, dtype=u.dtype))))
        return (fixed if self.decay == "fixed" else jnp.zeros_like(fixed))[:, None]

    def read(
        self, q: Float[Array, "*steps heads keys"], s: Float[Array, "*steps heads keys columns"]
    ) -> Float[Array, "*steps features"]:
        """The outputs from the queries and the states after the write."""
        return self.mixed(jnp.einsum("...hk,...hkv->...hv", q, s))

    def mixed(self, heads: Float[Array, "*steps heads columns"]) -> Float[Array, "*steps features"]:
        """The heads' sums over the past, normalised and mixed."""
        total, weight = heads[..., :-1], heads[..., -1:]
        if self.normalised:
            some = weight > 0  # not so where nothing has been written yet
            total = jnp.where(some, total, 0.0) / jnp.where(some, weight, 1.0)
        return total.reshape(*total.shape[:-2], self.size) @ self.out.T

    def step(
        self, state: Float[Array, "heads keys columns"], u: Float[Array, " features"], dt: Any = None
    ) -> tuple[Float[Array, "heads keys columns"], Float[Array, " features"]]:
        """The state after an input, and the output.

        Args:
            state: The state before.
            u: The input.
            dt: Time since the step before, for a layer that decays; 1 when left out.
        """
        if dt is not None and not self.reads_dt:
            dt = None
        q, k, v, log_a = self.parts(u, dt)
        state = jnp.exp(log_a)[..., None] * state + k[..., None] * v[..., None, :]
        return state, self.read(q, state)

    def scan(
        self,
        u: Float[Array, "time features"],
        state: Float[Array, "heads keys columns"] | None = None,
        *,
        dt: Float[Array, " time"] | None = None,
        mask: Bool[Array, " time"] | None = None,
        method: Method = "auto",
    ) -> tuple[Float[Array, "time features"], Float[Array, "heads keys columns"]]:
        """All outputs, and the last state; as `AbstractLayer.scan`.

        `"chunked"`, where a is one number for each head, keeps no states: within a chunk it is attention, by products
        of matrices. That is what `"auto"` takes there. `"fft"` does not serve gates.
        """
        self.check_scan(u, dt, mask, method)
        u, state = silenced(u, mask), self.start() if state is None else state
        q, k, v, log_a = self.parts(u, dt)
        gated = self.decay == "gated"
        if not gated and method in ("auto", "chunked"):
            outputs, last = _in_chunks(q, k, v, jnp.broadcast_to(log_a[..., 0], q.shape[:2]), state, mask)
            return silenced(self.mixed(outputs), mask), last
        factor = jnp.exp(log_a)[..., None]
        whole = factor.shape[:-3] + state.shape
        added = k[..., None] * v[..., None, :]
        states = linear_recurrence(jnp.broadcast_to(factor, whole), added, state, method, mask=mask)
        return silenced(self.read(q, states), mask), states[-1] if len(u) else state


def _in_chunks(
    q: Array, k: Array, v: Array, log_a: Array, state: Array, mask: Array | None
) -> tuple[Float[Array, "time heads columns"], Array]:
    """Sums q[t]' S[t] and the last S: attention within chunks, the state from chunk to chunk."""
    if mask is not None:
        k = jnp.where(mask[:, None, None], k, 0.0)
        log_a = jnp.where(mask[:, None], log_a, 0.0)
    length = len(q)
    size = min(_CHUNK, max(length, 1))

    def rows(x: Array) -> Array:
        padded = jnp.pad(x, ((0, -length % size), *((0, 0),) * (x.ndim - 1)))
        return padded.reshape(-1, size, *x.shape[1:])

    def body(state: Array, row: Any) -> tuple[Array, Array]:
        q, k, v, log_a = row
        within = jnp.exp(_segments(log_a))  # (to, from, heads)
        since = jnp.exp(jnp.cumsum(log_a, axis=0))
        scores = jnp.einsum("thk,shk->tsh", q, k) * within
        read = jnp.einsum("tsh,shv->thv", scores, v) + since[..., None] * jnp.einsum("thk,hkv->thv", q, state)
        added = jnp.einsum("sh,shk,shv->hkv", within[-1], k, v)
        return since[-1][:, None, None] * state + added, read

    last, outputs = lax.scan(body, state, tuple(rows(x) for x in (q, k, v, log_a)))
    return outputs.reshape(-1, *outputs.shape[2:])[:length], last


def _segments(log_a: Float[Array, "time heads"]) -> Float[Array, "time time heads"]:
    """Sums of log_a after stamp s up to stamp t; minus infinity where s is after t."""
    size = len(log_a)
    later = jnp.tril(jnp.ones((size, size), bool), -1)[..., None]
    # a difference of two cumulative sums would cancel after a long gap
    sums = jnp.cumsum(jnp.where(later, log_a[:, None], 0.0), axis=0)
    return jnp.where(jnp.tril(jnp.ones((size, size), bool))[..., None], sums, -jnp.inf)
