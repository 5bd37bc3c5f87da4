"""The pages and the package say the same: every public name has its place on the API pages."""

import importlib
import re
from pathlib import Path

import pytest

import statespace

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted((DOCS / "api").glob("*.md"))
ENTRY = re.compile(r"^::: (statespace[\w.]*)", re.MULTILINE)


def _entries():
    return [name for page in PAGES for name in ENTRY.findall(page.read_text(encoding="utf-8"))]


def _lookup(dotted):
    module, found, rest = dotted.split("."), None, []
    while found is None:
        try:
            found = importlib.import_module(".".join(module))
        except ImportError:
            rest.insert(0, module.pop())
    for name in rest:
        found = getattr(found, name)
    return found


def test_every_public_name_is_on_an_api_page():
    objects = [_lookup(entry) for entry in _entries()]
    absent = [name for name in statespace.__all__ if not any(getattr(statespace, name) is each for each in objects)]
    assert absent == [], "add these to a page under docs/api"


PUBLIC = [
    statespace.datasets,
    statespace.plots,
    statespace.diagnostics,
    *(importlib.import_module(f"statespace.models.{name}") for name in ("deep", "layers", "recurrent", "reservoir")),
]


@pytest.mark.parametrize("package", PUBLIC, ids=lambda package: package.__name__)
def test_every_name_of_a_public_module_is_on_an_api_page(package):
    objects = [_lookup(entry) for entry in _entries()]
    absent = [name for name in package.__all__ if not any(getattr(package, name) is each for each in objects)]
    assert absent == [], "add these to a page under docs/api"


def test_no_name_is_described_twice():
    entries = _entries()
    assert sorted({entry for entry in entries if entries.count(entry) > 1}) == []


def test_every_page_is_in_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    assert [page for page in pages if page not in nav] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name)
def test_public_names_used_in_a_page_exist(page):
    text = page.read_text(encoding="utf-8")
    unknown = []
    for name in set(re.findall(r"\bss((?:\.[A-Za-z_]\w*)+)", text)):
        found = statespace
        for part in name.strip(".").split("."):
            found = getattr(found, part, None)
            if found is None:
                unknown.append(f"ss{name}")
                break
    assert unknown == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name)
def test_python_in_a_page_can_be_parsed(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        compile(block, page.name, "exec")


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name)
def test_pictures_and_links_in_a_page_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
