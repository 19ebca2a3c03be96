"""What is declared about a visit holds together: names, captions, columns, promises, needs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, get_args

import pytest
from bidsschematools.schema import load_schema

from tests.products.kinds import found, known, phantom, settings, visits
from wmhflow.bids.writer import Kind
from wmhflow.core.align.quality import ACCEPTABLE
from wmhflow.plan.refusals import left_out_measures
from wmhflow.plan.visit import Computed, Given, ParticipantPlan, VisitPlan
from wmhflow.products.dataset import IGNORED, described
from wmhflow.products.product import Facts, Image, Recipe, Table, Transform, Work, parts_of
from wmhflow.products.study import study_unit
from wmhflow.products.unit import Unit
from wmhflow.products.visit import visit_unit
from wmhflow.products.writing import with_writing, written_by
from wmhflow.registries.quality import find_measure, load_quality_measures
from wmhflow.registries.relations import is_summed, tissues_told
from wmhflow.steps.acute import FOUND
from wmhflow.steps.adapter import input_ports, output_ports
from wmhflow.steps.eigenvalues import sorted_names
from wmhflow.steps.kinds import needs_of
from wmhflow.steps.map_images import align_maps
from wmhflow.steps.measures import fitted_with_fa
from wmhflow.steps.outputs import write_images, write_tables
from wmhflow.steps.readings import WORDS
from wmhflow.steps.registration import align_rigidly
from wmhflow.workflows.units import units_of

STORED = ("labels", "mask", "scalars", "probabilities", "probability", "scan", "distance", "depth")
KINDS = pytest.mark.parametrize("kind", visits())


def unit_of(kind: str) -> Unit:
    return visit_unit(visits()[kind], settings())


def step_of(kind: str | VisitPlan, name: str) -> Recipe:
    unit = unit_of(kind) if isinstance(kind, str) else visit_unit(kind, settings())
    return next(recipe for recipe in unit.recipes if recipe.name == name)


@KINDS
def test_every_kind_of_visit_takes_what_is_made_and_makes_nothing_twice(kind: str) -> None:
    unit_of(kind).check()
    with_writing(unit_of(kind), settings()).check()
    study_unit([visits()[kind]], settings(), "shared_wf").check()


@KINDS
def test_nothing_is_made_in_the_work_folder_that_nobody_takes(kind: str) -> None:
    unit = with_writing(unit_of(kind), settings())
    taken = {
        part
        for recipe in unit.recipes
        for part in parts_of((*recipe.takes.values(), *recipe.beside.values(), recipe.after))
        if isinstance(part, str)
    }
    # what says that all is written is taken by the person's page
    taken |= {one.key for one in written_by(unit)}
    assert {*unit.of(Work), *unit.of(Facts)} <= taken


@KINDS
def test_steps_are_fed_and_read_by_the_names_that_their_functions_have(kind: str) -> None:
    for recipe in with_writing(unit_of(kind), settings()).recipes:
        inputs, _ = input_ports(recipe.function)
        fed = [*recipe.takes, *recipe.beside, *recipe.options]
        assert len(fed) == len(set(fed)), recipe.name
        assert set(fed) <= {port.name for port in inputs}, recipe.name
        needed = {port.name for port in inputs if port.default is port._field_defaults["default"]}
        assert needed <= {name for name in fed if not _is_nothing(recipe, name)}, recipe.name
        outputs = {port.name: port for port in output_ports(recipe.function)}
        assert set(recipe.makes) <= set(outputs), recipe.name
        for name, product in recipe.makes.items():
            # only what is a file can be written
            if isinstance(product, Image | Table | Transform):
                assert outputs[name].kind is not None, (recipe.name, name)


def _is_nothing(recipe: Recipe, name: str) -> bool:
    return {**recipe.takes, **recipe.beside, **recipe.options}[name] is None


@KINDS
def test_every_step_states_needs_that_a_small_machine_has(kind: str) -> None:
    for recipe in with_writing(unit_of(kind), settings()).recipes:
        needs = needs_of(recipe.function)
        assert 0 < (recipe.mem_gb or needs.mem_gb) <= 8
        assert needs.threads == 1


# ---- names and promises --------------------------------------------------------------------------


def ignored(path: PurePosixPath) -> bool:
    """Tell whether the dataset's .bidsignore leaves a file out."""
    parts = [PurePosixPath(*path.parts[: n + 1]) for n in range(len(path.parts))]
    return any(
        fnmatchcase(part.as_posix() if "/" in pattern else part.name, pattern)
        for pattern in IGNORED
        for part in parts
    )


@KINDS
def test_names_are_those_of_bids_or_are_left_out_of_its_validation(kind: str) -> None:
    schema, unit = load_schema(), unit_of(kind)
    suffixes = {entry.value for entry in schema.objects.suffixes.values()}
    entities = {entry.name for entry in schema.objects.entities.values()}
    meanings = dict(described(settings()))
    folder = PurePosixPath(*unit.name.split(), "anat")
    for path in unit.files:
        assert path.parent == folder
        *pairs, suffix = path.name.partition(".")[0].split("_")
        values = dict(pair.split("-", 1) for pair in pairs)
        known = suffix in suffixes and set(values) <= entities
        # an atlas of one visit has a look-up table beside its image, as the schema allows
        assert known != ignored(path), path
        if "desc" in values:
            assert values["desc"] in meanings
        assert all(value.isalnum() for value in values.values())


def test_no_two_products_of_a_person_lie_in_one_place() -> None:
    for first, second in (("given", "a second visit"), ("maps are registered", "a second visit")):
        plan = ParticipantPlan("01", (visits()[first], visits()[second]))
        files = [path for unit in units_of(plan, settings()) for path in unit.files]
        assert max(Counter(files).values()) == 1
        assert PurePosixPath("sub-01.html") in files


@KINDS
def test_what_is_written_is_exactly_what_is_promised(kind: str) -> None:
    """The targets of the steps that write, with what each writes beside, are the promises."""
    unit, out = with_writing(unit_of(kind), settings()), settings().output_dir
    written: list[Path] = []
    for recipe in unit.recipes:
        if recipe.function in (write_images, write_tables):
            for target in recipe.options["targets"]:
                start = target.path.name.split(".")[0]
                written += [target.path, target.path.with_name(f"{start}.json")]
                if getattr(target, "look_up", None) is not None:
                    written.append(target.path.with_name(f"{start}.tsv"))
        elif recipe.name == "transform_sink":
            written += map(Path, recipe.options["targets"])
        if recipe.name.endswith("_sink"):
            # each file goes to the target of its own product
            for key, target in zip(recipe.takes["files"], recipe.options["targets"], strict=True):
                assert out / unit.path(key) == Path(getattr(target, "path", target))
    assert sorted(written) == sorted(out / path for path in unit.files)


@KINDS
def test_every_image_and_table_says_what_it_is(kind: str) -> None:
    unit = unit_of(kind)
    for image in unit.of(Image).values():
        assert image.caption[0].isupper()
        assert image.kind in STORED
        assert (image.kind == "labels") == (image.suffix == "dseg")
    for table in unit.of(Table).values():
        assert table.caption[0].isupper()
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names))
        for column in table.columns:
            assert column.kind in get_args(Kind)
            assert len(column.description) > 5
            assert column.unit is None or column.kind in ("number", "whole"), column


@KINDS
def test_captions_tell_images_of_a_visit_apart(kind: str) -> None:
    images = unit_of(kind).of(Image).values()
    told = Counter((one.caption, str(one.parameters), str(one.entities)) for one in images)
    assert max(told.values()) == 1


# ---- quality control -----------------------------------------------------------------------------

LESIONS = (
    *("n_lesions", "n_small_lesions", "small_lesion_fraction", "brain_volume_mm3"),
    *("wmh_brain_fraction", "wmh_outside_brain", "wmh_outside_white_matter", "wmh_in_ventricles"),
    *("wmh_flair_contrast", "wmh_cavity_rim_share"),
)
WARP = (
    *("start", "mutual_information_affine", "jacobian_min", "jacobian_max"),
    *("ventricles_met_mm3", "wmh_filled_mm3"),
)
CONTRAST = (
    *("cortex_to_white", "bright_cortex_to_dark_white", "ventricle_to_white"),
    *("unevenness", "dark_white_share", "below_air_share", "dark_tissue_mm3", "empty_share"),
)
PAIR = ("T1w_FLAIR_correlation", "FLAIR_over_T1w_cortex")
JUDGED = (
    *("mutual_information_ratio", "mutual_information_z", "foreground_dice"),
    *("field_of_view_overlap", "displacement_mm", "misalignment_mm"),
)
# what the steps count, where that depends on nothing
RIGID = (
    *("mutual_information", "mutual_information_identity", "rotation_deg", "translation_mm"),
    *("start", "search_displacement_mm", "retries", "displacement_mm", *ACCEPTABLE),
    "mirrored_fit",
)
COUNTED: dict[str, tuple[str, ...]] = {
    "prepare_image": (
        *("nonfinite_voxels", "distinct_values", "foreground_l", "smoothness"),
        *("ghost_share", "darkest_slice", "zero_level"),
    ),
    "align_rigidly": RIGID,
    "align_maps": RIGID,
    "judge_alignment": (*JUDGED, "mirrored_fit"),
    "compose_fields": ("inverse_error_mm",),
    "judge_two_lesions": ("wmh_exchanged_with_infarct",),
    "judge_warp": (*JUDGED, "jacobian_min", "jacobian_max", "round_trip_mm"),
    "map_decay": (
        *("refused", "echoes", "noise", "off_line", "fewer_echoes_voxels", "unfitted_voxels"),
        *("apart_mm", "air_share"),
    ),
    "map_transfer": ("refused", "noise", "unfitted_voxels", "apart_mm", "air_share"),
    "map_rate": ("refused", "seconds_per_unit"),
    "map_t1_over_t2": ("refused", "reference_ratio", "reference_voxels", "air_share"),
    "map_susceptibility": (
        *("refused", "reference_offset_ppm", "deep_grey_ppm", "white_matter_ppm"),
        *("residual_rad", "brain_share", "phase_turn_share"),
    ),
    "map_uptake": (
        *("refused", "reference_code", "reference_mm3", "reference_mean", "reference_coverage"),
        *("reference_lesion_share", "air_share"),
    ),
    "join_voxel": ("brain_share", "wmh_share", "voxel_mm3"),
    "tabulate_acute": ("lesions", "remote_lesions"),
    "find_acute_lesions": ("refused", *FOUND),
    "keep_infarct_out": (
        *("wmh_removed_infarct_voxels", "wmh_removed_infarct_rim_voxels", "infarct_volume_mm3"),
        "wmh_removed_infarct_fraction",
    ),
    "find_lesions": (
        *("white_matter_sd", "cortex_z", "cortex_spread_z", "lesion_z", "expected_dice"),
        *("noise", "slice_difference"),
    ),
    "find_brain": ("brain_cut_share",),
    "share_brain": ("brain_cut_share",),
    "read_parcellation": (
        *("parcellation_unknown_voxels", "brain_cut_share"),
        *("parcellation_apart_mm", "parcellation_border_apart_mm"),
    ),
    "warp_to_template": WARP,
    "warp_again": WARP,
    "find_infratentorial": ("wmh_infratentorial_mm3", "wmh_infratentorial_fraction"),
    "find_nawm": (
        *(f"nawm_removed_{what}_voxels" for what in ("lesion", "csf", "grey_matter", "infarct")),
        "tissue_guard_mm",
    ),
    "measure_volumes": ("intracranial_volume_mm3",),
    "fit_tensors": (
        *("condition_number", "redundancy", "uneven_volumes", "air_share"),
        *("n_voxels", "n_without_fit"),
        *("negative_fraction", "apart_mm"),
        *("directions_follow_fibres", "second_best_table"),
    ),
    "map_adc": ("refused", "n_voxels", "n_without_fit", "uneven_volumes", "air_share"),
    "fit_kurtoses": (
        *("n_voxels", "n_without_fit", "bounded_fraction", "uneven_volumes", "air_share"),
    ),
    "fit_free_waters": (
        *("n_voxels", "n_without_fit", "tensorless_fraction", "uneven_volumes", "air_share"),
    ),
    "fit_ivims": ("n_voxels", "n_without_fit", "uneven_volumes", "air_share"),
    "divide_tissues": (
        *("n_voxels", "n_without_fit", "uneven_volumes", "air_share"),
        *(f"n_response_{name}" for name in ("white", "grey", "fluid")),
    ),
    "measure_alps": ("alps_voxel_mm", "alps_mean", "alps_missing_sides"),
    "judge_lesions": LESIONS,
    "judge_lesions_by_priors": LESIONS,
}
BRINGING = ("nonfinite_voxels", "given_volume_mm3", "hole_voxels", "kept_fraction")
SAMPLING = (
    *("invalid_voxels", "nonfinite_voxels", "nawm_outside_field_of_view", "nawm_invalid"),
    *(f"coverage_{part}" for part in ("white_matter", "WMH", "NAWM")),
    *("zero_voxels", "no_data_voxels", "nawm_no_data", "unit_factor", "nawm_impure"),
    "border_apart_mm",
)
USUAL = ("nawm_implausibility",)
OF_FLUID = ("fluid_reversed",)
OF_WATER = {"mm^2/s": "fluid_over_free_water", "1": "fluid_free_water_share"}
CUT_OFF = ("nawm_cut_off", "wmh_cut_off")
COUNTED_ZEROS = {False: "counted", True: "at_bound"}
# what is made of others when all are gathered
OF_VOLUMES = (
    *("ventricle_volume_mm3", "wmh_volume_mm3", "wmh_asymmetry", "brain_intracranial_ratio"),
)


def placed(options: Mapping[str, Any]) -> tuple[str, ...]:
    how = "contrast" if options["is_flair"] else "darkness"
    names = ("apart_mm", "cut_share", "gap_share", "rim_brightness", "left_out_share")
    on_flair = tuple(f"wmh_{name}" for name in names) if options["is_flair"] else ()
    return f"wmh_local_{how}", *on_flair, *(f"wmh_fits_better_{name}" for name in WORDS)


# where given masks lie, by what the step is told
PLACES: dict[str, Callable[[Mapping[str, Any]], tuple[str, ...]]] = {
    "judge_placement": placed,
    "judge_other_placement": lambda options: (
        f"{options['what']}_standing_out",
        *(f"{options['what']}_fits_better_{name}" for name in WORDS),
    ),
    "judge_acute_placement": lambda _: (
        "acute_local_darkness",
        *(f"acute_fits_better_{name}" for name in WORDS),
    ),
    "judge_spaces_placement": lambda _: (
        *("perivascular_in_tissue", "perivascular_local_darkness"),
        *(f"perivascular_fits_better_{name}" for name in WORDS),
    ),
    "judge_other_lesions": lambda options: (
        *(f"{name}_outside_brain" for name in options["names"]),
        *(f"{name}_share_of_fluid" for name in options["names"] if name != "haemorrhage"),
    ),
}


def counted_by(recipe: Recipe) -> tuple[str, ...]:
    """Name what a step counts for the table of quality."""
    function = recipe.function.__name__
    if function == "bring_mask":
        return tuple(f"{recipe.options.get('what', 'wmh')}_{name}" for name in BRINGING)
    if function == "sample_maps":
        options = recipe.options["options"]
        fitted = sorted_names({one.name: one for one in fitted_with_fa(options)})
        return tuple(["map_FA_nawm_off_eigenvalues"] if fitted else []) + tuple(
            f"map_{one.name}_{name}"
            for one in options
            for name in (
                *SAMPLING,
                *(f"{part}_zeros_{COUNTED_ZEROS[one.can_be_zero]}" for part in ("nawm", "wmh")),
                *CUT_OFF[: 2 * (not one.can_be_zero)],
                *USUAL[: bool(one.plausible)],
                *OF_FLUID[: bool(one.in_fluid)],
                *([OF_WATER[one.unit]] if one.free_water else []),
                *(f"median_{tissue}" for tissue in tissues_told(one.name)),
                *(["mean_NAWM"] if is_summed(one.name) else []),
            )
        )
    if function == "judge_inputs":
        visit = recipe.options["visit"]
        given = [one for one in visit.maps if isinstance(one.values, Given)]
        return (*left_out_measures(visit), *(f"map_{one.name}_refused" for one in given))
    if function == "check_anatomy":
        seen = list(recipe.options["sources"])
        names = [f"{image}_{name}" for image in seen for name in CONTRAST]
        other = "FLAIR" if recipe.options["reference_name"] == "T1w" else "T1w"
        pair = (*PAIR, f"{other}_border_apart_mm") if len(seen) == 2 else ()
        return (*names, *pair, "template_likeness")
    if function in PLACES:
        return PLACES[function](recipe.options)
    return COUNTED[function]


def metrics_of(unit: Unit) -> Iterator[str]:
    yield from OF_VOLUMES
    for one in unit.makers["table_qc"].options.get("relations", ()):
        yield f"maps_{one.relation.name}_contradict"
    for key, facts in unit.of(Facts).items():
        yield from (f"{facts.prefix}{name}" for name in counted_by(unit.makers[key]))


@KINDS
def test_no_two_facts_have_one_name_and_all_of_them_reach_the_table(kind: str) -> None:
    unit = unit_of(kind)
    metrics = Counter(metrics_of(unit))
    assert max(metrics.values()) == 1, metrics.most_common(3)
    # how a registration began is a word, which is no number of the table
    numbers = [name for name in metrics if not name.endswith("_start")]
    assert not [name for name in numbers if find_measure(name) is None]
    table = unit.makers["table_qc"]
    assert set(table.takes["facts"]) == set(unit.of(Facts))
    prefixes = dict(zip(table.takes["facts"], table.options["prefixes"], strict=True))
    assert prefixes == {key: one.prefix for key, one in unit.of(Facts).items()}


def test_nothing_has_bounds_that_nobody_measures() -> None:
    metrics = {name for kind in visits() for name in metrics_of(unit_of(kind))}
    found = {find_measure(name) for name in metrics}
    assert {one.metric for one in load_quality_measures()} == {one.metric for one in found if one}


# ---- what depends on what ------------------------------------------------------------------------


def test_atlases_on_one_template_share_its_places_and_others_do_not() -> None:
    kind = "one atlas for two templates"
    names = ("halves", "tracts", "third", "fourth", "fifth")
    points = [step_of(kind, f"atlas_{name}").takes["points"] for name in names]
    first, third, fifth = "points_of_halves", "points_of_third", "points_of_fifth"
    assert points == [first, first, third, third, fifth]
    unit, visit = unit_of(kind), visits()[kind]
    ways = {key: unit.makers[key].takes["transforms"] for key in (first, third, fifth)}
    assert ways[first] == ["inverse"]
    # then on, to the atlas's own template, by what is registered once for all persons
    (inverse, bridge), (_, other) = ways[third], ways[fifth]
    assert inverse == "inverse"
    assert bridge != other
    shared = study_unit([visit, visits()["a second visit"]], settings(), "shared_wf")
    assert {bridge.unit, other.unit} == {shared.name}
    assert {key for key in shared.products if key.startswith("bridge")} == {bridge.key, other.key}


def test_an_infarct_is_kept_from_registration_tissues_and_nawm() -> None:
    for kind in ("given, with an infarct", "computed, with an infarct"):
        unit, visit = unit_of(kind), visits()[kind]
        by_hand = isinstance(visit.wmh, Given)
        first = step_of(kind, "template_registration")
        # WMH that are computed are not known yet when the registration begins
        assert first.takes["wmh"] == ("mask_WMH" if by_hand else None)
        assert first.takes["infarct"] == "mask_infarct"
        if not by_hand:
            again = step_of(kind, "template_registration_again")
            assert (again.takes["wmh"], again.takes["infarct"]) == ("mask_WMH", "mask_infarct")
            tissues = step_of(kind, "tissues").takes
            assert tissues["lesion_mask"] == "mask_WMH"
            assert tissues["infarct_mask"] == "mask_infarct"
        # what is called WMH everywhere is what lies outside of the infarct
        out = unit.makers["mask_WMH"]
        assert out.name == "wmh_without_infarct"
        assert out.takes["infarct"] == "mask_infarct"
        # a mask by hand is cut along the infarct, a computed lesion goes with its rim
        assert out.options["with_rims"] == (not by_hand)
        for name in ("nawm", "partition"):
            assert step_of(kind, name).takes["infarct"] == "mask_infarct"


def test_a_segmenter_takes_what_it_reads_and_how_to_the_reference() -> None:
    both = visits()["computed"]
    named = step_of("a segmenter known by name", "external_wmh")
    assert (set(named.takes), named.takes["other_transform"]) == (
        {"t1w", "flair", "other_transform"}, "other_transform",
    )  # fmt: skip
    alone = step_of("a segmenter in an image", "external_wmh").takes
    assert alone == {"flair": "other", "other_transform": "other_transform"}
    aligned = step_of("a segmenter of aligned images", "external_wmh").takes
    assert aligned == {"t1w": "preproc_T1w", "flair": "preproc_FLAIR", "other_transform": None}
    # in the reference's own space nothing is moved
    flair = replace(phantom("--reference", "FLAIR")["sub-02"], wmh=both.wmh)
    there = step_of(replace(flair, wmh=known("synthseg-wmh")), "external_wmh").takes
    assert there == {"flair": "preproc_FLAIR", "other_transform": None}


def choices_with(wmh: Computed) -> dict[str, Any]:
    return visit_unit(replace(visits()["computed"], wmh=wmh), settings()).choices()


def test_an_edited_entry_or_another_image_makes_everything_anew(tmp_path: Path) -> None:
    image = tmp_path / "tool.sif"
    image.write_bytes(b"one")
    wmh = known("samseg", str(image))
    before = choices_with(wmh)
    assert choices_with(known("samseg", str(image))) == before
    image.write_bytes(b"another")
    edited = replace(wmh, segmenter=replace(wmh.segmenter, labels=(77,)))
    changed = [before, choices_with(wmh), choices_with(edited), choices_with(known("samseg"))]
    changed.append(choices_with(known("samseg", "maker/tool:1.0")))
    told = [json.dumps(one, sort_keys=True) for one in changed]
    assert len(set(told)) == len(told)
    # where the image lies is no matter
    assert str(tmp_path) not in told[0]


def test_the_sidecar_names_the_segmenter_and_its_image() -> None:
    mask = unit_of("a segmenter in an image").products["mask_WMH"]
    assert mask.parameters["segmenter"] == "synthseg-wmh"
    assert mask.parameters["image"] == "maker/tool:1.0"
    assert mask.parameters["source"] == "mri_WMHsynthseg --i {flair} --o {out}"
    truenet = visit_unit(replace(visits()["computed"], wmh=known("truenet")), settings())
    assert truenet.products["mask_WMH"].parameters["threshold"] == 0.5


@KINDS
def test_without_an_infarct_nobody_speaks_of_one(kind: str) -> None:
    unit = unit_of(kind)
    has_one = visits()[kind].infarct is not None
    assert any("infarct" in key for key in unit.products) == has_one
    taken = [recipe.takes.get("infarct") for recipe in unit.recipes]
    assert any(taken) == has_one


@KINDS
def test_all_but_the_search_for_wmh_take_the_registration_that_knows_them(kind: str) -> None:
    unit, visit = unit_of(kind), visits()[kind]
    early = {
        recipe.name
        for recipe in unit.recipes
        if any(str(taken).startswith("first_") for taken in recipe.takes.values())
    }
    computed = not visit.wmh_comes_first and isinstance(visit.forward, Computed)
    assert early == ({"wmh", "template_registration_again"} if computed else set())


def test_transforms_of_other_programs_are_rewritten_before_use_and_itks_are_not() -> None:
    visit = visits()["given"]
    file = found("x.lta", visit)
    for convert in (True, False):
        plan = replace(visit, other_transform=Given(file, convert=convert))
        unit = visit_unit(plan, settings())
        assert ("other_transform" in unit.products) == convert
        moved = unit.makers["preproc_FLAIR"].takes["transforms"]
        assert moved == ["other_transform" if convert else file]
        maps = tuple(replace(one, transform=plan.other_transform) for one in visit.maps)
        sampled = visit_unit(replace(plan, maps=maps), settings()).makers["table_maps"]
        assert all(key.startswith("rows_") for key in sampled.takes["rows"])


@pytest.mark.parametrize("wanted", ["flag", "fail", "off"])
def test_the_verdict_on_registrations_follows_the_settings(wanted: str) -> None:
    chosen = settings("--registration-qc", wanted)
    for kind, names in (
        ("given", {"other_registration"}),
        ("maps are registered", {"other_registration", "registration_FAMD"}),
    ):
        recipes = visit_unit(visits()[kind], chosen).recipes
        aligned = [one for one in recipes if one.function in (align_rigidly, align_maps)]
        assert names <= {recipe.name for recipe in aligned}
        for recipe in aligned:
            assert recipe.options["quality"] == wanted
            assert recipe.options["fixed_name"] == str(visits()[kind].reference_file.path)


def test_what_is_given_is_not_made() -> None:
    unit = unit_of("all transforms given")
    assert not unit.of(Transform)
    assert not [one for one in unit.recipes if "registration" in one.name]
    # images are registered to the reference, and the reference to the template, otherwise
    assert set(unit_of("given").of(Transform)) == {"other_transform", "forward", "inverse"}
    assert "FAMD" in "".join(unit_of("maps are registered").of(Transform))


def test_tables_follow_from_what_there_is() -> None:
    without: dict[str, Any] = {kind: set(unit_of(kind).of(Table)) for kind in ("no map", "given")}
    of_maps = {"table_maps", "table_profiles", "table_penumbra", "table_curves"}
    of_maps |= {"table_lesionmaps", "table_contrasts"}
    assert without["given"] - without["no map"] == of_maps | {"table_weighted"}
    assert "table_weighted" not in unit_of("no atlas").products


def test_the_phantom_s_persons_are_the_kinds_that_they_are_taken_for() -> None:
    assert set(phantom()) == {"sub-01 ses-1", "sub-01 ses-2", "sub-02"}
    assert isinstance(visits()["given"].wmh, Given)
    assert visits()["given"].parcellation is not None
    assert isinstance(visits()["computed"].wmh, Computed)
    assert visits()["computed"].parcellation is None
    assert visits()["FLAIR for a reference"].reference == "FLAIR"


@KINDS
def test_recipes_stand_in_the_order_in_which_they_can_be_carried_out(kind: str) -> None:
    there: set[str] = set()
    for recipe in unit_of(kind).recipes:
        taken = parts_of((*recipe.takes.values(), *recipe.beside.values(), recipe.after))
        assert {part for part in taken if isinstance(part, str)} <= there, recipe.name
        there |= {product.key for product in recipe.makes.values()}
