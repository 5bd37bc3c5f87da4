"""Chorales: a deep model learned and scored as the papers do, with its record written to benchmarks/results.

Four canonical splits of quarter notes are 229 / 76 / 77 chorales. Scores are nats a frame on the test set, summed over
all frames, and each stands with its bound, its number of particles and its average. Published, same data: deep Markov
model 6.926 (ELBO, b) and 6.388 (importance sampling with 2000 samples, a), Krishnan et al. (2017), table 3; STORN 6.91;
Pyro's deep Markov model 6.87 (ELBO, b); VRNN with FIVO-4 about 6, Maddison et al. (2017). A first-order Markov chain of
each key has 10.47.

    python benchmarks/deep_chorales.py MODEL [--latent 32] [--hidden 128] [--steps 6000] [...]
"""

import argparse
import json
import time
from pathlib import Path

import matplotlib
import optax

import statespace as ss

RESULTS = Path(__file__).parent / "results"
BASELINES = {"independent keys": -11.06, "first-order Markov": -10.47}


def made(arguments):
    """Model and guide."""
    latent, hidden, key = arguments.latent, arguments.hidden, arguments.seed
    if arguments.model == "dmm":
        return ss.deep_markov_model(
            88,
            latent=latent,
            transition=2 * latent,
            emission=(100, 100),
            encoder=hidden,
            inference=arguments.inference,
            key=key,
        )
    assembly = {"vrnn": ss.vrnn, "srnn": ss.srnn, "storn": ss.storn}[arguments.model]
    return assembly(88, latent=latent, hidden=hidden, key=key)


def objective(arguments):
    """The bound that is climbed."""
    if arguments.objective == "elbo":
        return ss.ELBO(kl_warmup=arguments.warmup)
    return {"iwae": ss.IWAE, "fivo": ss.FIVO}[arguments.objective](arguments.particles)


def parsed():
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", choices=["dmm", "vrnn", "srnn", "storn"])
    parser.add_argument("--inference", default="DKS")
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--objective", default="elbo", choices=["elbo", "iwae", "fivo"])
    parser.add_argument("--particles", type=int, default=4)
    parser.add_argument("--warmup", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--patience", type=int, default=20)
    parser.add_argument("--decay", type=float, default=1e-4, help="weight decay")
    parser.add_argument("--fivo", type=int, default=128, help="particles of the final score")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default=None)
    return parser.parse_args()


def main():
    """Learn, score, write."""
    arguments = parsed()
    name = arguments.name or f"chorales_{arguments.model}_{arguments.objective}"
    train, valid, test = (ss.datasets.jsb_chorales(split) for split in ("train", "valid", "test"))
    model, guide = made(arguments)
    schedule = optax.cosine_decay_schedule(arguments.rate, arguments.steps, 0.05)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=arguments.decay))
    method = ss.SVI(
        guide,
        objective=objective(arguments),
        num_steps=arguments.steps,
        optimizer=optimizer,
        evaluate_every=100,
        patience=arguments.patience,
    )
    begun = time.perf_counter()
    fit = ss.fit(model, train, method, held_out=valid, key=arguments.seed)
    seconds = time.perf_counter() - begun
    scores = {
        "ELBO-1 (b)": ss.evaluate(fit, test, bound="elbo", num_particles=1, repeats=10, key=1),
        "IWAE-128": ss.evaluate(fit, test, bound="iwae", num_particles=128, repeats=3, key=2),
        f"FIVO-{arguments.fivo}": ss.evaluate(fit, test, bound="fivo", num_particles=arguments.fivo, repeats=3, key=3),
    }
    report = ss.collapse_report(fit, test, key=4)
    record = {
        "settings": vars(arguments),
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(seconds),
        "status": fit.status.message,
        "test_nats_a_frame": {
            kind: found.table()[["value", "mc_error"]].round(4).to_dict("index") for kind, found in scores.items()
        },
        "active_units": report.attrs["active_units"],
        "divergence_nats_a_frame": round(float(report["divergence"].sum()), 4),
        "baselines": BASELINES,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    matplotlib.use("Agg")
    axes = ss.plots.training(fit, baselines=ss.diagnostics.baselines(train, valid))
    axes[0].figure.savefig(RESULTS / f"{name}.png", dpi=100, bbox_inches="tight")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
