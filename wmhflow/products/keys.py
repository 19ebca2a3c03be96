"""What the recipes of a visit call the things that may be given or made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wmhflow.plan.visit import Given, VisitPlan
from wmhflow.products.product import From, Image, Taken
from wmhflow.settings import Settings

STUDY = "study"
TEMPLATE_PRODUCT = From(STUDY, "template")


@dataclass(frozen=True)
class Visit:
    """A visit's plan and the run's settings, with the names that its recipes share."""

    plan: VisitPlan
    settings: Settings

    @property
    def seed(self) -> int:
        """The seed that every random step starts from."""
        return self.settings.execution.random_seed

    @property
    def reference(self) -> str:
        """The image whose grid holds all label images."""
        return f"preproc_{self.plan.reference}"

    @property
    def trusted(self) -> dict[str, str]:
        """The form of headers that is believed, as steps take it; nothing if the user said none."""
        trust = self.settings.inputs.trust
        return {"trust": trust} if trust else {}

    @property
    def has_other(self) -> bool:
        """Whether there is a second anatomical image."""
        return self.plan.other_anatomical is not None

    @property
    def other_transform(self) -> Taken:
        """What leads from the other image to the reference."""
        if not self.has_other:
            return None
        return _given_or("other_transform", self.plan.other_transform)

    @property
    def forward(self) -> Taken:
        """What leads from the reference to the template."""
        return _given_or("forward", self.plan.forward)

    @property
    def inverse(self) -> Taken:
        """What leads from the template to the reference."""
        return _given_or("inverse", self.plan.inverse)

    @property
    def infarct(self) -> str | None:
        """The mask of infarcts, if there is one."""
        return "mask_infarct" if self.plan.infarct else None

    @property
    def in_own_space(self) -> Mapping[str, Taken]:
        """The images in their own spaces, as what segments them takes them."""
        own, other = ("t1w", "flair") if self.plan.reference == "T1w" else ("flair", "t1w")
        taken: dict[str, Taken] = {own: self.reference}
        if self.has_other:
            taken[other] = "other"
        return taken

    def to_reference(self, given: Given) -> list[Taken]:
        """Return what leads from a given image's space to the reference."""
        return [] if given.space == self.plan.reference else [self.other_transform]

    def image(
        self,
        key: str,
        suffix: str,
        caption: str,
        kind: str = "labels",
        more: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        measured: Mapping[str, Callable[[], Any]] | None = None,
        look_up: str | None = None,
        **entities: str,
    ) -> Image:
        """Declare an image on the reference grid."""
        where = {"space": self.plan.reference} | entities
        told = more or {}, parameters or {}, measured or {}
        return Image(key, suffix, where, caption, kind, *told, look_up=look_up)


def _given_or(key: str, source: object) -> Taken:
    """Return a given file, if it can be used as it is, else the product of that name."""
    if isinstance(source, Given) and not source.convert:
        return source.file
    return key
