"""The architecture, read from the source: who may import whom, and what a file may contain.

The rules are those of the table in `docs/architecture.md`. Every import counts, inside functions too; only
the rules about laziness look at where in the file it stands.
"""

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "statespace"

MAY_IMPORT = {
    "cli": {"verbs", "plots", "datasets"},
    "verbs": {"data", "results", "diagnostics", "inference", "convert", "models"},
    "plots": {"results", "diagnostics", "convert"},
    "datasets": set(),
    "data": set(),
    "results": {"data"},
    "inference": {"models", "core"},
    "convert": {"models", "core"},
    "models": {"core"},
    "core": set(),
    "diagnostics": {"core"},
    "runtime": set(),
    "late": set(),
    "__main__": {"cli"},
}
MAY_IMPORT_THE_FRONT_DOOR = {"cli"}  # `import statespace as ss`: a user of the public names, like any other
LABELS = {"pandas", "xarray", "arviz"}
MAY_LABEL = {"data", "results", "plots", "datasets", "diagnostics", "cli", "verbs"}
LAZY = {"arviz", "matplotlib"}
MAY_DRAW = {"plots", "cli"}
UNDER_CORE = ("jax", "equinox", "jaxtyping", "numpy", "numpyro.distributions")
ONLY_UNDER_INFERENCE = ("numpyro.infer", "numpyro.handlers")


class Import(NamedTuple):
    """One imported name: its dotted path, its line, and whether it runs when the module is imported."""

    name: str
    line: int
    at_import: bool


class Module(NamedTuple):
    """A source file of the package; `unit` is its top-level name ("" for the package itself)."""

    where: str
    unit: str
    tree: ast.Module
    imports: tuple[Import, ...]


def _is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _nodes(tree):
    """Every node with whether it runs at import: not inside a function, not under TYPE_CHECKING."""
    todo = [(tree, True)]
    while todo:
        node, now = todo.pop()
        yield node, now
        for child in ast.iter_child_nodes(node):
            skipped = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if _is_type_checking(node):
                skipped = child in node.body
            todo.append((child, now and not skipped))


def _imported_names(node, package):
    """Dotted names that a node imports; `from a import b` gives a.b, since b may be a module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parents = package[: len(package) - node.level + 1]
        base = ".".join([*parents, base] if base else parents)
    return [f"{base}.{alias.name}" for alias in node.names]


def parse(source, path):
    """A `Module` from source text; `path` is relative to the folder that holds the package."""
    tree = ast.parse(source, filename=str(path))
    inside = path.with_suffix("").parts[1:]
    unit = inside[0] if inside != ("__init__",) else ""
    imports = [
        Import(name, node.lineno, now) for node, now in _nodes(tree) for name in _imported_names(node, path.parts[:-1])
    ]
    # `import numpyro` and then `numpyro.infer.NUTS` imports without an import statement
    imports += [
        Import(ast.unparse(node), node.lineno, now)
        for node, now in _nodes(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ONLY_UNDER_INFERENCE
    ]
    return Module(path.as_posix(), unit, tree, tuple(imports))


def _within(name, *roots):
    return any(name == root or name.startswith(root + ".") for root in roots)


def _inner_unit(name):
    """The unit of this package that an import reaches, "" for a public name, None for other packages."""
    if not _within(name, PACKAGE):
        return None
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in MAY_IMPORT else ""


def broken_layers(module):
    """Imports between units that the table does not list; the top `__init__` may import all but cli."""
    if module.unit and module.unit not in MAY_IMPORT:
        yield 1, f"'{module.unit}' is not in the table of this test: add its row, here and in the docs"
        return
    allowed = MAY_IMPORT[module.unit] | {module.unit} if module.unit else MAY_IMPORT.keys() - {"cli"}
    if module.unit in MAY_IMPORT_THE_FRONT_DOOR | {""}:
        allowed = allowed | {""}
    for name, line, _ in module.imports:
        unit = _inner_unit(name)
        if unit is not None and unit not in allowed:
            yield line, f"{module.unit or PACKAGE} imports {name}; it may import {sorted(allowed)}"


def broken_labels(module):
    """pandas, xarray and arviz away from the door; matplotlib away from the pictures."""
    for name, line, _ in module.imports:
        if _within(name, *LABELS) and module.unit not in MAY_LABEL:
            yield line, f"{module.unit} imports {name}: it returns arrays, labels are attached at the door"
        if _within(name, "matplotlib") and module.unit not in MAY_DRAW:
            yield line, f"{module.unit} imports {name}: pictures are made in plots"


def broken_laziness(module):
    """arviz or matplotlib imported with the module instead of inside a function."""
    for name, line, at_import in module.imports:
        if at_import and _within(name, *LAZY):
            yield line, f"{name} is imported with the module: import it inside the function that needs it"


def broken_numpyro(module):
    """Samplers and handlers away from inference."""
    for name, line, _ in module.imports:
        if _within(name, *ONLY_UNDER_INFERENCE) and module.unit != "inference":
            yield line, f"{module.unit} imports {name}: only inference may"


def broken_core(module):
    """Anything under core but arrays, modules, types, distributions and the standard library."""
    if module.unit != "core":
        return
    for name, line, _ in module.imports:
        if name.split(".")[0] in sys.stdlib_module_names | {PACKAGE} or _within(name, *UNDER_CORE):
            continue
        yield line, f"core imports {name}; it may import {', '.join(UNDER_CORE)} and the standard library"


def _re_exports(node, top):
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if top and _is_type_checking(node):  # names that are loaded late
        return all(isinstance(part, ast.ImportFrom) for part in node.body)
    if isinstance(node, ast.Expr):
        call = isinstance(node.value, ast.Call) and not node.value.args and not node.value.keywords
        return isinstance(node.value, ast.Constant) or (top and call)  # the one call is that of runtime
    names = [ast.unparse(target) for target in node.targets] if isinstance(node, ast.Assign) else []
    return names == ["__all__"] or (top and names == ["__version__"])


def broken_init(module):
    """An `__init__` with more than a docstring, imports and `__all__`."""
    if not module.where.endswith("/__init__.py"):
        return
    top = module.unit == ""
    for node in module.tree.body:
        if not _re_exports(node, top):
            yield node.lineno, "an __init__ only re-exports: docstring, imports, __all__"
    if top and sum(isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) for node in module.tree.body) > 1:
        yield 1, "the package's __init__ makes one call at most, that of statespace.runtime"


def broken_names(module):
    """Rooms without a name."""
    if module.where.endswith("/utils.py"):
        yield 1, "no utils.py: name the file after what it does"


RULES = (
    broken_layers,
    broken_labels,
    broken_laziness,
    broken_numpyro,
    broken_core,
    broken_init,
    broken_names,
)


@pytest.fixture(scope="module")
def modules():
    files = sorted((ROOT / PACKAGE).rglob("*.py"))
    assert files
    return [parse(file.read_text(encoding="utf-8"), file.relative_to(ROOT)) for file in files]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__.removeprefix("broken_"))
def test_the_package_keeps_the_rule(rule, modules):
    broken = [f"{module.where}:{line}: {what}" for module in modules for line, what in rule(module)]
    assert not broken, "\n" + "\n".join(broken)


def test_the_table_has_no_cycles():
    left = dict(MAY_IMPORT)
    while left:
        free = {unit for unit, needs in left.items() if not needs & left.keys()}
        assert free, f"a cycle among {sorted(left)}"
        left = {unit: needs for unit, needs in left.items() if unit not in free}


BAD = [
    (broken_layers, "core/scan.py", "from statespace.models import linear"),
    (broken_layers, "core/scan.py", "from ..models.linear import LinearGaussian"),
    (broken_layers, "models/arima.py", "from statespace import inference"),
    (broken_layers, "models/arima.py", "import statespace.verbs"),
    (broken_layers, "models/arima.py", "def f():\n    import statespace"),
    (broken_layers, "models/structural/trend.py", "from ... import inference"),
    (broken_layers, "results/fitted.py", "from statespace.verbs import filter"),
    (broken_layers, "verbs.py", "from statespace.core.scan import scan"),
    (broken_layers, "verbs.py", "from .cli import main"),
    (broken_layers, "inference/kalman.py", "from statespace import runtime"),
    (broken_layers, "__init__.py", "from statespace.cli import main"),
    (broken_layers, "extras.py", ""),
    (broken_labels, "inference/kalman.py", "import pandas as pd"),
    (broken_labels, "models/arima.py", "def f():\n    from xarray import DataTree"),
    (broken_labels, "results/fitted.py", "def f():\n    import matplotlib.pyplot as plt"),
    (broken_laziness, "results/fitted.py", "import arviz as az"),
    (broken_laziness, "plots/fan.py", "from matplotlib import pyplot"),
    (broken_laziness, "plots/fan.py", "class A:\n    import matplotlib"),
    (broken_laziness, "plots/fan.py", "try:\n    import matplotlib\nexcept ImportError:\n    pass"),
    (broken_numpyro, "verbs.py", "from numpyro.infer import MCMC"),
    (broken_numpyro, "models/base.py", "from numpyro import handlers"),
    (broken_numpyro, "models/base.py", "import numpyro\nnumpyro.infer.NUTS(None)"),
    (broken_core, "core/scan.py", "import scipy.linalg"),
    (broken_core, "core/scan.py", "import numpyro"),
    (broken_core, "core/scan.py", "from numpyro import sample"),
    (broken_init, "core/__init__.py", "x = 1"),
    (broken_init, "core/__init__.py", "f()"),
    (broken_init, "__init__.py", "def f(): ..."),
    (broken_init, "__init__.py", "f()\ng()"),
    (broken_names, "core/utils.py", ""),
]
GOOD = [
    (
        "core/scan.py",
        "import functools\nimport jax.numpy as jnp\nimport numpyro.distributions as dist\nfrom . import step",
    ),
    ("core/scan.py", "from numpyro.distributions import constraints\nfrom statespace.core.step import Step"),
    ("models/structural/trend.py", "from ...core.step import Step\nfrom ..base import AbstractStateSpace"),
    ("inference/nuts.py", "from numpyro import handlers\nfrom numpyro.infer import MCMC"),
    ("data/series.py", "import pandas as pd\nfrom statespace.data import times"),
    ("data.py", "import pandas as pd\nimport xarray as xr"),
    ("results/fitted.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import arviz"),
    ("plots/fan.py", "def fan():\n    import matplotlib.pyplot as plt"),
    ("cli.py", "import statespace as ss\nfrom statespace.verbs import fit"),
    (
        "__init__.py",
        '"""Doc."""\nfrom statespace.runtime import f\nf()\nfrom .verbs import fit\n__all__ = ["fit"]',
    ),
]


@pytest.mark.parametrize(("rule", "file", "source"), BAD)
def test_a_broken_rule_is_found(rule, file, source):
    assert list(rule(parse(source, Path(PACKAGE, file))))


@pytest.mark.parametrize(("file", "source"), GOOD)
def test_allowed_code_passes(file, source):
    module = parse(source, Path(PACKAGE, file))
    assert [what for rule in RULES for _, what in rule(module)] == []


def test_import_is_light():
    code = "import sys, statespace; print(*({'arviz', 'matplotlib'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_a_name_loaded_late_is_the_one_that_type_checkers_see():
    """The block under `TYPE_CHECKING` names the room of each name; two rooms with one name would hide a verb."""
    tree = ast.parse((ROOT / PACKAGE / "__init__.py").read_text())
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    promised = [
        (node.module, name.name)
        for node in ast.walk(blocks[0])
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    ]
    assert len(promised) > 20
    package = importlib.import_module(PACKAGE)
    for room, name in promised:
        path = f"{PACKAGE}.{room or name}"
        module = importlib.import_module(path)
        assert getattr(package, name) is (getattr(module, name) if room else module), f"{name} is not that of {path}"
    rooms = [importlib.import_module(f"{PACKAGE}.{room}").__all__ for room in ("data", "results", "verbs")]
    found = [name for names in rooms for name in names if name in package.__all__]
    assert len(found) == len(set(found))
