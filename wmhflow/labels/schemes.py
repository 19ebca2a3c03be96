"""The zone schemes: how white matter is divided by distance, as ``data/zones.toml`` states it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from math import inf

from wmhflow.labels.digits import DEEP, JUXTACORTICAL, JUXTAVENTRICULAR, PERIVENTRICULAR

DEFAULT_SCHEME = "jv3-pv13-jc4"


@dataclass(frozen=True)
class ZoneScheme:
    """Where one zone of the white matter ends and the next begins.

    A voxel is juxtaventricular up to `juxtaventricular_mm` from the ventricles, both ends
    included; else juxtacortical up to `juxtacortical_mm` from the cortex; else periventricular
    up to `periventricular_mm` from the ventricles; else deep. A limit of None leaves that zone
    out. With `nearer` a voxel is periventricular if it lies nearer to the ventricles than to the
    cortex, else deep, and the limits are not used. `text` says so in the methods text, with the
    reference `citation` if there is one.
    """

    name: str
    juxtaventricular_mm: float | None = None
    periventricular_mm: float | None = None
    juxtacortical_mm: float | None = None
    nearer: bool = False
    text: str = ""
    citation: str | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be a label image's name, or would mean nothing."""
        if not self.name.replace("-", "").isalnum() or not self.name.isascii():
            raise ValueError(f"the zone scheme {self.name!r} needs letters, digits and hyphens")
        limits = (self.juxtaventricular_mm, self.periventricular_mm, self.juxtacortical_mm)
        given = [limit for limit in limits if limit is not None]
        if self.nearer == bool(given) or any(not 0 < limit < inf for limit in given):
            raise ValueError(f"the zone scheme {self.name!r} needs limits above 0 mm, or nearer")

    @property
    def zones(self) -> tuple[int, ...]:
        """Numbers of the zones that the scheme can give, by rising number."""
        if self.nearer:
            return (PERIVENTRICULAR, DEEP)
        present = {
            JUXTAVENTRICULAR: self.juxtaventricular_mm,
            PERIVENTRICULAR: self.periventricular_mm,
            DEEP: inf,
            JUXTACORTICAL: self.juxtacortical_mm,
        }
        return tuple(zone for zone, limit in present.items() if limit is not None)

    @property
    def sentence(self) -> str:
        """What the methods text says, the reference as ``[@key]``."""
        return f"{self.text} [@{self.citation}]" if self.citation else self.text


def registry_file() -> Traversable:
    """Return where the schemes are stated."""
    return files("wmhflow") / "data" / "zones.toml"


def zone_schemes() -> dict[str, ZoneScheme]:
    """Return the zone schemes by name, in the order of the registry.

    Examples
    --------
    >>> zone_schemes()["pv4-14"].juxtaventricular_mm
    4
    """
    return dict(_parsed(registry_file().read_text(encoding="utf-8")))


def scheme_names() -> tuple[str, ...]:
    """Return the names that ``--zones`` takes."""
    return tuple(zone_schemes())


@cache
def _parsed(content: str) -> dict[str, ZoneScheme]:
    schemes: dict[str, ZoneScheme] = {}
    for row in tomllib.loads(content)["scheme"]:
        scheme = ZoneScheme(**row)
        # the label images are called after the name without its hyphens
        if scheme.name.replace("-", "") in {name.replace("-", "") for name in schemes}:
            raise ValueError(f"the zone scheme {scheme.name!r} is there twice")
        if not scheme.text:
            raise ValueError(f"the zone scheme {scheme.name!r} needs a text")
        schemes[scheme.name] = scheme
    return schemes


def schemes_table() -> str:
    """Return the zone schemes as a Markdown table for the documentation."""
    rows = ["| scheme | zones |", "| --- | --- |"]
    rows += [f"| `{scheme.name}` | {scheme.text} |" for scheme in zone_schemes().values()]
    return "\n".join(rows) + "\n"
