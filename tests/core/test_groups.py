"""What each group of core offers: real names, imported only when asked for, with a page."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys

import pytest

import wmhflow.core
from tests.builders import ROOT

GROUPS = sorted(found.name for found in pkgutil.iter_modules(wmhflow.core.__path__) if found.ispkg)
PAGES = ROOT / "docs" / "core"


@pytest.mark.parametrize("group", GROUPS)
def test_what_a_group_offers_is_its_own_and_described(group):
    package = importlib.import_module(f"wmhflow.core.{group}")
    modules = {found.name for found in pkgutil.iter_modules(package.__path__)}
    assert package.__all__ == sorted(set(package.__all__)) == dir(package)
    # a name of a module as well would be one or the other, by what was imported before
    assert not modules & set(package.__all__)
    for name in package.__all__:
        value = getattr(package, name)
        assert getattr(value, "__module__", package.__name__).startswith(package.__name__), name
        assert value.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_groups_import_nothing_before_they_are_asked():
    names = [f"wmhflow.core.{group}" for group in GROUPS]
    code = f"import sys, {', '.join(names)}; print('numba' in sys.modules, 'scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_has_a_page_with_an_example_of_what_it_offers(group):
    page = (PAGES / f"{group}.md").read_text(encoding="utf-8")
    assert f"core/{group}" in (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    package = importlib.import_module(f"wmhflow.core.{group}")
    used = re.findall(rf">>> from wmhflow\.core\.{group} import \(?([\w, ]+)", page)
    assert {name.strip() for line in used for name in line.split(",")} & set(package.__all__)
