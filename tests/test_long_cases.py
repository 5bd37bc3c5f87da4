"""The list of cases that take long names tests that there are."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from conftest import long_cases

TESTS = Path(__file__).resolve().parent


@pytest.mark.parametrize("pattern", long_cases())
def test_a_long_case_is_a_test(pattern):
    file, _, name = pattern.partition("::")
    function = name.partition("[")[0].rstrip("*")
    found = [path for path in TESTS.rglob("test_*.py") if fnmatchcase(str(path.relative_to(TESTS)), file)]
    assert any(f"def {function}" in path.read_text(encoding="utf-8") for path in found)
