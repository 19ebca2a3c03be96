"""The sources of every image follow from what its step takes; what was written by hand checks it.

``by_hand`` is what the sidecars said before, when nobody derived it. The edges know better here and
there: every difference stands in ``unnamed`` and ``unsaid``, with its reason, so that a new one
fails here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from tests.products.kinds import settings, visits
from wmhflow.bids.query import FoundFile
from wmhflow.plan.visit import Computed, Given, VisitPlan
from wmhflow.products.product import Image
from wmhflow.products.rows import zone_images
from wmhflow.products.unit import Unit
from wmhflow.products.visit import visit_unit
from wmhflow.registries.segmenters import Segmenter


class Names:
    """The URIs of what a visit has, by short names."""

    def __init__(self, visit: VisitPlan, unit: Unit) -> None:
        self.visit, self.unit = visit, unit

    def __getitem__(self, key: str) -> str:
        """A product of the visit, which is written."""
        return f"bids::{self.unit.path(key).as_posix()}"

    @property
    def reference(self) -> str:
        return self[f"preproc_{self.visit.reference}"]

    @property
    def inverse(self) -> str:
        given = self.visit.inverse
        return given.file.uri if isinstance(given, Given) else self["inverse"]

    @property
    def other_transform(self) -> list[str]:
        given = self.visit.other_transform
        if isinstance(given, Given):
            return [given.file.uri]
        return [self["other_transform"]] if self.visit.other_anatomical else []

    @property
    def infarct(self) -> list[str]:
        return [self["mask_infarct"]] if self.visit.infarct else []

    @property
    def raw(self) -> list[str]:
        return [file.uri for file in self.visit.anatomical.values()]

    def brought(self, given: Given) -> list[str]:
        """A given image, and what brings it to the reference, if it lies elsewhere."""
        moved = given.space != self.visit.reference
        return [given.file.uri, *(self.other_transform if moved else [])]


def by_hand(visit: VisitPlan, unit: Unit) -> dict[str, set[str]]:
    """What the sidecars of a visit's images gave as sources when it was written by hand."""
    of = Names(visit, unit)
    near = [of["distance_ventricles"], of["distance_cortex"]]
    given = visit.parcellation
    parcellation = [given.file.uri] if given else []
    tissue, wmh, reference = of["seg_tissue"], of["mask_WMH"], of.reference
    told = {
        f"preproc_{visit.reference}": [visit.reference_file.uri],
        "mask_brain": parcellation or [reference],
        "mask_ventricles": parcellation or [reference, of.inverse],
        "mask_NAWM": [tissue, *of.infarct],
        "seg_tissue": [*(parcellation or [reference, of.inverse, *of.infarct]), wmh],
        "seg_lesions": [wmh],
        "seg_continuity": [of["seg_lesions"], of["distance_ventricles"]],
        "seg_shells": [of["seg_lesions"], of["mask_NAWM"], tissue],
        "distance_ventricles": [of["mask_ventricles"]],
        "distance_WMH": [wmh],
        "distance_cortex": [tissue],
        "distance_depth": near,
        "mask_WMH": list(_of_lesions(visit, of)),
    }
    if "probseg_WMH" in unit.products:
        told["probseg_WMH"] = told["mask_WMH"]
    if visit.other_anatomical:
        other = "FLAIR" if visit.reference == "T1w" else "T1w"
        told[f"preproc_{other}"] = [visit.other_anatomical.uri, *of.other_transform]
    if visit.infarct:
        told["mask_infarct"] = of.brought(visit.infarct)
    if visit.lobes:
        by_atlas = visit.lobes != "parcellation"
        told["seg_lobes"] = [tissue, *([of.inverse] if by_atlas else parcellation)]
        told["seg_bullseye"] = [of["distance_depth"], of["seg_lobes"]]
    for zones, majority in zip(
        zone_images(visit.zones), zone_images(visit.zones, "majority"), strict=True
    ):
        told[f"seg_{zones}"] = [tissue, *near]
        told[f"seg_{majority}"] = [of["seg_lesions"], of[f"seg_{zones}"]]
    for atlas in visit.atlases:
        kind = "atlasprob" if atlas.is_probabilistic else "seg"
        told[f"{kind}_{atlas.name}"] = [of.inverse, of["mask_brain"], tissue]
    for kind, other_given in visit.others.items():
        told[f"mask_{kind}"] = of.brought(other_given)
    if visit.acute_image is not None:
        told["mask_acute"] = list(_of_acute(visit, visit.acute_image.values.files, of))
    for entry in visit.maps:
        if isinstance(entry.values, Computed):
            told[f"map_{entry.name}"] = list(_of_map(entry.values, of))
            if entry.values.step == "uptake" and given:
                # the region that it is relative to
                told[f"map_{entry.name}"] += of.brought(given)
    return {key: set(sources) for key, sources in told.items()}


def _of_acute(visit: VisitPlan, files: Iterable[FoundFile], of: Names) -> Iterator[str]:
    """What acute lesions are made of: the series, the ADC, and where they are not looked for."""
    yield from (file.uri for file in files)
    (adc,) = (entry for entry in visit.maps if entry.name == "ADC")
    yield adc.file.uri if isinstance(adc.values, Given) else of["map_ADC"]
    yield from (of["mask_NAWM"], of["mask_haemorrhage"])


def _of_map(values: Computed, of: Names) -> Iterator[str]:
    """The files that a computed map is made of."""
    # the decay needs no phase, the average of directions no directions
    used = {"decay": ("magnitude",), "ivim": ("image", "bval")}
    for part, taken in values.takes.items():
        if part in used.get(values.step, values.takes):
            yield from (file.uri for file in (taken if isinstance(taken, tuple) else (taken,)))
    if values.step == "t1_over_t2":
        yield of["preproc_T1w"]


def _of_lesions(visit: VisitPlan, of: Names) -> Iterator[str]:
    if isinstance(visit.wmh, Given):
        yield from of.brought(visit.wmh)
    elif visit.wmh.segmenter is not None:
        yield from _of_segmenter(visit, visit.wmh.segmenter, of)
    else:
        yield from of.raw
        yield from of.other_transform
        if visit.wmh.command is None:
            yield of["mask_brain"]
            # a computed warp is made anew with these lesions; what was there before is not written
            yield of.inverse if isinstance(visit.inverse, Given) else of.reference
    yield from of.infarct


def _of_segmenter(visit: VisitPlan, segmenter: Segmenter, of: Names) -> Iterator[str]:
    """Only what it reads, and what leads from there to the reference."""
    for suffix in segmenter.reads:
        if suffix == visit.reference or segmenter.space == "reference":
            yield of[f"preproc_{suffix}"]
        else:
            yield visit.anatomical[suffix].uri
    if segmenter.space not in {"reference", visit.reference.lower()}:
        yield from of.other_transform


# ---- what the edges know better ------------------------------------------------------------------


def unnamed(visit: VisitPlan, unit: Unit) -> dict[str, set[str]]:
    """Return what was written by hand and is no direct parent."""
    of, fewer = Names(visit, unit), dict[str, set[str]]()
    if not isinstance(visit.wmh, Given) and visit.wmh.segmenter is None:
        # the image that is prepared is looked at, and it says what it was prepared from
        fewer |= {name: {visit.reference_file.uri} for name in ("mask_WMH", "probseg_WMH")}
    for atlas in visit.atlases:
        # tissues are looked up as they were before lesions were put in, which are looked up too
        kind = "atlasprob" if atlas.is_probabilistic else "seg"
        fewer[f"{kind}_{atlas.name}"] = {of["seg_tissue"]}
    if visit.lobes_atlas in visit.atlases:
        # the atlas laid over is written, and it says by which transform
        fewer["seg_lobes"] = {of.inverse}
    return fewer


def unsaid(visit: VisitPlan, unit: Unit) -> dict[str, set[str]]:
    """Return direct parents that nobody wrote by hand."""
    of, extra = Names(visit, unit), dict[str, set[str]]()
    wmh, tissue, infarct = of["mask_WMH"], of["seg_tissue"], set(of.infarct)
    if visit.parcellation:
        # one that lies elsewhere was moved
        tissues = set(of.brought(visit.parcellation))
        extra |= dict.fromkeys(
            ("mask_brain", "mask_ventricles", "seg_tissue", "seg_lobes"), tissues
        )
    else:
        tissues = {of.reference, of["mask_brain"], of.inverse, wmh, *infarct}
        extra |= {"mask_ventricles": tissues, "seg_tissue": tissues}
        # two images without skulls have as brain what they share
        others = [file.uri for file in (visit.other_anatomical,) if file is not None]
        extra["mask_brain"] = {*others, *of.other_transform}
    if not isinstance(visit.wmh, Given) and visit.wmh.segmenter is None:
        extra |= {key: {of.reference} for key in ("mask_WMH", "probseg_WMH")}
    laid = {of.inverse, of["mask_brain"], wmh, *infarct, *tissues}
    for atlas in visit.atlases:
        # lesions, infarcts and tissue that reach out of the brain mask are looked up too
        extra[f"{'atlasprob' if atlas.is_probabilistic else 'seg'}_{atlas.name}"] = laid
    if visit.lobes_atlas is not None:
        written = visit.lobes_atlas in visit.atlases
        extra["seg_lobes"] = {of[f"seg_{visit.lobes_atlas.name}"]} if written else laid
    # a lesion's side is that of the tissue in it
    whole = ["seg_continuity", *(f"seg_{name}" for name in zone_images(visit.zones, "majority"))]
    extra |= {key: {tissue} for key in whole}
    # which lesions are periventricular is not written; the lesions are
    return extra | {"seg_shells": {wmh}}


@pytest.mark.parametrize("kind", visits())
def test_sources_are_what_was_written_by_hand_and_what_differs_has_a_reason(kind: str) -> None:
    visit = visits()[kind]
    unit = visit_unit(visit, settings())
    told, fewer, more = by_hand(visit, unit), unnamed(visit, unit), unsaid(visit, unit)
    assert set(told) == set(unit.of(Image))
    for key, sources in told.items():
        derived = unit.sources(key)
        assert len(derived) == len(set(derived))
        assert set(derived) == sources - fewer.get(key, set()) | more.get(key, set()), key


@pytest.mark.parametrize("kind", visits())
def test_what_is_not_named_is_named_by_a_source_or_its_own_sources_are(kind: str) -> None:
    visit = visits()[kind]
    unit = visit_unit(visit, settings())
    of = {f"bids::{unit.path(key).as_posix()}": key for key in unit.written}
    for key, left in unnamed(visit, unit).items():
        if key in unit.products:
            derived = unit.sources(key)
            nearby = {uri for one in derived if one in of for uri in unit.sources(of[one])}
            for uri in left:
                assert uri in nearby or set(unit.sources(of[uri])) <= set(derived), (key, uri)


@pytest.mark.parametrize("kind", visits())
def test_every_source_exists_somewhere_and_no_image_is_its_own_ancestor(kind: str) -> None:
    visit = visits()[kind]
    unit = visit_unit(visit, settings())
    of = {f"bids::{unit.path(key).as_posix()}": key for key in unit.written}
    read = {file.uri for file in visit.sources}
    for key in unit.written:
        known, ahead = set[str](), unit.sources(key)
        while ahead:
            uri = ahead.pop()
            assert uri in of or uri in read
            if uri in of and uri not in known:
                ahead += unit.sources(of[uri])
            known.add(uri)
        assert f"bids::{unit.path(key).as_posix()}" not in known
        # all begins with what was given
        assert known & read
