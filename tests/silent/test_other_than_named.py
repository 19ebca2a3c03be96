"""Images that are another thing than their names say: another quantity, order, gain, or a copy.

Each of these gave a number that looks like one: an anisotropy turned round 0.55, a T1 under the
name of R1 0.90 /s, an exchanged echo an R2* that is a tenth too low, lesions that were masked out a
diffusivity of 0.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests import inprocess
from tests.builders import save_image
from tests.coarse import Coarse, coarse_dataset, head, save
from tests.core.diffusion.series import table
from tests.plan.test_judging import lost_of
from tests.plan.test_participant import mask, plan_one
from wmhflow.bids.writer import read_table
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.contrasts import background_noise, fit_decay, off_decay, transfer_ratio
from wmhflow.core.diffusion.apparent import adc_volumes
from wmhflow.core.diffusion.gradients import UnfitSeriesError, read_gradients
from wmhflow.core.diffusion.levels import uneven_volumes
from wmhflow.core.diffusion.selection import ivim_volumes
from wmhflow.core.measure.zeros import find_no_data, holds_data
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.plan.judging import judge_visit
from wmhflow.plan.refusals import left_out, left_out_measures
from wmhflow.registries.maps import load_maps
from wmhflow.registries.quality import find_measure
from wmhflow.steps.diffusion import fit_tensors
from wmhflow.steps.echoes import map_decay
from wmhflow.steps.kinds import LabelImage, MaskImage
from wmhflow.steps.others import MOST_OUTSIDE, judge_other_lesions
from wmhflow.steps.units import LEAST_FREE, MOST_OF_FREE, fluid_facts, free_water_facts

# ---- tables of gradients -------------------------------------------------------------------------

IN_ANOTHER_UNIT = {
    "s/m²": (np.array([0, 1e9, 2e9, 2e9]), r"highest b-value is 2e\+09.* in s/m²"),
    "ms/µm²": (np.array([0, 1.0, 1, 2]), r"highest b-value is 2,.* in ms/µm²"),
    "none": (np.zeros(4), "all 0, so that no volume has diffusion weighting"),
}


@pytest.mark.parametrize(("bvals", "said"), IN_ANOTHER_UNIT.values(), ids=IN_ANOTHER_UNIT)
def test_b_values_of_another_unit_are_refused_by_every_model(bvals: Any, said: str) -> None:
    vectors = np.vstack([np.zeros(3), np.eye(3)])
    for choose in (
        lambda: read_gradients(bvals, vectors, np.eye(4), "FSL", 4),
        lambda: adc_volumes(bvals, vectors, 4),
        lambda: ivim_volumes(bvals),
    ):
        with pytest.raises(UnfitSeriesError, match=said):
            choose()


B = np.array([0.0, 0, 300, 1000, 1000, 1000, 2000, 2000])
LEVELS = np.array([100.0, 98, 70, 44, 46, 45, 24, 25])
ORDERS: dict[str, tuple[Any, Any, list[int] | str]] = {
    "as they are": (LEVELS, B, []),
    "of S0": (LEVELS / 100, B, []),
    "in the other order": (LEVELS, B[::-1], r"volume 1 \(b = 2000\) is brighter than volume 7"),
    "two exchanged": (LEVELS[[2, 1, 0, 3, 4, 5, 6, 7]], B, "brighter than volume 1, which is one"),
    "of another shell": (LEVELS[[0, 1, 2, 6, 4, 5, 3, 7]], B, [3]),
    "one that lost half": (np.where(np.arange(8) == 4, 20, LEVELS), B, [4]),
    "one that is empty": (np.where(np.arange(8) == 4, 0, LEVELS), B, "volume 5 holds no signal"),
    "one of NaN": (np.where(np.arange(8) < 2, np.nan, LEVELS), B, "volumes 1, 2 hold no signal"),
}


@pytest.mark.parametrize(("levels", "bvals", "said"), ORDERS.values(), ids=ORDERS)
def test_signals_that_do_not_fall_as_b_values_say_are_found(
    levels: Any, bvals: Any, said: list[int] | str
) -> None:
    args = (levels, bvals, 50.0, np.arange(len(levels)))
    if isinstance(said, list):
        assert uneven_volumes(*args) == said
    else:
        with pytest.raises(UnfitSeriesError, match=said):
            uneven_volumes(*args)


@pytest.mark.parametrize("turned", [False, True])
def test_a_table_in_the_other_order_gives_no_tensor(tmp_path: Path, turned: bool) -> None:
    """It gave an anisotropy of 1, or of 0."""
    bvals, vectors = table((1000, 12), n_b0=2)
    rng = np.random.default_rng(1)
    axes = rng.normal(size=(6, 7, 8, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    along = np.einsum("xyzi,gi->xyzg", axes, vectors) ** 2
    signal = 900 * np.exp(-bvals * (0.4e-3 + 1.2e-3 * along))
    image = save_image(tmp_path / "x.nii", signal[..., ::-1] if turned else signal)
    np.savetxt(tmp_path / "x.bval", bvals[None])
    np.savetxt(tmp_path / "x.bvec", vectors.T)
    args = (image, tmp_path / "x.bval", list(range(len(bvals))), "FSL", tmp_path / "x.bvec")
    if turned:
        with pytest.raises(
            InputError, match=r"x\.nii: volume .* is brighter than volume [12], which"
        ):
            fit_tensors(*args)
    else:
        assert fit_tensors(*args).facts["uneven_volumes"] == 0


# ---- echoes and pairs ----------------------------------------------------------------------------

TIMES = [0.004, 0.009, 0.014, 0.019]
RATE = np.random.default_rng(2).uniform(15, 25, (8, 9, 10))


def echoes() -> list[Any]:
    return [900 * np.exp(-RATE * time) for time in TIMES]


def with_echo(number: int, values: Any) -> list[Any]:
    return [values if number == place else one for place, one in enumerate(echoes())]


WRONG_ECHOES: dict[str, tuple[list[Any], str]] = {
    "two exchanged": ([echoes()[n] for n in (0, 2, 1, 3)], "14 ms is 1. % brighter than .* 9 ms"),
    "in the other order": (echoes()[::-1], "look whether EchoTime and images belong together"),
    "one twice": (with_echo(1, echoes()[0]), "9 ms has the same values as the one at 4 ms"),
    "one of another gain": (with_echo(1, echoes()[1] / 2), "whether all were scaled alike"),
    "one of NaN": (with_echo(2, np.full(RATE.shape, np.nan)), "echo 3 holds no number"),
}


@pytest.mark.parametrize(("images", "said"), WRONG_ECHOES.values(), ids=WRONG_ECHOES)
def test_echoes_that_lie_on_no_decay_give_no_rate(
    images: list[Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = map_decay([Grid3D(one.astype(np.float32), np.eye(4)) for one in images], TIMES)
    assert found.facts["refused"] == 1
    assert not np.isfinite(found.rate.data).any()
    (line,) = caplog.messages
    assert re.search(said, line)


def test_how_far_an_echo_lies_off_the_others_is_measured() -> None:
    def off(images: list[Any]) -> float:
        return off_decay(images, TIMES, fit_decay(images, TIMES))

    bound = find_measure("decay_off_line")
    assert bound is not None
    assert bound.high is not None
    assert off(echoes()) < 1e-4
    assert off(with_echo(3, echoes()[3] * 0.8)) > bound.high


def test_a_head_without_air_tells_no_noise() -> None:
    """The brain's own signal counted as noise, so that no echo stood above it."""
    rng = np.random.default_rng(0)
    brain = rng.uniform(200, 400, (20, 20, 20))
    assert np.isnan(background_noise(brain))
    cut = np.full((40, 40, 40), np.nan)
    cut[10:30, 10:30, 10:30] = brain
    assert np.isnan(background_noise(cut))


def test_one_image_is_no_pair() -> None:
    with pytest.raises(UnfitImageError, match="hold the same values"):
        transfer_ratio(RATE, RATE)


# ---- maps that are another image -----------------------------------------------------------------

SHAPE = (8, 9, 10)
NOISE = np.random.default_rng(3).uniform(0.3, 0.6, SHAPE)


def give(root: Path, ending: str, data: Any, unit: str | None = None, **how: Any) -> Path:
    path = root / "sub-01" / "dwi" / f"sub-01_space-T1w_{ending}.nii.gz"
    if unit is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(
            json.dumps({"Units": unit})
        )
    return save_image(path, data, **how)


def test_two_maps_that_are_one_image_are_both_refused(raw: Path, derivatives: Path) -> None:
    """Nobody can tell which of the names is right."""
    mask(derivatives)
    first = give(derivatives, "model-tensor_param-md_dwimap", NOISE * 2e-3, "mm^2/s")
    other = give(derivatives, "model-tensor_param-rd_dwimap", NOISE * 2e-3, "mm^2/s")
    give(derivatives, "model-tensor_param-fa_dwimap", NOISE, "1")
    lost = {line.what: line.why for line in judge_visit(plan_one(raw, derivatives))}
    assert set(lost) == {"MD", "RD"}
    assert f"{first} holds the same values as {other}" in lost["MD"]
    assert f"{other} holds the same values as {first}" in lost["RD"]


def test_a_map_that_is_the_t1w_is_refused(raw: Path, derivatives: Path) -> None:
    mask(derivatives)
    anatomical = raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    save_image(anatomical, NOISE)
    give(derivatives, "model-tensor_param-fa_dwimap", NOISE, "1")
    assert f"the same values as {anatomical}" in lost_of(plan_one(raw, derivatives), "FA")


ROUNDED: dict[str, tuple[str, Any, str, str | None]] = {
    "T1 in whole seconds": ("T1map", 3 * NOISE, "s", "in steps of 1 where 1 is typical"),
    "kurtosis in fifths": ("model-dki_param-mk_dwimap", 10 * NOISE, "1", "in steps of 0.2"),
    "flow in whole numbers": ("cbf", 60 * NOISE, "mL/100g/min", None),
    "susceptibility in whole ppb": ("Chimap", 20 * (NOISE - 0.45), "ppb", None),
}


@pytest.mark.parametrize(("ending", "data", "unit", "said"), ROUNDED.values(), ids=ROUNDED)
def test_a_map_in_coarse_steps_is_refused(
    raw: Path, derivatives: Path, ending: str, data: Any, unit: str, said: str | None
) -> None:
    mask(derivatives)
    step = 0.2 if "mk" in ending else 1.0
    values = np.rint(data) * step
    give(derivatives, ending, values, unit, dtype=np.float32)
    visit = plan_one(raw, derivatives)
    if said is None:
        assert judge_visit(visit) == ()
    else:
        (name,) = [one.name for one in visit.maps if one.name != "R1map"]
        assert said in next(one.why for one in judge_visit(visit) if one.what == name)


@pytest.mark.parametrize(("largest", "is_percent"), [(0.99, False), (3.0, True)])
def test_what_stays_below_1_is_no_fraction_in_percent(
    raw: Path, derivatives: Path, largest: float, is_percent: bool
) -> None:
    """Neurite densities under the name of free water became a hundredth of themselves."""
    mask(derivatives)
    data = NOISE.copy()
    data[0, 0, 0] = largest
    give(derivatives, "model-noddi_param-isovf_dwimap", data)
    visit = plan_one(raw, derivatives)
    assert [one.name for one in visit.maps] == (["ISOVF"] if is_percent else [])
    assert is_percent or "fits none" in visit.refused[0]


@pytest.mark.parametrize("ending", [".img", ".nrrd", ".NII.GZ", ".nii.bz2", ".mif"])
def test_a_map_of_a_kind_that_is_not_read_is_said(
    raw: Path, derivatives: Path, ending: str
) -> None:
    mask(derivatives)
    path = give(derivatives, "T1map", NOISE, "s")
    path.rename(path.with_name(path.name.replace(".nii.gz", ending)))
    visit = plan_one(raw, derivatives)
    notes = [line.why for line in visit.decisions if line.state == "note"]
    assert f"not read: sub-01_space-T1w_T1map{ending}; save as .nii.gz what is meant" in notes
    assert left_out_measures(visit) == {"map_T1map_refused": 1}


@pytest.mark.parametrize("name", ["sub-01_FA.mif", "sub-01__fa.mif.gz", "sub-01_fa_dti.NII"])
def test_so_it_is_where_the_name_is_a_program_s_own(
    raw: Path, derivatives: Path, name: str
) -> None:
    mask(derivatives)
    give(derivatives, "T1map", NOISE, "s")
    path = derivatives / "sub-01" / "metrics" / name
    path.parent.mkdir()
    path.touch()
    visit = plan_one(raw, derivatives)
    notes = [line.why for line in visit.decisions if line.state == "note"]
    assert f"not read: {name}; save as .nii.gz what is meant" in notes
    assert left_out_measures(visit) == {"map_FA_refused": 1}


@pytest.mark.parametrize("ending", [".img", ".nrrd", ".NII.GZ"])
def test_a_parcellation_of_a_kind_that_is_not_read_is_not_replaced_in_silence(
    raw: Path, derivatives: Path, ending: str
) -> None:
    """Tissues were computed in its place, and a note in the plan said so."""
    mask(derivatives)
    path = derivatives / "sub-01" / "anat" / f"sub-01_space-T1w_desc-aparcaseg_dseg{ending}"
    path.touch()
    visit = plan_one(raw, derivatives)
    (line,) = [one for one in left_out(visit) if one.what == "parcellation"]
    assert f"{path.name} of masks is not used: {ending} is not read" in line.why
    assert left_out_measures(visit) == {"parcellation_refused": 1}


def test_what_stays_below_1_does_not_speak_for_percent(raw: Path, derivatives: Path) -> None:
    """It is marked by the QC table: its white matter is none, and its fluid."""
    mask(derivatives)
    give(derivatives, "model-noddi_param-isovf_dwimap", NOISE, "1")
    assert judge_visit(plan_one(raw, derivatives)) == ()


def not_packed(path: Path) -> None:
    path.write_bytes(gzip.decompress(path.read_bytes()))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def coloured(path: Path) -> None:
    colours = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, np.eye(4)), path)


@pytest.mark.parametrize("spoil", [not_packed, emptied, coloured])
@pytest.mark.parametrize("name", ["T1map", "model-tensor_param-md_dwimap"])
def test_a_map_whose_header_cannot_be_read_costs_itself_and_what_is_made_of_it(
    raw: Path, derivatives: Path, name: str, spoil: Callable[[Path], None]
) -> None:
    """A rate that would be made of such a T1 cost the person."""
    mask(derivatives)
    spoil(give(derivatives, name, NOISE))
    visit = plan_one(raw, derivatives)
    assert (visit.problem, visit.maps) == (None, ())
    assert len(visit.refused) == 1


# ---- zeros where lesions were masked out ---------------------------------------------------------


def masked_out(least: float) -> tuple[Any, Any]:
    """Make a map without values near 0, of which a small lesion was set to 0."""
    data = np.random.default_rng(4).uniform(least, 1.4, (20, 20, 20))
    gone = np.zeros(data.shape, bool)
    gone[8:10, 8:12, 8:10] = True
    return np.where(gone, 0, data), gone


@pytest.mark.parametrize("least", [0.3, 0.8])
def test_a_zero_far_from_all_other_values_is_no_measurement(least: float) -> None:
    data, gone = masked_out(least)
    found = find_no_data(data, [holds_data(np.ones_like(data))])
    assert np.array_equal(found.missing, gone)


def test_zeros_of_a_map_in_steps_are_measured_as_before() -> None:
    data = np.rint(np.random.default_rng(5).uniform(0, 6, (12, 12, 12)))
    data = np.pad(data, 1, constant_values=3)
    assert not find_no_data(data, [np.ones(data.shape, bool)]).missing.any()


# ---- what is the other way round in fluid --------------------------------------------------------

IN_FLUID = [
    ("FA", (0.12, 0.42), 0), ("FA", (0.9, 0.55), 1), ("FA", (0.42, 0.42), 0),
    ("T1map", (4.2, 0.9), 0), ("T1map", (0.24, 1.1), 1), ("R1map", (4.2, 0.9), 1),
    ("R2starmap", (3, 20), 0), ("ISOVF", (0.05, 0.6), 1), ("MTRmap", (60, 40), 1),
    ("MD", (float("nan"), 7e-4), None),
    # of a pair of which the one with the pulse has half the gain
    ("MTRmap", (3, 38), 0), ("MTRmap", (-2, 38), 0), ("MTRmap", (51, 69), 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "medians", "expected"), IN_FLUID)
def test_a_map_that_is_the_other_way_round_in_fluid_is_marked(
    name: str, medians: tuple[float, float], expected: int | None, caplog: Any
) -> None:
    definition = load_maps()[name]
    told = (Path("x.nii"), (name, definition.unit), definition.in_fluid, medians)
    measure = f"map_{name}_fluid_reversed"
    assert fluid_facts(*told, 2e4) == {measure: expected}
    assert ("x.nii: its median is" in caplog.text) == (expected == 1)
    # of a few voxels of fluid nothing is said
    assert fluid_facts(*told, 200.0) == {measure: None}
    bound = find_measure(measure)
    assert bound is not None
    assert bound.high == 0


@pytest.mark.parametrize("name", ["MD", "AD", "RD", "ADC"])
@pytest.mark.parametrize("unit", ["mm^2/s", "um^2/ms"])
@pytest.mark.parametrize(
    ("fluid", "marked"),
    [(2.8e-3, ""), (3.4e-3, ""), (3.95e-3, "not AD"), (4.2e-3, "not AD"), (5.6e-3, "all")],
)
def test_nothing_diffuses_faster_than_free_water(
    caplog: pytest.LogCaptureFixture, name: str, unit: str, fluid: float, marked: str
) -> None:
    """A third more, or twice, of every diffusivity could be tissue's, by its usual range."""
    metric = f"map_{name}_fluid_over_free_water"
    is_marked = marked == "all" or (marked == "not AD" and name != "AD")
    water = load_maps()[name].in_unit(unit).free_water
    assert water is not None
    shown = water * fluid / 3.04e-3
    about = Path("x.nii"), (name, unit), water
    ratio = free_water_facts(*about, shown, 2e4)[metric]
    known = find_measure(metric)
    assert known is not None
    assert known.high == MOST_OF_FREE.get(name, MOST_OF_FREE["MD"])
    assert ratio == pytest.approx(fluid / 3.04e-3)
    assert (ratio > known.high) == is_marked
    assert ("times the diffusivity of free water" in caplog.text) == is_marked
    assert free_water_facts(*about, shown, 200.0) == {metric: None}
    assert free_water_facts(*about, float("nan"), 2e4) == {metric: None}


@pytest.mark.parametrize("name", ["FW", "ISOVF", "CSFlike"])
@pytest.mark.parametrize("unit", ["1", "%"])
@pytest.mark.parametrize(("share", "is_marked"), [(0.98, False), (0.7, False), (0.5, True)])
def test_ventricles_hold_free_water_alone(
    caplog: pytest.LogCaptureFixture, name: str, unit: str, share: float, is_marked: bool
) -> None:
    """Half of every fraction could be tissue's."""
    metric = f"map_{name}_fluid_free_water_share"
    water = load_maps()[name].in_unit(unit).free_water
    assert water is not None
    found = free_water_facts(Path("x.nii"), (name, unit), water, share * water, 2e4)
    assert found == {metric: pytest.approx(share)}
    known = find_measure(metric)
    assert known is not None
    assert known.low == LEAST_FREE
    assert ("free water alone" in caplog.text) == is_marked == (share < LEAST_FREE)


def test_what_has_no_known_value_in_free_water_is_not_compared() -> None:
    for name in ("T1map", "FA", "MDt"):
        assert load_maps()[name].free_water is None
    assert free_water_facts(Path("x.nii"), ("T1map", "s"), None, 4.0, 2e4) == {}


def test_where_physics_tells_nothing_nothing_is_measured() -> None:
    assert load_maps()["Chimap"].in_fluid is None
    assert fluid_facts(Path("x.nii"), ("Chimap", "ppm"), None, (1, 2), 2e4) == {}


# ---- other lesions that are no one's -------------------------------------------------------------


@pytest.mark.parametrize(("shift", "expected"), [(0, 0.0), (2, 0.5), (6, 1.0)])
def test_a_mask_of_other_lesions_outside_the_brain_is_said(
    shift: int, expected: float, caplog: pytest.LogCaptureFixture
) -> None:
    brain, bleed = np.zeros((2, 20, 20, 20), bool)
    brain[:10], bleed[6 + shift : 10 + shift, 5:8, 5:8] = True, True
    masks = [MaskImage(bleed, np.eye(4)), MaskImage(np.zeros_like(bleed), np.eye(4))]
    none = LabelImage(np.zeros(bleed.shape, np.uint8), np.eye(4))
    found = judge_other_lesions(
        masks, MaskImage(brain, np.eye(4)), none, none, ["haemorrhage", "infarct"],
        ["b.nii", "i.nii"],
    )  # fmt: skip
    assert found.facts == {
        "haemorrhage_outside_brain": expected,
        "infarct_outside_brain": None,
        "infarct_share_of_fluid": None,
    }
    bound = find_measure("haemorrhage_outside_brain")
    assert bound is not None
    assert bound.high == MOST_OUTSIDE
    is_said = f"b.nii: {100 * expected:.0f} % of it lies outside the brain" in caplog.text
    assert is_said == (expected > bound.high)


# ---- a whole run ---------------------------------------------------------------------------------


def values(white: float, lesions: float, fluid: float, grey: float) -> Any:
    made = head()
    found = np.where(made.lesions, lesions, white)
    found = np.where(made.codes >= 1000, grey, found)
    found = np.where(np.isin(made.codes, (4, 43, 24)) & ~made.lesions, fluid, found)
    noise = 1 + 0.03 * np.random.default_rng(6).standard_normal(found.shape)
    return np.where(made.codes > 0, found * noise, 0)


def without_lesions(data: Any) -> Any:
    return np.where(head().lesions, 0, data)


def turned_round(data: Any) -> Any:
    return np.where(head().codes > 0, 1 - data, 0)


# ending, what the map is made of, and what is marked
PLANTED: dict[str, tuple[str, Any, Callable[[Any], Any], str | None]] = {
    "FA": ("model-tensor_param-fa_dwimap", (0.45, 0.25, 0.1, 0.15), turned_round,
           "fluid_reversed"),
    "MD": ("model-tensor_param-md_dwimap", (0.75e-3, 1.2e-3, 3e-3, 0.85e-3), np.array, None),
    "AD": ("model-tensor_param-ad_dwimap", (1.2e-3, 1.6e-3, 3.1e-3, 1e-3), without_lesions,
           "coverage_WMH"),
    "R1map": ("R1map", (0.9, 1.3, 4.2, 1.5), np.array, "fluid_reversed"),
    "T2map": ("T2map", (0.07, 0.1, 0.6, 0.085), np.array, None),
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    made = coarse_dataset(
        tmp_path_factory.mktemp("named"), without=("fa_dwimap.nii.gz", "cbf.nii.gz")
    )
    for ending, numbers, change, _ in PLANTED.values():
        path = made.given / "sub-01" / "anat" / f"sub-01_space-T1w_{ending}.nii.gz"
        save(path, change(values(*numbers)).astype(np.float32), head().affine)
    inprocess.succeed(made.words())
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_a_map_of_another_quantity_is_marked_in_the_table(run: Coarse, name: str) -> None:
    rows = read_table(run.anat() / "sub-01_desc-wmhflow_qc.tsv")
    own = {
        row["metric"]: row["verdict"] for row in rows if row["metric"].startswith(f"map_{name}_")
    }
    marked = {metric for metric, verdict in own.items() if verdict == "check"}
    measure = PLANTED[name][3]
    assert marked == ({f"map_{name}_{measure}"} if measure else set())
    assert own[f"map_{name}_fluid_reversed"] in ("ok", "check")


@pytest.mark.slow
def test_lesions_that_were_masked_out_of_a_map_have_no_value(run: Coarse) -> None:
    (row,) = [
        row for row in read_table(run.anat() / "sub-01_desc-maps_regions.tsv")
        if (row["map"], row["seg"], row["index"], row["tissue"]) == ("AD", "tissue", "6", "WMH")
    ]  # fmt: skip
    assert (row["mean"], row["n"]) == ("n/a", "0")
