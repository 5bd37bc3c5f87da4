"""Log of British drivers killed or seriously injured: the table of anchor linear_gaussian, 2.4.

The printed likelihoods follow KFAS: ours + d * 0.9189385332. The first and the third row agree with
Commandeur and Koopman (2007), "An Introduction to State Space Time Series Analysis".
"""

import numpy as np
import pytest
from inference.problems import log_likelihood, problem_of

from statespace.datasets import seatbelts
from statespace.models.structural import LocalLevel, Noise, Seasonal

HALF_LOG_2PI = 0.9189385332046727


def scales(*variances):
    return np.sqrt(variances)


def level_only():
    irregular, level = scales(2.22155e-3, 1.186598e-2)
    return LocalLevel(level) + Noise(irregular)


def level_and_trigonometric_seasonal():
    irregular, level, seasonal = scales(3.41596e-3, 9.35879e-4, 5.00977e-7)
    return LocalLevel(level) + Seasonal(12, form="trigonometric", scale=seasonal) + Noise(irregular)


def level_and_dummy_seasonal():
    irregular, level = scales(3.51399e-3, 9.45643e-4)
    return LocalLevel(level) + Seasonal(12, scale=0.0) + Noise(irregular)


ROWS = [
    (level_only, 123.8776290649, 0.6451959847, 1),
    (level_and_trigonometric_seasonal, 179.8860140887, 0.9369063234, 12),
    (level_and_dummy_seasonal, 188.7353364033, 0.9829965438, 12),
]


@pytest.fixture(scope="module")
def drivers():
    return np.log(seatbelts()["drivers"].to_numpy())


@pytest.mark.parametrize(("make", "printed", "each", "diffuse"), ROWS, ids=lambda x: getattr(x, "__name__", None))
def test_table(drivers, make, printed, each, diffuse):
    problem = problem_of(make(), drivers)
    assert sum(problem.model.initial_law(problem.steps[0]).diffuse) == diffuse
    assert problem.plan.diffuse_steps == diffuse  # no longer than it must be
    kfas = log_likelihood(problem) + diffuse * HALF_LOG_2PI
    # the variances are printed to six digits and stand at the maximum: the error is of second order
    assert kfas == pytest.approx(printed, abs=2e-8)
    assert kfas / len(drivers) == pytest.approx(each, abs=2e-10)
