"""Data that several files of tests of ensembles run on."""

import numpy as np
import pytest
from inference.ensembles import chaotic

import statespace as ss


@pytest.fixture(scope="session")
def weather():
    """A series of `chaotic` with gaps."""
    y = ss.simulate(chaotic(), 12, key=3).y.values[0].copy()
    y[5], y[7, 2] = np.nan, np.nan
    return y
