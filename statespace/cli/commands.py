"""The commands fit, forecast and info."""

import argparse
import sys
from typing import Any

import jax
import pandas as pd

import statespace as ss

from .errors import CommandError
from .files import check_target, read_fit, read_table, use_pictures, whole, write_figure
from .language import build, input_columns, parse

_FITS, _CSV, _PICTURES = (".nc", ".zarr"), (".csv",), (".png", ".svg", ".pdf")


def fit(options: argparse.Namespace) -> None:
    """Fit a model to a column of a csv file and save the fit."""
    check_target(options.out, _FITS)
    method, key = _method(options)
    terms = parse(options.model)
    columns = list(dict.fromkeys(input_columns(terms)))
    if options.value in columns:
        raise CommandError(f"--value {options.value} is also an input of --model: remove it from regression(...)")
    table = read_table(options.file, options.date, [options.value, *columns], options.freq)
    fitted = ss.fit(
        build(terms, table.index),
        table[options.value],
        method,
        inputs=table[columns] if columns else None,
        transform=options.transform,
        key=key,
        progress=sys.stderr.isatty(),
    )
    fitted.save(options.out)
    print(as_text(fitted.summary()))
    print(f"\n{fitted.status.message}\nwritten: {options.out}")


def forecast(options: argparse.Namespace) -> None:
    """Forecast from a saved fit into a csv file, and a picture if asked for."""
    check_target(options.out, _CSV)
    if options.plot is not None:
        check_target(options.plot, _PICTURES)
        use_pictures()
    fitted = read_fit(options.fit)
    future = ss.forecast(
        fitted, horizon=options.horizon, inputs=_future_inputs(fitted, options), key=jax.random.key(options.seed)
    )
    with whole(options.out) as temporary:
        future.to_pandas().to_csv(temporary)
    print(f"written: {options.out} ({options.horizon} rows, {future.index[0]} to {future.index[-1]})")
    if options.plot is not None:
        write_figure(ss.plots.forecast(future), options.plot)
        print(f"written: {options.plot}")


def info(options: argparse.Namespace) -> None:
    """Say what a saved fit holds."""
    fitted = read_fit(options.fit)
    series = fitted.series
    facts = {
        "file": options.fit,
        "series": f"{', '.join(series.names)}: {series.length} stamps, {series.index[0]} to {series.index[-1]}",
        "missing": int((~series.mask).sum()),
        "frequency": series.freq or ("regular" if series.is_regular else "none"),
        "transform": fitted.transform.name,
        "model": " + ".join(_describe(fitted.model)),
        "inputs": ", ".join(series.input_names) or "none",
        "method": fitted.method_name,
        "status": fitted.status.message,
    }
    width = max(map(len, facts))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in facts.items()))
    print(f"\n{as_text(fitted.summary())}")


def as_text(table: Any) -> str:
    """A summary table as text: every column, four significant digits."""
    return table.to_string(float_format="{:.4g}".format) if isinstance(table, pd.DataFrame) else str(table)


def _method(options: argparse.Namespace) -> tuple[Any, Any]:
    """The method of fitting, and its key."""
    given = {name: getattr(options, name) for name in ("draws", "chains", "seed")}
    if options.method == "mle":
        useless = [f"--{name}" for name, value in given.items() if value is not None]
        if useless:
            raise CommandError(f"{', '.join(useless)} belong to --method nuts: leave them out, or choose nuts")
        return ss.MaximumLikelihood(), None
    draws = given["draws"] or 500
    return ss.NUTS(draws, draws, given["chains"] or 4), jax.random.key(given["seed"] or 0)


def _future_inputs(fitted: Any, options: argparse.Namespace) -> pd.DataFrame | None:
    names = fitted.series.input_names
    if options.inputs is None:
        if names:
            raise CommandError(
                f"the model reads {', '.join(names)}: pass --inputs FILE with these columns and a date for each of the "
                f"{options.horizon} stamps"
            )
        if options.date is not None:
            raise CommandError("--date names a column of --inputs, which was not given: leave it out")
        return None
    if not names:
        raise CommandError("the model reads no inputs: leave --inputs out")
    table = read_table(options.inputs, options.date, names)
    return _like(table, fitted.series.index, options)


def _like(table: pd.DataFrame, index: pd.Index, options: argparse.Namespace) -> pd.DataFrame:
    """The table with stamps of the fit's own kind: periods, dates or numbers."""
    if isinstance(index, pd.PeriodIndex) and isinstance(table.index, pd.DatetimeIndex):
        return table.set_axis(table.index.to_period(index.freq), axis=0)
    if isinstance(index, pd.DatetimeIndex) and table.index.dtype.kind in "iu":
        return table.set_axis(pd.to_datetime(table.index.astype(str)), axis=0)
    if not isinstance(table.index, type(index)) and isinstance(table.index, pd.DatetimeIndex):
        raise CommandError(f"{options.inputs} has dates, but the stamps of the fit are numbers such as {index[-1]}")
    return table


def _describe(model: Any) -> list[str]:
    parts = [c.name for c in getattr(model, "components", ())]
    return [*parts, "noise"] if parts else [type(model).__name__]
