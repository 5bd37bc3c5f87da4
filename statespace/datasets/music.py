"""Music as piano rolls: long multivariate binary series of different lengths."""

from importlib import resources

import numpy as np
import pandas as pd

_LOWEST = 21  # MIDI number of the lowest key of a piano
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def jsb_chorales(split: str = "train") -> dict[str, pd.DataFrame]:
    """Chorales by Johann Sebastian Bach as piano rolls, one frame for each quarter note.

    Args:
        split: "train" (229 chorales, 13807 frames), "valid" (76, 4602) or "test" (77, 4725): the usual ones.

    Returns:
        Frames by name ("train 0", ...), each with a row for each quarter note and a column for each of a piano's 88
        keys ("A0" to "C8"): 1 while it sounds, else 0.

    Raises:
        ValueError: If there is no such split.

    Example:
        >>> from statespace.datasets import jsb_chorales
        >>> chorales = jsb_chorales("test")
        >>> len(chorales), sum(map(len, chorales.values()))
        (77, 4725)

    Source:
        Boulanger-Lewandowski, Bengio and Vincent (2012), "Modeling temporal dependencies in high-dimensional
        sequences", ICML; the canonical quarter-note frames.
    """
    if split not in ("train", "valid", "test"):
        raise ValueError(f'split is "train", "valid" or "test", got {split!r}')
    with (resources.files("statespace.datasets") / "jsb_chorales.npz").open("rb") as stream, np.load(stream) as packed:
        rolls = np.unpackbits(packed[f"{split}_bits"], axis=1)[:, :88].astype(float)
        ends = np.cumsum(packed[f"{split}_lengths"])[:-1]
    keys = [f"{_NAMES[note % 12]}{note // 12 - 1}" for note in range(_LOWEST, _LOWEST + 88)]
    parts = np.split(rolls, ends)
    return {f"{split} {i}": pd.DataFrame(part, columns=keys) for i, part in enumerate(parts)}
