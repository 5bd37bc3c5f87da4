"""The command `statespace`: demo, fit, forecast, info."""

from .main import main

__all__ = ["main"]
