"""Fits on disk: one netCDF or Zarr file, written whole or not at all."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from .fitted import Fitted
from .panel import PanelFit
from .program import ProgramFit, program_from_record, program_record
from .records import from_record, from_series_record, is_series_record, series_record, to_record
from .training import GROUP

_FORMAT = "statespace fit 1"


def write(fitted: Fitted | PanelFit | ProgramFit, path: str | os.PathLike) -> None:
    """Write a fit to a `.nc` (netCDF) or `.zarr` path; an earlier one is replaced once the new one is complete.

    The groups of `to_datatree` are for everyone; the group `statespace` holds what `read` needs besides.

    Args:
        fitted: The fit.
        path: Where to.

    Raises:
        ValueError: If the path ends otherwise, or the frequency of the dates cannot be stored.
        FileNotFoundError: If the folder does not exist.
        ImportError: If the path ends in `.zarr` and zarr is not installed.
    """
    path = Path(path)
    if path.suffix not in (".nc", ".zarr"):
        raise ValueError(f"a fit is saved as .nc (netCDF) or .zarr, got {path.name!r}")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder {folder} does not exist: create it first")
    tree = _record(fitted)
    tree.attrs["format"] = _FORMAT
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as scratch:
        made = Path(scratch) / path.name
        _write(tree, made)
        _swap(made, path, Path(scratch) / "old")


def _record(fitted: Fitted | PanelFit | ProgramFit) -> xr.DataTree:
    if isinstance(fitted, ProgramFit):
        return program_record(fitted)
    return _panel_record(fitted.members) if isinstance(fitted, PanelFit) else to_record(fitted)


def _panel_record(members: dict[str, Fitted]) -> xr.DataTree:
    """One group for each member, numbered, since a name may hold what a path may not."""
    first = next(iter(members.values()))
    parts = {
        f"member{i}": series_record(member) if i and _shares_all(member, first) else to_record(member)
        for i, member in enumerate(members.values())
    }
    tree = xr.DataTree(children=parts)
    tree.attrs["members"] = json.dumps(list(members))
    return tree


def _shares_all(member: Fitted, first: Fitted) -> bool:
    """Whether two fits differ in their data alone, as those of a deep model do."""
    return GROUP in first.extra_groups and member.extra_groups is first.extra_groups


def read(
    path: str | os.PathLike, build: Callable[[str, str, str], tuple[Any, Any, Any]]
) -> Fitted | PanelFit | ProgramFit:
    """Read a fit that `write` wrote.

    Args:
        path: The file.
        build: Makes the model, the filtering method and the sampler from their specifications.

    Returns:
        The fit; its priors are texts.

    Raises:
        ValueError: If the file is not one, or is damaged.
    """
    path = Path(path)
    tree = _read(path)
    if tree.attrs.get("format") != _FORMAT:
        raise ValueError(f"{path} is not a fit saved by statespace (or by another version of its format)")
    try:
        if "statespace" in tree and "program" in tree["statespace"].attrs:
            return program_from_record(tree)
        if "members" in tree.attrs:
            names = json.loads(tree.attrs["members"])
            trees = [tree.children[f"member{i}"] for i in range(len(names))]
            parts = [from_record(trees[0])]
            parts += [from_series_record(t, parts[0]) if is_series_record(t) else from_record(t) for t in trees[1:]]
        else:
            names, parts = None, [from_record(tree)]
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is incomplete or damaged and cannot be restored: {error}") from None
    kinds = ("specification", "filter_specification", "sampler_specification")
    texts = [tuple(fields.get(kind, "") for kind in kinds) for fields in parts]
    once = {text: build(*text) for text in dict.fromkeys(texts)}
    made = [once[text] for text in texts]
    found = [
        Fitted(model=m, filter_method=f, sampler=s, **fields) for (m, f, s), fields in zip(made, parts, strict=True)
    ]
    return found[0] if names is None else PanelFit(dict(zip(names, found, strict=True)))


def _write(tree: xr.DataTree, path: Path) -> None:
    if path.suffix == ".nc":
        tree.to_netcdf(path, engine="h5netcdf")
        return
    try:
        tree.map_over_datasets(_with_object_text).to_zarr(path, consolidated=False)
    except ImportError:
        text = "a .zarr path needs the package zarr: pip install 'statespace-jax[zarr]', or save as .nc"
        raise ImportError(text) from None


def _with_object_text(dataset: xr.Dataset) -> xr.Dataset:
    """The same labels as Python strings: Zarr 3 has no specification of text of fixed width."""
    text = {name: value.astype(object) for name, value in dataset.variables.items() if value.dtype.kind == "U"}
    return dataset.assign({str(name): value for name, value in text.items()})


def _swap(made: Path, path: Path, aside: Path) -> None:
    """Put a new file or folder where an old one may be; a folder cannot be replaced in one go."""
    if not path.is_dir():
        os.replace(made, path)
        return
    os.replace(path, aside)
    try:
        os.replace(made, path)
    except BaseException:
        os.replace(aside, path)
        raise


def _read(path: Path) -> xr.DataTree:
    """The tree, times not decoded: the dates of the series are restored from its own record."""
    zarr = path.suffix == ".zarr"
    options: dict[str, Any] = {"engine": "zarr", "consolidated": False} if zarr else {"engine": "h5netcdf"}
    try:
        with xr.open_datatree(path, decode_times=False, **options) as opened:
            return opened.load()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be read as a saved fit: {error}") from None
