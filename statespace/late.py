"""Public names that are loaded when they are first used: those that need pandas and xarray, slow to import."""

import importlib
from typing import Any

_MODULES = ("datasets", "diagnostics", "plots")
_ROOMS = ("data", "results", "verbs")  # each loads those before it


def load(name: str) -> Any:
    """A name of the package that is not loaded yet; an AttributeError if there is none."""
    package = importlib.import_module(__package__ or "statespace")
    if name in _MODULES:
        return importlib.import_module(f".{name}", package.__name__)
    rooms = _ROOMS if name in package.__all__ else ()
    for room in (importlib.import_module(f".{room}", package.__name__) for room in rooms):
        if name in room.__all__:
            setattr(package, name, getattr(room, name))  # the next look finds it at once
            return getattr(room, name)
    raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")


def names() -> list[str]:
    """All public names, those not loaded yet as well."""
    package = importlib.import_module(__package__ or "statespace")
    return sorted({*vars(package), *package.__all__})
