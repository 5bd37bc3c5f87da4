"""An epoch of a full-size deep Markov model on Bach's chorales against the design of NumPyro's example, on the CPU.

Latent size 100, transition 200, emission 2 x 100, a GRU of 600 units behind an embedding of 600, batches of 20, Adam
behind a clipped gradient, single precision. The design of NumPyro's `stein_dmm` and Pyro's `dmm`: a model and a guide
that scan over sample sites under a mask (`numpyro.contrib.control_flow.scan`), a sampled KL (`Trace_ELBO`), all batches
padded to the longest sequence of the set. Two forms of it: as the example is, with observations as sites of the scan
and the GRU's inputs inside its loop; and as a careful user would write it, with inputs and emission computed for all
stamps at once. Its networks are ours. All sides hold the same weights: their bounds agree before anything is
timed. An epoch is put together from the fastest steps of each shape; then one is run by the trainer as it is.
"""

import functools
import os
import resource
import time

import statespace as ss  # before the first JAX computation: it sets the loop option

import jax  # isort: skip

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from jax.nn import relu, sigmoid, softplus
from numpyro.contrib.control_flow import scan
from numpyro.infer import SVI, Trace_ELBO

from statespace.core.parameters import parameters
from statespace.inference.amortised import ELBO, AmortisedSVI
from statespace.inference.amortised.batches import Corpus, epoch
from statespace.inference.amortised.training import Trainer
from statespace.inference.amortised.weights import Trainee
from statespace.models.deep import deep_markov_model

REPEATS = int(os.environ.get("STATESPACE_BENCH_REPEATS", "5"))
BATCH, KEYS, LATENT = 20, 88, 100
BUCKETS = int(os.environ.get("STATESPACE_BENCH_BUCKETS", "4"))
OPTIMIZER = optax.chain(optax.clip_by_global_norm(10.0), optax.adam(8e-4))


def affine(w, name, x):
    return x @ w[f"{name}.weights"].T + w[f"{name}.bias"]


def transition(w, z):
    move = "model.dynamics."
    gate = sigmoid(affine(w, move + "gate.layers1", relu(affine(w, move + "gate.layers0", z))))
    proposal = affine(w, move + "proposal.layers1", relu(affine(w, move + "proposal.layers0", z)))
    mean = (1 - gate) * affine(w, move + "linear", z) + gate * proposal
    return dist.Normal(mean, softplus(affine(w, move + "spread", relu(proposal))) + 1e-4)


def model(values, x, turned, inside, lengths, *, hoisted):
    """Sequences are (time, sequence, key)."""
    w = {name: numpyro.param(name, value) for name, value in values.items()}

    def step(z, slot):
        seen, notes = slot
        with numpyro.handlers.mask(mask=seen):
            z = numpyro.sample("z", transition(w, z).to_event(1))
            if not hoisted:
                numpyro.sample("x", emission(w, z), obs=notes)
        return z, z

    first = jnp.broadcast_to(w["model.dynamics.first"], (x.shape[1], LATENT))
    _, z = scan(step, first, (inside, x))
    if hoisted:
        with numpyro.handlers.mask(mask=inside):
            numpyro.sample("x", emission(w, z), obs=x)


def emission(w, z):
    o = relu(affine(w, "model.network.layers1", relu(affine(w, "model.network.layers0", z))))
    return dist.Bernoulli(logits=affine(w, "model.head", o)).to_event(1)


def guide(values, x, turned, inside, lengths, *, hoisted):
    w = {name: numpyro.param(name, value) for name, value in values.items()}
    messages = reverse(backward_gru(w, turned, inside, hoisted), lengths)

    def step(z, slot):
        message, seen = slot
        combined = 0.5 * (jnp.tanh(affine(w, "guide.proposal.previous", z)) + message)
        mean, sd = (affine(w, f"guide.proposal.{name}", combined) for name in ("mean", "spread"))
        with numpyro.handlers.mask(mask=seen):
            z = numpyro.sample("z", dist.Normal(mean, softplus(sd) + 1e-4).to_event(1))
        return z, None

    scan(step, jnp.broadcast_to(w["model.dynamics.first"], (x.shape[1], LATENT)), (messages, inside))


def backward_gru(w, turned, inside, hoisted):
    cell = "guide.encoder.backward."
    recurrent, bias = w[cell + "recurrent_weights"], w[cell + "recurrent_bias"]

    def drive(x):
        embedded = relu(affine(w, "guide.encoder.network.layers0", 2 * x - 1))
        return embedded @ w[cell + "input_weights"].T + w[cell + "bias"]

    def step(h, slot):
        u, seen = slot
        (ur, uz, un), (hr, hz, hn) = (
            jnp.split(part, 3, axis=-1) for part in (u if hoisted else drive(u), h @ recurrent.T)
        )
        r, z = sigmoid(ur + hr), sigmoid(uz + hz)
        after = (1 - z) * jnp.tanh(un + r * (hn + bias)) + z * h
        h = jnp.where(seen[:, None], after, h)
        return h, h

    slots = drive(turned) if hoisted else turned, inside
    return jax.lax.scan(step, jnp.zeros((turned.shape[1], len(bias))), slots)[1]


def reverse(x, lengths):
    """Each sequence turned around within its own length."""
    at = lengths - 1 - jnp.arange(len(x))[:, None]
    return jnp.take_along_axis(x, jnp.where(at >= 0, at, jnp.arange(len(x))[:, None])[:, :, None], axis=0)


def padded(rolls, longest):
    """A batch of the design of the example."""
    lengths = jnp.array([len(roll) for roll in rolls])
    x = jnp.asarray(np.stack([np.pad(roll, ((0, longest - len(roll)), (0, 0))) for roll in rolls], axis=1), jnp.float32)
    return x, reverse(x, lengths), jnp.arange(longest)[:, None] < lengths, lengths


def trainer(rolls):
    head = ss.BernoulliHead(0.1 * jax.random.normal(jax.random.key(1), (KEYS, 100)), jnp.zeros(KEYS))
    made, helper = deep_markov_model(KEYS, head=head, key=0)
    trainee = Trainee(made, helper)
    corpus = Corpus(rolls, [np.ones(roll.shape, bool) for roll in rolls], None, None, False)
    options = AmortisedSVI(helper, ELBO(), batch_size=BATCH, optimizer=optax.flatten(OPTIMIZER), num_buckets=BUCKETS)
    return Trainer(trainee, tuple(parameters(trainee)), corpus, None, {}, options, jax.random.key(0))


def compiled(name, function, *args):
    """The compiled function; prints how long that took and what it needs."""
    start = time.perf_counter()
    made = function.lower(*args).compile()
    took, space = time.perf_counter() - start, made.memory_analysis()
    scratch = "" if space is None else f", {space.temp_size_in_bytes / 2**20:6.0f} MiB of scratch"
    print(f"{name:28s} compiles in {took:5.1f} s{scratch}", flush=True)
    return made


def seconds(function, *args):
    start = time.perf_counter()
    jax.block_until_ready(function(*args))
    return time.perf_counter() - start


def quiet(*_):
    return None


def peer(hoisted):
    """NumPyro's inference over one form of the design."""
    made = [functools.partial(part, hoisted=hoisted) for part in (model, guide)]
    return SVI(*made, numpyro.optim.optax_to_numpyro(OPTIMIZER), Trace_ELBO())


def check(ours, values, svi, state, rolls, longest):
    """Raise an AssertionError unless both sides have one bound, up to the noise of sampling."""
    keys, total = range(8), sum(map(len, rolls))
    mine = [ours.bound(values, ours.corpus.taken(range(len(rolls))), jax.random.key(k)).item() for k in keys]
    parts = svi.model, svi.guide, values
    loss = jax.jit(lambda key, *batch: Trace_ELBO().loss(key, svi.get_params(state), *parts, *batch))
    theirs = [-float(loss(jax.random.key(k), *padded(rolls, longest))) / total for k in keys]
    error = np.hypot(np.std(mine), np.std(theirs)) / np.sqrt(len(keys))
    assert abs(np.mean(mine) - np.mean(theirs)) < 4 * error, (mine, theirs)
    print(f"bounds of the first weights: {np.mean(mine):.3f} and {np.mean(theirs):.3f} nats a frame", flush=True)


def main():
    rolls = [part.to_numpy() for part in ss.datasets.jsb_chorales().values()]
    longest = max(map(len, rolls))
    ours = trainer(rolls)
    begun = ours.begin()
    batch = padded(rolls[:BATCH], longest)
    peers = {}
    for name, hoisted in {"NumPyro, as the example": False, "NumPyro, inputs hoisted": True}.items():
        svi = peer(hoisted)
        state = svi.init(jax.random.key(0), begun.values, *batch)
        check(ours, begun.values, svi, state, rolls[:BATCH], longest)
        run = compiled(f"{name}, {BATCH} x {longest}", jax.jit(svi.update), state, begun.values, *batch)
        peers[name] = run, state

    key, zero, steps = jax.random.key(2), jnp.asarray(0), []
    for which, group in {group.length: (which, group) for which, group in epoch(ours.groups, 0)}.values():
        mine = ours.corpus.batch(which, group.length, group.size)
        args = (begun.values, begun.optimizer, None, mine, key, zero, jnp.asarray(False))
        run = compiled(f"statespace, {group.size} x {group.length}", ours.advance, *args)
        steps.append((run, args, group.count))
    times, slow = [[] for _ in steps], {name: [] for name in peers}
    for _ in range(REPEATS):
        for (run, args, _), found in zip(steps, times, strict=True):
            found.append(seconds(run, *args))
        for name, (run, state) in peers.items():
            slow[name].append(seconds(run, state, begun.values, *batch))
    fast = sum(count * min(found) for (_, _, count), found in zip(steps, times, strict=True))
    print(f"an epoch: statespace {fast:5.2f} s")
    for name, found in slow.items():
        other = len(rolls) / BATCH * min(found)
        print(f"an epoch: {name} {other:5.2f} s: {other / fast:.1f}x", flush=True)
    begun = ours.run(begun, ours.per_epoch, quiet, quiet).state  # compiles once more
    print(
        f"an epoch by the trainer: {seconds(lambda: ours.run(begun, ours.per_epoch, quiet, quiet).state.values):.2f} s"
    )
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
