"""Names that a package offers and imports only when one of them is asked for.

A package that imported all of its modules would bring numba and scipy with every one of them, and
the program plans thousands of people before its first step needs either.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def lazy_exports(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make what a package needs to offer its modules' names (PEP 562).

    Parameters
    ----------
    package
        Its ``__name__``.
    modules
        By module of the package, the names that it offers.

    Returns
    -------
    tuple
        The package's ``__getattr__``, ``__dir__`` and ``__all__``.

    Examples
    --------
    >>> find, _, names = lazy_exports("wmhflow.core.space", {"geometry": ["voxel_mm3"]})
    >>> names, find("voxel_mm3").__module__
    (['voxel_mm3'], 'wmhflow.core.space.geometry')
    """
    homes = {name: module for module, offered in modules.items() for name in offered}
    names = sorted(homes)

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return find, lambda: names, names
