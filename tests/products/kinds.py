"""Every kind of visit that there is, as variations of those of the phantom."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from tests.builders import made_atlases
from tests.runs import phantom_words
from wmhflow.bids.query import FoundFile
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.plan.others import LABELS
from wmhflow.plan.visit import (
    PASSED,
    REFUSED,
    UNUSABLE,
    Composed,
    Computed,
    Decision,
    Given,
    MapPlan,
    SpectrumPlan,
    VisitPlan,
)
from wmhflow.registries.maps import load_maps
from wmhflow.registries.segmenters import load_segmenters
from wmhflow.registries.tracers import load_references
from wmhflow.settings import Settings

# files that only have to be there; it goes when the tests end
FOLDER = tempfile.TemporaryDirectory(prefix="wmhflow-tests-")


@cache
def settings(*more: str) -> Settings:
    """The settings of a run over the phantom, with two atlases."""
    folder = Path(FOLDER.name) / "atlases"
    words = phantom_words(Path("out"), Path("work"))
    return parse_settings(
        [*words, *made_atlases(folder), "--zones", "jv3-pv13-jc4", "pv4-14", *more]
    )


@cache
def phantom(*more: str) -> dict[str, VisitPlan]:
    """The visits of the phantom, by name."""
    plans = make_plans(settings(*more))
    return {visit.label: visit for plan in plans for visit in plan.visits}


def empty(name: str) -> Path:
    """A file of a name; nobody opens it."""
    path = Path(FOLDER.name) / name
    path.touch()
    return path


def found(name: str, visit: VisitPlan) -> FoundFile:
    """A file of a name in a dataset of the user's."""
    return FoundFile(empty(name), visit.reference_file.entities, "mine", Path(FOLDER.name))


def known(name: str, image: str | None = None) -> Computed:
    """WMH by a segmenter of the registry."""
    segmenter = load_segmenters()[name]
    return Computed("run_segmenter", command=segmenter.line, segmenter=segmenter, image=image)


def made_maps(visit: VisitPlan) -> Iterator[MapPlan]:
    """Every map that is computed from echoes or pairs of images and is not given."""
    takes = {
        "echoes": {
            part: tuple(found(f"{part}{n}.nii.gz", visit) for n in (1, 2, 3))
            for part in ("magnitude", "phase")
        },
        "transfer": {"off": found("off.nii.gz", visit), "on": found("on.nii.gz", visit)},
        "T1": {"time": found("t1.nii.gz", visit)},
        "T2w": {"image": found("t2.nii.gz", visit)},
    }
    options = {
        "echo_times_s": [0.01, 0.02, 0.03],
        "field_strength_t": 3.0,
        "far_mm": 14.0,
        "seconds_per_unit": 1.0,
    }
    for definition in load_maps().values():
        how = definition.computed
        if how is None or how.series not in takes:
            continue
        held = takes[how.series]
        files = [
            file for one in held.values() for file in (one if isinstance(one, tuple) else [one])
        ]
        values = Computed(how.step, tuple(files), takes=held, options=options, series=how.series)
        yield MapPlan(definition, values, Computed("register_rigid"), (str(files[0].path),))


def uptake_maps(visit: VisitPlan) -> Iterator[MapPlan]:
    """SUVR of two tracers, relative to two regions."""
    names = {"FDG": "pons", "PIB": "cerebellar-grey"}
    for tracer, reference in names.items():
        definition = replace(load_maps()["SUVR"], name=f"SUVR{tracer}")
        takes = {"activity": found(f"trc-{tracer}_pet.nii.gz", visit)}
        options = {
            "name": definition.name,
            "reference_name": load_references()[reference].title,
            "volumes": [0, 1],
            "starts_s": [0.0, 60.0],
            "durations_s": [60.0, 60.0],
        }
        values = Computed(
            "uptake", tuple(takes.values()), takes=takes, options=options, series="pet",
            which=tracer,
        )  # fmt: skip
        yield MapPlan(definition, values, Computed("register_rigid"), (tracer,))


def spectra(visit: VisitPlan) -> tuple[SpectrumPlan, ...]:
    """Two voxels: one by its header with values, one by transforms and the other image."""
    leg = Given(found("m.txt", visit), inverted=True)
    return (
        SpectrumPlan("svs", found("svs.nii.gz", visit), values=found("svs.csv", visit)),
        SpectrumPlan("voi-a", found("voi-a_svs.nii.gz", visit), (leg,), through_other=True),
    )


def left_out() -> Iterator[Decision]:
    """What a plan refuses or passes over, of every kind."""
    for what in ("SUVRFDG", "mrs svs", "diffusion", "acute"):
        yield Decision(what, REFUSED, "it cannot be used")
    yield Decision("echoes", UNUSABLE, "it cannot be used")
    yield Decision("pet", PASSED, "another one stands before it")


def others(visit: VisitPlan) -> dict[str, Given]:
    """Masks of all other lesions."""
    return {kind: Given(found(f"{kind}.nii.gz", visit), "T1w") for kind in LABELS}


def diffusion_maps(visit: VisitPlan, transform: Given | None = None) -> Iterator[MapPlan]:
    """Every map that is computed from a diffusion series and is not given."""
    takes = {name: found(f"x_dwi.{name}", visit) for name in ("image", "bval", "bvec")}
    options = {"volumes": [0, 1], "convention": "FSL"}
    there = {entry.name for entry in visit.maps} if transform is None else set()
    for definition in load_maps().values():
        how = definition.computed
        if how is not None and how.series == "diffusion" and definition.name not in there:
            values = Computed(
                how.step, tuple(takes.values()), takes=takes, options=options, series=how.series
            )
            moved = transform or Computed("register_rigid")
            yield MapPlan(definition, values, moved, ("x_dwi.image",))


def with_acute(visit: VisitPlan, *, beside_maps: bool) -> VisitPlan:
    """A visit whose acute lesions are looked for on a series; of it maps are computed, or not."""
    computed = tuple(diffusion_maps(visit))
    (adc,) = (entry for entry in computed if entry.name == "ADC")
    options = {"volumes": [0, 1]}
    image = replace(
        adc,
        definition=replace(adc.definition, name="acuteDWI"),
        values=replace(adc.values, step="weighted", options=options),
    )
    given = replace(adc, values=Given(found("x_ADC.nii.gz", visit)), transform=None, grid=("x",))
    masks = {kind: one for kind, one in others(visit).items() if kind != "acute"}
    maps = computed if beside_maps else (given,)
    return replace(visit, maps=maps, acute_image=image, others=masks)


@cache
def visits() -> dict[str, VisitPlan]:
    """Visits of every kind, by what is special about them."""
    given, computed = phantom()["sub-01 ses-1"], phantom()["sub-02"]
    other = found("other.txt", given)
    plain = replace(given, atlases=())
    halves, tracts = given.atlases
    kinds = {
        "given": given,
        "a second visit": phantom()["sub-01 ses-2"],
        "computed": computed,
        "FLAIR for a reference": phantom("--reference", "FLAIR")["sub-01 ses-1"],
        "computed, FLAIR for a reference": phantom("--reference", "FLAIR")["sub-02"],
        "no atlas": plain,
        "no map": replace(plain, maps=()),
        "one atlas for two templates": replace(
            given,
            atlases=(
                *given.atlases,
                replace(halves, name="third", bridge=empty("a.nii.gz")),
                replace(halves, name="fourth", bridge=empty("a.nii.gz")),
                replace(tracts, name="fifth", bridge=empty("b.nii.gz")),
            ),
        ),
        "lobes by an atlas": replace(computed, lobes="halves", lobes_atlas=halves),
        "lobes by an atlas of their own": replace(
            computed, lobes="parcels", lobes_atlas=replace(halves, name="parcels"), atlases=()
        ),
        "probabilities given": replace(
            given, wmh=Given(found("p.nii.gz", given), "FLAIR", is_probability=True)
        ),
        "a program of one's own": replace(
            computed, wmh=Computed("run_program", command="x {flair} {out}")
        ),
        "a segmenter known by name": replace(computed, wmh=known("lst-ai")),
        "a segmenter in an image": replace(computed, wmh=known("synthseg-wmh", "maker/tool:1.0")),
        "a segmenter of aligned images": replace(computed, wmh=known("samseg")),
        "all transforms given": replace(
            given,
            forward=Given(found("f.h5", given)),
            inverse=Given(found("i.h5", given)),
            other_transform=Given(other),
        ),
        "all transforms given, WMH computed": replace(
            computed,
            forward=Given(found("f.h5", computed)),
            inverse=Given(found("i.h5", computed)),
            other_transform=Given(found("o.txt", computed)),
        ),
        "another program's transform": replace(given, other_transform=Given(other, convert=True)),
        "diffusivities of FA's own fit": replace(
            given,
            maps=(
                *given.maps,
                *(
                    replace(entry, definition=load_maps()[name])
                    for entry in given.maps
                    for name in ("AD", "RD")
                    if entry.name == "FA"
                ),
            ),
        ),
        "maps are registered": replace(
            given,
            maps=tuple(
                replace(entry, transform=Computed("register_rigid")) for entry in given.maps
            ),
        ),
        "maps by another program's transform": replace(
            given,
            maps=tuple(
                replace(entry, transform=Given(other, convert=True)) for entry in given.maps
            ),
        ),
        "maps by several transforms": replace(
            given,
            maps=tuple(
                replace(
                    entry,
                    transform=Composed(
                        (Given(other, convert=True), Given(other, convert=True, inverted=True)),
                        given.reference_file,
                    ),
                )
                for entry in given.maps
            ),
        ),
        "maps by a field of displacements": replace(
            given,
            maps=tuple(
                replace(
                    entry,
                    transform=Composed((Given(other, bends=True),), given.reference_file),
                )
                for entry in given.maps
            ),
        ),
        "maps by the inverse of a field": replace(
            given,
            maps=tuple(
                replace(
                    entry,
                    transform=Composed(
                        (Given(other, convert=True, inverted=True, bends=True),),
                        given.reference_file,
                    ),
                )
                for entry in given.maps
            ),
        ),
        "the other image by the inverse of a field": replace(
            given, other_transform=Given(other, convert=True, inverted=True, bends=True)
        ),
        "the way back from the template by an inverse": replace(
            given,
            forward=Given(other),
            inverse=Given(other, convert=True, inverted=True, bends=True),
        ),
        "fields as images": replace(
            given,
            other_transform=Given(other, convert=True, bends=True),
            forward=Given(other, convert=True, bends=True),
            inverse=Given(other, convert=True, bends=True),
        ),
        "maps lie on the other image": replace(
            given,
            maps=tuple(
                replace(entry, transform=Composed((), given.other_anatomical, through_other=True))
                for entry in given.maps
                if given.other_anatomical is not None
            ),
        ),
        "the other image by an inverse": replace(
            given, other_transform=Given(other, convert=True, inverted=True)
        ),
        "maps lie where they should": replace(
            given, maps=tuple(replace(entry, transform=None) for entry in given.maps)
        ),
        "echoes and pairs of images": replace(given, maps=tuple(made_maps(given))),
        "a PET": replace(
            given, maps=tuple(uptake_maps(given)), others=others(given), spectra=spectra(given)
        ),
        "other lesions": replace(given, others=others(given)),
        "much is left out": replace(given, decisions=tuple(left_out())),
        "no map but what is left out": replace(plain, maps=(), decisions=tuple(left_out())),
        "acute lesions by rule": with_acute(given, beside_maps=True),
        "acute lesions by rule, ADC given": with_acute(given, beside_maps=False),
        "a diffusion series": replace(given, maps=(*given.maps, *diffusion_maps(given))),
        "a diffusion series with a transform": replace(
            given, maps=tuple(diffusion_maps(given, Given(other)))
        ),
        "T1w alone": replace(given, flair=None),
        "FLAIR alone": replace(computed, t1w=None, reference="FLAIR"),
    }
    return kinds | {
        f"{name}, with an infarct": replace(
            kinds[name], infarct=Given(found("x.nii.gz", kinds[name]), space)
        )
        for name, space in (
            ("given", "T1w"),
            ("computed", "FLAIR"),
            ("probabilities given", "FLAIR"),
            ("a program of one's own", "T1w"),
            ("FLAIR for a reference", "FLAIR"),
        )
    }
