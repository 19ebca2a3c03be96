"""Every picture of the report, in the order of the page: a new one is a function and a row here."""

from __future__ import annotations

from wmhflow.reports.beside import ACUTE_MASK
from wmhflow.reports.pictures import (
    acute,
    alignment,
    atlases,
    bullseye,
    masks,
    profiles,
    regions,
    spectra,
    survey,
)
from wmhflow.reports.pictures.picture import PictureMaker

PICTURES: tuple[PictureMaker, ...] = (
    PictureMaker("masks", "masks", masks.masks),
    PictureMaker("unmarked", "masks", survey.unmarked),
    PictureMaker("survey", "masks", survey.survey),
    PictureMaker("zones", "masks", masks.zones),
    PictureMaker("shells", "masks", masks.shells, lambda context: context.scene.has_wmh),
    PictureMaker("tissue", "masks", masks.tissue),
    PictureMaker("lobes", "regions", regions.lobes),
    PictureMaker("layers", "regions", regions.layers),
    PictureMaker(
        "bullseye",
        "regions",
        bullseye.bullseye,
        lambda context: context.has_lobes,
        needs_tables=True,
    ),
    PictureMaker("atlases", "regions", atlases.atlases, needs_tables=True),
    PictureMaker("anatomical", "alignment", alignment.anatomical),
    PictureMaker("template", "alignment", alignment.template),
    PictureMaker("maps", "alignment", alignment.maps),
    PictureMaker("acute", "acute", acute.acute, lambda context: context.has_image(ACUTE_MASK)),
    PictureMaker("profiles", "maps", profiles.profiles, needs_tables=True),
    PictureMaker(
        "spectra", "spectra", spectra.spectra, lambda context: bool(context.visit.spectra)
    ),
)
