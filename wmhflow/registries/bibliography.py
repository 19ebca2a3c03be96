"""The references that the methods text cites."""

from __future__ import annotations

import tomllib
from importlib.resources import files


def bibliography() -> dict[str, dict[str, str]]:
    """Read the references that the methods text cites, by key."""
    content = (files("wmhflow") / "data" / "bibliography.toml").read_text(encoding="utf-8")
    return {key: dict(entry) for key, entry in tomllib.loads(content).items()}
