"""The demonstration: one real series from data to a checked posterior and a forecast, in about a minute."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

import statespace as ss

from .commands import as_text
from .errors import CommandError
from .files import use_pictures, whole, write_figure

_CHAINS, _WARMUP, _HORIZON = 4, 500, 24
_INPUTS = ["log_petrol", "law"]


def demo(options: argparse.Namespace) -> None:
    """Fit the seatbelts series by NUTS, print the table, and write figures, the fit and the forecast."""
    use_pictures()
    folder = _folder(options.out)
    begin = time.perf_counter()
    drivers, inputs = _data()
    print(
        "Car drivers killed or seriously injured in Great Britain, monthly, 1969 to 1984 (logarithms):\n"
        "local linear trend + seasonal(12) + regression(log petrol price, seat-belt law) + noise\n"
        f"NUTS, {_CHAINS} chains of {options.samples} draws after {min(options.samples, _WARMUP)} adaptation steps ...",
        flush=True,
    )
    fitted = ss.fit(
        _model(),
        drivers,
        ss.NUTS(min(options.samples, _WARMUP), options.samples, _CHAINS, target_accept=0.9, dense_mass=True),
        inputs=inputs,
        transform="log",
        key=jax.random.key(0),
        progress=sys.stderr.isatty(),
    )
    print(f"\n{as_text(fitted.summary())}\n\n{_effect(fitted)}\n")
    future = ss.forecast(fitted, horizon=_HORIZON, inputs=_ahead(inputs), key=jax.random.key(1))
    written = _write(folder, fitted, future)
    print(f"written to {folder.resolve()}: {', '.join(written)}")
    print(f"{time.perf_counter() - begin:.0f} seconds in all")


def _data() -> tuple[pd.Series, pd.DataFrame]:
    """Drivers, and the inputs; petrol relative to its average, so that the trend is the level at that price."""
    data = ss.datasets.seatbelts()
    petrol = np.log(data["PetrolPrice"])
    return data["drivers"], data.assign(log_petrol=petrol - petrol.mean())[_INPUTS]  # pyright: ignore[reportReturnType]


def _model() -> ss.AbstractStateSpace:
    # N(0, 1) for an elasticity and for the logarithm of a ratio says little; without it the law, whose column is
    # zero for 169 months, would keep the diffuse phase (a slower recursion) open for as long
    prior = ss.InitialLaw.gaussian([0.0, 0.0], [1.0, 1.0])
    return ss.LocalLinearTrend() + ss.Seasonal(12) + ss.Regression(_INPUTS, initial=prior) + ss.Noise()


def _ahead(inputs: pd.DataFrame) -> pd.DataFrame:
    """The law stays and petrol keeps its last price: a scenario, not a forecast of the inputs."""
    last = inputs.index[-1]
    index = pd.date_range(last, periods=_HORIZON + 1, freq=inputs.index.freq, name=inputs.index.name)[1:]  # pyright: ignore[reportAttributeAccessIssue]
    return pd.DataFrame({name: inputs[name].iloc[-1] for name in inputs}, index)


def _effect(fitted: Any) -> str:
    """The effect of the law in per cent, from the draws of its coefficient."""
    low, middle, high = 100 * np.expm1(np.quantile(fitted.coefficients["regression.law"], [0.05, 0.5, 0.95]))
    return f"effect of the law: {middle:.0f} % (90 % interval {low:.0f} % to {high:.0f} %)"


def _write(folder: Path, fitted: Any, future: Any) -> list[str]:
    figures = {
        "forecast.png": lambda: ss.plots.forecast(future, history=96),
        "components.png": lambda: ss.plots.components(ss.smooth(fitted)),
        "diagnostics.png": lambda: ss.plots.diagnostics(ss.filter(fitted)),
        "priors.png": lambda: ss.plots.priors(fitted),
    }
    for name, draw in figures.items():
        write_figure(draw(), folder / name)
    fitted.save(folder / "fit.nc")
    with whole(folder / "forecast.csv") as temporary:
        future.to_pandas().to_csv(temporary)
    return [*figures, "fit.nc", "forecast.csv"]


def _folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise CommandError(f"{path} is a file: name a folder with --out")
    path.mkdir(parents=True, exist_ok=True)
    return path
