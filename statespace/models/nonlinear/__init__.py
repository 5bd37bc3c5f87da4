"""Nonlinear models."""

from .lorenz import Lorenz63, Lorenz96

__all__ = ["Lorenz63", "Lorenz96"]
