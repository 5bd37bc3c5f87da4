"""load."""

import json
import os
from typing import Any

from ..models.specification import rebuild
from ..results import read
from .door import LEARNED
from .sampling import SAMPLERS


def load(path: str | os.PathLike, *, model: Any = None) -> Any:
    """Read what was saved with `save(path)`: a fit with its draws, diagnostics, data and model, or that of a program.

    Args:
        path: A `.nc` or `.zarr` path.
        model: The model, where it is your own class, which no file can hold.

    Raises:
        ValueError: If the file is not a saved fit, or holds a model that has to be given.

    Example:
        >>> import statespace as ss
        >>> ss.load("missing.nc")
        Traceback (most recent call last):
        ...
        FileNotFoundError: missing.nc does not exist
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path} does not exist")

    def build(text: str, method: str, sampler: str) -> tuple[Any, Any, Any]:
        if model is None and not text:
            raise ValueError(f"{path} holds the fit of a model class of your own: pass it as load(path, model=...)")
        made = rebuild(json.loads(text)) if model is None else model
        return made, _rebuilt(method), _rebuilt(sampler)

    return read(path, build)


def _rebuilt(text: str) -> Any:
    """A filtering method or a sampler."""
    return rebuild(json.loads(text), {**LEARNED, **SAMPLERS}) if text else None
