"""The command line: its options, and errors that are one line.

Importing this module imports `statespace` (Python imports a package before its parts) and nothing more; pandas
frames, figures and fits are only made by the command that needs them.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .errors import CommandError, one_line

_MODEL_HELP = (
    "a sum of level, trend, smooth_trend, seasonal(p[, trig[, harmonics]]), cycle, ar(p), regression(a, b), "
    "step(date), pulse(date); noise is added by itself"
)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that ends with where to look."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message} (see '{self.prog} --help')")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Words after `statespace`; those of the process when left out.

    Returns:
        The exit status: 0, 2 after an error that the user can put right, 130 when interrupted.

    Example:
        >>> main(["info", "missing.nc"])
        2
    """
    try:
        options = parser().parse_args(arguments)
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = _warn
            _command(options)
    except (CommandError, ValueError, TypeError, OSError, ImportError, NotImplementedError) as error:
        print(f"statespace: error: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("statespace: interrupted", file=sys.stderr)
        return 130
    return 0


def _command(options: argparse.Namespace) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    from . import commands, demo

    run = {"demo": demo.demo, "fit": commands.fit, "forecast": commands.forecast, "info": commands.info}
    run[options.command](options)


def _warn(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Advice about the fit in one line; what other packages say to their developers is left out."""
    del where, more
    if issubclass(category, UserWarning):
        print(f"statespace: warning: {' '.join(str(message).split())}", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """The options of all four commands."""
    top = _Parser(prog="statespace", description="State-space models of time series, on the command line.")
    commands = top.add_subparsers(dest="command", required=True, metavar="{demo,fit,forecast,info}")
    _add_demo(commands.add_parser("demo", help="fit a real series, print the table, write figures and files"))
    _add_fit(commands.add_parser("fit", help="fit a model to a column of a csv file"))
    _add_forecast(commands.add_parser("forecast", help="forecast from a saved fit"))
    info = commands.add_parser("info", help="say what a saved fit holds")
    info.add_argument("fit", type=Path, metavar="FIT", help="a file written by 'statespace fit'")
    return top


def _add_demo(demo: argparse.ArgumentParser) -> None:
    demo.description = (
        "British road casualties around the seat-belt law, 1969 to 1984: trend, season, petrol price and the law, "
        "sampled by NUTS; takes about a minute."
    )
    demo.add_argument("--out", type=Path, default=Path("statespace-demo"), metavar="DIR", help="folder to write into")
    demo.add_argument(
        "--samples", type=_count, default=1000, metavar="N", help="draws in each of four chains (%(default)s)"
    )


def _add_fit(fit: argparse.ArgumentParser) -> None:
    fit.add_argument("file", type=Path, metavar="FILE", help="a csv file with a header line")
    fit.add_argument("--date", required=True, metavar="COL", help="column of dates or whole numbers")
    fit.add_argument("--value", required=True, metavar="COL", help="column of observations; empty is missing")
    fit.add_argument("--model", required=True, metavar="TEXT", help=_MODEL_HELP)
    fit.add_argument("--method", choices=["mle", "nuts"], default="mle", help="how to fit (%(default)s)")
    fit.add_argument("--transform", choices=["log", "boxcox"], help="model a transform of the values")
    fit.add_argument("--out", type=Path, default=Path("fit.nc"), metavar="FIT", help="file to write (%(default)s)")
    fit.add_argument("--freq", metavar="FREQ", help="frequency of the dates, as pandas writes it: D, W, MS, QS, YS")
    fit.add_argument("--draws", type=_count, metavar="N", help="nuts: draws in each chain, after as many steps (500)")
    fit.add_argument("--chains", type=_count, metavar="N", help="nuts: number of chains (4)")
    fit.add_argument("--seed", type=int, metavar="N", help="nuts: seed of the random numbers (0)")


def _add_forecast(forecast: argparse.ArgumentParser) -> None:
    forecast.add_argument("fit", type=Path, metavar="FIT", help="a file written by 'statespace fit'")
    forecast.add_argument("--horizon", type=_count, required=True, metavar="N", help="number of stamps ahead")
    forecast.add_argument("--inputs", type=Path, metavar="FILE", help="csv file with the model's future input columns")
    forecast.add_argument("--date", metavar="COL", help="date column of --inputs (the first one)")
    forecast.add_argument(
        "--out", type=Path, default=Path("forecast.csv"), metavar="FILE", help="file to write (%(default)s)"
    )
    forecast.add_argument("--plot", type=Path, metavar="FILE", help="picture to draw: .png, .svg or .pdf")
    forecast.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the random numbers (%(default)s)")


def _count(text: str) -> int:
    """A whole number of at least one."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number of at least 1")
    return number
