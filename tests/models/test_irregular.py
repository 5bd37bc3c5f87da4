"""Irregular stamps: what happens between two stamps does not depend on the ones between them."""

import numpy as np
import pytest

import statespace as ss


@pytest.mark.parametrize("build", [lambda: ss.LocalLevel(0.4), lambda: ss.LocalLinearTrend(0.4, 0.2)])
def test_a_skipped_stamp_equals_a_missing_row(build):
    model = build() + ss.Noise(0.3)
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.2, 2.5, size=20))
    y = rng.normal(size=20).cumsum()
    seen = np.ones(20, bool)
    seen[[4, 9, 10]] = False
    skipped = ss.filter(model, y[seen], times=times[seen])
    missing = ss.filter(model, np.where(seen, y, np.nan), times=times)
    np.testing.assert_allclose(skipped.mean, missing.mean[seen], atol=1e-10)
    assert skipped.log_likelihood == pytest.approx(missing.log_likelihood, abs=1e-10)


def test_components_that_count_periods_refuse_irregular_stamps():
    times = np.array([0.0, 1.0, 2.5, 3.0, 4.0, 5.5])
    for component in (ss.Seasonal(2, scale=0.1), ss.AutoRegressive(1, [0.5], 1.0), ss.Cycle(4.0, 0.9, 0.1)):
        with pytest.raises(ValueError, match="not evenly spaced"):
            ss.filter(ss.LocalLevel(1.0) + component + ss.Noise(1.0), np.arange(6.0), times=times)
