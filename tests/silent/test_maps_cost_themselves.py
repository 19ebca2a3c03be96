"""A map that cannot be used costs itself: its numbers are n/a, and all else is as it would be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests import inprocess
from tests.builders import save_image
from tests.coarse import MOTIONS, Coarse, coarse_dataset, head, planted, save
from tests.plan.test_judging import lost_of
from tests.plan.test_participant import mask, plan_one
from wmhflow.bids.writer import read_table
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.itk import read_itk_affine
from wmhflow.plan.judging import judge_visit
from wmhflow.steps.map_images import align_maps, choose_map_image
from wmhflow.steps.measures import MapOptions, load_maps
from wmhflow.steps.ratios import map_rate

SHAPE = (8, 9, 10)
NOISE = np.random.default_rng(3).normal(1, 0.1, SHAPE)
FA = ("dwi", "model-tensor_param-fa_dwimap", "FA")
CHI = ("anat", "Chimap", "Chimap")

# ---- which maps cannot be used -------------------------------------------------------------------

KINDS: dict[str, tuple[tuple[str, str, str], Any, str | None, str]] = {
    "percent said fraction": (FA, 40 * NOISE, "1", "valid range 0 to 1"),
    "fraction said percent": (FA, 0.4 * NOISE, "%", "those of '1'"),
    "ppm said ppb": (CHI, 0.02 * NOISE, "ppb", "those of 'ppm'"),
    "ppb said ppm": (CHI, 20 * NOISE, "ppm", "valid range"),
    "constant": (FA, np.full(SHAPE, 0.4), "1", "holds the one value 0.4 wherever it is not 0"),
    "constant in a mask": (FA, np.where(NOISE > 1, 0.4, 0), "1", "the one value 0.4"),
    "all NaN": (FA, np.full(SHAPE, np.nan), "1", "no value of FA other than 0"),
    "all infinite": (FA, np.full(SHAPE, np.inf), "1", "no value of FA other than 0"),
    "all zero": (FA, np.zeros(SHAPE), "1", "no value of FA other than 0"),
    "out of range": (FA, -5 * NOISE, "1", "valid range 0 to 1"),
}


def give(root: Path, what: tuple[str, str, str], data: Any, unit: str | None) -> Path:
    folder, ending, _ = what
    path = root / "sub-01" / folder / f"sub-01_space-T1w_{ending}.nii.gz"
    save_image(path, data, dtype=np.float64)
    if unit is not None:
        beside = path.with_name(path.name.replace(".nii.gz", ".json"))
        beside.write_text(json.dumps({"Units": unit}), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_the_map_is_named_with_the_reason(raw: Path, derivatives: Path, kind: str) -> None:
    what, data, unit, said = KINDS[kind]
    mask(derivatives)
    path = give(derivatives, what, data, unit)
    why = lost_of(plan_one(raw, derivatives), what[2])
    assert why.startswith("nothing of it is sampled, its numbers are n/a: ")
    assert str(path) in why
    assert said in why


@pytest.mark.parametrize(
    ("data", "said"),
    [(None, "cannot be read to its end"), (np.zeros(SHAPE), "no value other than 0")],
)
def test_a_companion_that_shows_nothing_costs_its_map(
    raw: Path, derivatives: Path, data: Any, said: str
) -> None:
    mask(derivatives)
    save_image(derivatives / "sub-01" / "perf" / "sub-01_cbf.nii.gz", NOISE * 50)
    path = raw / "sub-01" / "perf" / "sub-01_m0scan.nii.gz"
    save_image(path, NOISE if data is None else data)
    if data is None:
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    assert said in lost_of(plan_one(raw, derivatives), "CBF")


def test_what_all_else_rests_on_still_fails_the_visit(raw: Path, derivatives: Path) -> None:
    give(derivatives, FA, np.zeros(SHAPE), "1")
    path = mask(derivatives, data=(NOISE > 1).astype(float))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with pytest.raises(InputError, match="label-WMH"):
        judge_visit(plan_one(raw, derivatives))


# ---- what steps make of it -----------------------------------------------------------------------


def head_like(path: Path, data: Any = None) -> Path:
    return save_image(path, NOISE if data is None else data)


def cut_short(path: Path) -> Path:
    head_like(path).write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    return path


@pytest.mark.parametrize(
    "spoil", [cut_short, lambda path: head_like(path, np.full(SHAPE, np.nan)), lambda path: path]
)
def test_another_map_of_the_grid_shows_where_they_lie(
    tmp_path: Path, spoil: Callable[[Path], Path], caplog: pytest.LogCaptureFixture
) -> None:
    """Maps of one scan are aligned by the first of them that shows anything."""
    first, second = spoil(tmp_path / "a.nii.gz"), head_like(tmp_path / "b.nii.gz")
    made = choose_map_image(first, "a", [str(second)])
    assert made.source == str(second)
    assert made.image.data == pytest.approx(NOISE, abs=1e-6)
    assert "a shows nothing" in caplog.text
    alone = choose_map_image(first, "a")
    assert (alone.source, np.ptp(alone.image.data)) == ("a", 0)


def test_the_first_image_is_taken_if_it_shows_anything(tmp_path: Path) -> None:
    first = head_like(tmp_path / "a.nii.gz")
    made = choose_map_image(first, "a", [str(tmp_path / "gone.nii.gz")])
    assert made.source == "a"


def nothing_to_align(folder: Path) -> Any:
    fixed = Grid3D(NOISE.astype(np.float32), np.eye(4))
    nothing = Grid3D(np.zeros(SHAPE, np.float32), np.eye(4))
    return fixed, nothing, "flag", "a", "b", 1, folder


def test_nothing_is_aligned_nowhere(tmp_path: Path) -> None:
    found = align_maps(*nothing_to_align(tmp_path))
    assert found.metrics == {}
    assert not np.isfinite(read_itk_affine(found.transform)[:3]).any()


def test_no_rate_comes_from_a_time_that_is_not_believed() -> None:
    time = Grid3D(NOISE.astype(np.float32), np.eye(4))
    assert np.isfinite(map_rate(time, 1.0).rate.data).all()
    lost = map_rate(time, 1.0, ["T1map", "R1map"])
    assert np.isnan(lost.rate.data).all()
    assert lost.facts["refused"] == 1


def test_a_map_that_cannot_be_used_is_not_even_read(tmp_path: Path) -> None:
    """It has no values, on its own grid; its sisters are judged without it."""
    sound, lost = head_like(tmp_path / "a.nii.gz"), cut_short(tmp_path / "b.nii.gz")
    options = [MapOptions(name, "1", 0, 9, fit="one") for name in ("FA", "MD")]
    alone = load_maps([sound], options[:1], None)
    both = load_maps([sound, lost], options, None, without=["MD"])
    for part in (0, 1):
        assert np.array_equal(both.maps["FA"][part], alone.maps["FA"][part])
    values, valid = both.maps["MD"]
    assert values.shape == SHAPE
    assert np.isnan(values).all()
    assert not valid.any()
    nowhere = align_maps(*nothing_to_align(tmp_path)).transform
    assert np.isfinite(load_maps([lost], options[1:], nowhere, without=["MD"]).affine).all()
    # a sound map that nothing shows the place of has no values, either
    loaded = load_maps([sound], options[:1], nowhere)
    assert np.isfinite(loaded.affine).all()
    assert not loaded.maps["FA"][1].any()


# ---- a whole run ---------------------------------------------------------------------------------

# ending, folder, what it is in the bad run, and where it lies; FA and CBF are sound
MAPS: tuple[tuple[str, str, str, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("MD", "dwi", "model-tensor_param-md_dwimap", lambda values: values * 1000),
    ("T1map", "anat", "T1map", np.zeros_like),
    ("MTRmap", "anat", "MTRmap", lambda values: np.full_like(values, np.nan)),
)
UNITS = {"MD": "mm^2/s", "T1map": "s", "MTRmap": "%"}
SOUND = {"MD": 2e-3, "T1map": 2.2, "MTRmap": 90.0}


def write_maps(dataset: Coarse, *, is_bad: bool) -> None:
    for name, folder, ending, spoil in MAPS:
        values = planted("FA") * SOUND[name] if name != "MD" else planted("FA") * 2e-3
        path = dataset.given / "sub-01" / folder / f"sub-01_space-T1w_{ending}.nii.gz"
        if folder == "dwi":
            path = path.with_name(path.name.replace("_space-T1w", ""))
        place = MOTIONS["dwi"] @ head().affine if folder == "dwi" else head().affine
        save(path, spoil(values) if is_bad else values, place)
        beside = path.with_name(path.name.replace(".nii.gz", ".json"))
        beside.write_text(json.dumps({"Units": UNITS[name]}), encoding="utf-8")
    # a file that was cut short, of a grid that another map shares
    if is_bad:
        path = dataset.given / "sub-01" / "anat" / "sub-01_space-T1w_MTRmap.nii.gz"
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Coarse, Coarse, inprocess.Done]:
    folder = tmp_path_factory.mktemp("maps")
    good = coarse_dataset(folder / "good")
    shutil.copytree(good.folder, folder / "bad")
    bad = Coarse(folder / "bad")
    write_maps(good, is_bad=False)
    write_maps(bad, is_bad=True)
    inprocess.succeed(good.words())
    return good, bad, inprocess.succeed(bad.words(), pages=True)


LOST = ("MD", "T1map", "MTRmap", "R1map")
STATISTICS = ("mean", "sd", "median", "q05", "q95", "mad")


def rows(dataset: Coarse, ending: str) -> list[dict[str, str]]:
    return read_table(dataset.anat() / f"sub-01_{ending}.tsv")


@pytest.mark.slow
def test_the_samples_of_the_maps_are_missing_and_never_zero(runs: Any) -> None:
    _, bad, _ = runs
    sampled = rows(bad, "desc-maps_regions")
    for name in LOST:
        own = [row for row in sampled if row["map"] == name]
        assert own
        assert {row[column] for row in own for column in STATISTICS} == {"n/a"}
        assert {row["n"] for row in own} == {"0"}
    profiles = [row for row in rows(bad, "desc-maps_profiles") if row["map"] in LOST]
    assert {row["mean"] for row in profiles} == {"n/a"}
    widths = [row for row in rows(bad, "desc-maps_penumbra") if row["map"] in LOST]
    assert {row["width_mm"] for row in widths} == {"n/a"}


@pytest.mark.slow
def test_the_other_maps_are_as_they_would_be(runs: Any) -> None:
    good, bad, _ = runs
    for ending in ("regions", "profiles", "penumbra", "curves"):
        left, right = (
            [row for row in rows(one, f"desc-maps_{ending}") if row["map"] in ("FA", "CBF")]
            for one in (good, bad)
        )
        assert left == right
        assert left
    for ending in ("desc-volumes_regions", "lesions"):
        paths = [one.anat() / f"sub-01_{ending}.tsv" for one in (good, bad)]
        assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.slow
def test_the_quality_table_says_which(runs: Any) -> None:
    good, bad, _ = runs
    for dataset, lost in ((good, set()), (bad, {"MD", "T1map", "MTRmap"})):
        told = {row["metric"]: row for row in rows(dataset, "desc-wmhflow_qc")}
        for name in ("FA", "CBF", "MD", "T1map", "MTRmap"):
            row = told[f"map_{name}_refused"]
            said = (row["value"], row["verdict"])
            assert said == (("1", "check") if name in lost else ("0", "ok"))
        assert told["relaxation_rate_refused"]["verdict"] == ("check" if lost else "ok")


@pytest.mark.slow
def test_the_page_and_the_plan_say_why(runs: Any) -> None:
    _, bad, done = runs
    assert "1 of 1 persons done" in done.out
    page = (bad.out / "sub-01.html").read_text(encoding="utf-8")
    for name in LOST:
        assert f"desc-alignment{name}_" not in page
        assert "its numbers are n/a" in page
    assert "desc-alignmentFA_" in page
    again = inprocess.run(bad.words("--dry-run", "--check-values"))
    assert again.code == 0
    lines = [line.split() for line in again.out.splitlines() if " unusable " in line]
    assert sorted(line[0] for line in lines) == sorted(LOST)
    rate = nib.load(bad.anat() / "sub-01_space-T1w_desc-R1map_R1map.nii.gz").get_fdata()
    assert np.isnan(rate).all()
