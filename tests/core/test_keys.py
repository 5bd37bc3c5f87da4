"""What is taken for a PRNG key, wherever one is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from statespace.core.keys import as_key
from statespace.diagnostics import memory_capacity
from statespace.models.layers import Block, LayerNorm, Mamba, Stack
from statespace.models.recurrent import GRU
from statespace.models.reservoir import CycleCoupling, DenseCoupling, Reservoir, SparseCoupling


@pytest.mark.parametrize(
    "key", [3, np.int64(3), jax.random.key(3), jax.random.PRNGKey(3)], ids=["int", "numpy", "typed", "raw"]
)
def test_one_key_in_every_form(key):
    np.testing.assert_array_equal(jax.random.key_data(as_key(key)), jax.random.key_data(jax.random.key(3)))


@pytest.mark.parametrize("key", [None, True, 0.5, "seed", np.zeros(2), jnp.zeros(3, jnp.uint32)])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(TypeError, match="a PRNG key is"):
        as_key(key)


def test_several_keys_are_not_one():
    with pytest.raises(TypeError, match=r"shape \(4,\)"):
        as_key(jax.random.split(jax.random.key(0), 4))


def test_a_key_may_be_traced():
    found = jax.vmap(lambda key: jax.random.normal(as_key(key)))(jax.random.split(jax.random.key(0), 3))
    assert len(set(found.tolist())) == 3


MAKERS = {
    "cell": lambda key: GRU(2, 3, key=key),
    "norm": lambda key: LayerNorm(2, key=key),
    "block": lambda key: Block(GRU(2, 3, key=0), key=key),
    "stack": lambda key: Stack(1, 1, lambda key: GRU(2, 2, key=key), key=key),
    "mamba": lambda key: Mamba(2, key=key),
    "sparse": lambda key: SparseCoupling(5, 2, key=key),
    "dense": lambda key: DenseCoupling.random(5, key=key),
    "orthogonal": lambda key: DenseCoupling.orthogonal(5, key=key),
    "reservoir": lambda key: Reservoir(1, CycleCoupling(3), key=key),
}


@pytest.mark.parametrize("name", MAKERS)
def test_makers_take_a_whole_number_for_a_key(name):
    one, other = (jax.tree.leaves(MAKERS[name](key)) for key in (7, jax.random.key(7)))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(TypeError, match="a PRNG key is"):
        MAKERS[name]("seven")


def test_memory_refuses_what_is_no_key():
    with pytest.raises(TypeError, match="a PRNG key is"):
        memory_capacity(Reservoir(1, CycleCoupling(3), key=0), key="seven")
