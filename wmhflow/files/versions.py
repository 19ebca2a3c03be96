"""The versions of the program and of the libraries that its numbers depend on."""

from __future__ import annotations

from functools import cache
from importlib import metadata

import wmhflow

PACKAGES = ("antspyx", "dipy", "nilearn", "numba", "numpy", "scipy", "nibabel", "nipype", "pybids")


@cache
def software_versions() -> dict[str, str]:
    """Return the versions of the program and of the libraries that its numbers depend on."""
    versions = {"wmhflow": wmhflow.__version__}
    return versions | {name: metadata.version(name) for name in PACKAGES}
