"""Figures of the house: how long functions are, what is documented and typed, where arrows point.

Run it as ``python -m tools.house``. It ends with 1 where a rule is broken: a function over 80
lines, docstring included; a public name without a docstring or types; code among the data; an
arrow against the current.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, TESTS, DATA = ROOT / "wmhflow", ROOT / "tests", ROOT / "wmhflow" / "data"
LONGEST = 80
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Named(NamedTuple):
    """A module, class or function: where it is, and whether others may use it."""

    where: str
    node: ast.Module | ast.ClassDef | Function
    is_public: bool

    @property
    def is_documented(self) -> bool:
        """Whether it has a docstring; ruff sees to its form."""
        return ast.get_docstring(self.node) is not None

    @property
    def is_typed(self) -> bool:
        """Whether every argument has a type, and what it gives; mypy sees to their truth."""
        if not isinstance(self.node, Function):
            return True
        told = self.node.args
        every = [*told.posonlyargs, *told.args, *told.kwonlyargs, told.vararg, told.kwarg]
        own = [one for one in every if one is not None and one.arg not in {"self", "cls"}]
        return self.node.returns is not None and all(one.annotation for one in own)


def named_in(path: Path) -> Iterator[Named]:
    """List a module and all that is defined in it, at any depth."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    place = str(path.relative_to(ROOT))
    yield Named(place, module, is_public=True)
    yield from _inside(module, place, is_public=True)


def _inside(node: ast.AST, place: str, *, is_public: bool) -> Iterator[Named]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef | Function):
            yield from _inside(child, place, is_public=is_public)
            continue
        public = is_public and not child.name.startswith("_")
        yield Named(f"{place}:{child.lineno} {child.name}", child, public)
        # what is defined in a function is nobody else's
        yield from _inside(child, place, is_public=public and isinstance(child, ast.ClassDef))


def lines_in(folder: Path) -> int:
    """Count the lines of all modules of a folder."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in folder.rglob("*.py"))


def broken_arrows() -> list[str]:
    """Name the contracts of ``pyproject.toml`` that do not hold."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "Contracts:" not in done.stdout:
        return [f"lint-imports could not say: {done.stdout.strip()} {done.stderr.strip()}"]
    return [f"broken: {name}" for name in re.findall(r"(?m)^(.+) BROKEN", done.stdout)]


def main() -> int:
    """Print the figures, and what breaks a rule; give the exit code."""
    paths = sorted(PACKAGE.rglob("*.py"))
    named = [one for path in paths for one in named_in(path)]
    public = [one for one in named if one.is_public]
    lengths = {
        one.where: (one.node.end_lineno or 0) - one.node.lineno + 1
        for one in named
        if isinstance(one.node, Function)
    }
    over = [f"{sum(n > top for n in lengths.values())} over {top}" for top in (20, 40, LONGEST)]
    places = [path.relative_to(PACKAGE).parts for path in paths]
    rooms = Counter(parts[0] for parts in places if len(parts) > 1)
    arrows = broken_arrows()
    print(f"functions   {len(lengths)}: median {median(lengths.values()):g} lines, ", end="")
    print(f"longest {max(lengths.values())}; {', '.join(over)}")
    print(f"documented  {sum(one.is_documented for one in public)} of {len(public)} public names")
    print(f"typed       {sum(one.is_typed for one in public)} of {len(public)} public names")
    print(f"tests       {lines_in(TESTS) / lines_in(PACKAGE):.2f} lines for a line of the package")
    print(f"modules     {', '.join(f'{room} {count}' for room, count in rooms.items())}")
    print(f"arrows      {len(arrows)} contracts broken")
    faults = [
        f"{where} has {length} lines" for where, length in lengths.items() if length > LONGEST
    ]
    faults += [f"{one.where} has no docstring" for one in public if not one.is_documented]
    faults += [f"{one.where} lacks types" for one in public if not one.is_typed]
    faults += [f"{path.relative_to(ROOT)} is code among data" for path in DATA.rglob("*.py")]
    for fault in faults + arrows:
        print(fault, file=sys.stderr)
    return int(bool(faults + arrows))


if __name__ == "__main__":
    sys.exit(main())
