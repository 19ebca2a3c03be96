"""Pictures of atlases: the regions of each on the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

from wmhflow.core.arrays.codes import count_codes
from wmhflow.core.regions.probabilities import STEPS
from wmhflow.files.images import load_image
from wmhflow.reports.atlas_regions import SHOWN_REGIONS, Pair, colours_of, pairs_of
from wmhflow.reports.drawing.overlays import Fill
from wmhflow.reports.drawing.volumes import Volume, to_ras
from wmhflow.reports.pictures.picture import ORIENTATION, Picture
from wmhflow.reports.pictures.views import fill_png

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from wmhflow.plan.atlases import AtlasPlan
    from wmhflow.reports.context import VisitContext

OTHERS_COLOUR = "#9aa0a6"


def atlases(context: VisitContext) -> Iterator[Picture]:
    """Draw the regions of every atlas; where they overlap, the likeliest."""
    for atlas in context.visit.atlases:
        labels = _labels(context, atlas)
        present = set(count_codes(labels)[0].tolist())
        pairs = [pair for pair in pairs_of(atlas.regions) if not present.isdisjoint(pair.members)]
        png = fill_png(context.scene, _fill(context, atlas, labels, pairs))
        alt = f"Regions of the atlas {atlas.name} on the reference image"
        yield Picture(
            f"atlas{atlas.name}", "dseg", png, alt, f"{alt} {_explained(atlas, len(pairs))}"
        )


def _fill(
    context: VisitContext, atlas: AtlasPlan, labels: NDArray[np.int64], pairs: Sequence[Pair]
) -> Fill:
    """Paint both sides of a region alike, and grey what is not among those that are named."""
    number_of = {n: k for k, pair in enumerate(pairs, start=1) for n in pair.members}
    lookup = np.zeros(max(int(labels.max(initial=0)), *number_of, 0) + 1, dtype=np.int64)
    lookup[list(number_of)] = list(number_of.values())
    colours = colours_of(context.table("volumes"), atlas)
    entries = tuple(
        (k, colours[pair], pair.name) if pair in colours else (k, OTHERS_COLOUR, "")
        for k, pair in enumerate(pairs, start=1)
    )
    return Fill(lookup[labels] * context.scene.brain, entries, 0.5)


def _explained(atlas: AtlasPlan, n_regions: int) -> str:
    title = atlas.definition.title if atlas.definition else atlas.path.name
    some = f" The {SHOWN_REGIONS} with most WMH are named, the others grey."
    some = some if n_regions > SHOWN_REGIONS else ""
    overlap = " Where regions overlap, the likeliest is shown." if atlas.is_probabilistic else ""
    return f"({title}); both sides of a region have one colour.{some}{overlap} {ORIENTATION}"


def _labels(context: VisitContext, atlas: AtlasPlan) -> NDArray[np.int64]:
    if not atlas.is_probabilistic:
        labels, affine = load_image(context.image(f"seg_{atlas.name}"))
    else:
        # the steps in which probabilities are stored
        image = nib.load(context.image(f"atlasprob_{atlas.name}"))
        steps = np.asarray(image.dataobj.get_unscaled())
        likeliest = np.argmax(steps, axis=3) + 1
        enough = steps.max(axis=3) >= context.settings.regions.atlas_threshold * STEPS
        labels, affine = np.where(enough, likeliest, 0), image.affine
    return to_ras(Volume(labels.astype(np.int64), affine)).data
