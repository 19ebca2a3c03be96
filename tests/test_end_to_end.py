"""The whole program on the phantom: every planted number, the files promised, the second run.

A finished demo serves all tests here, where WMHFLOW_DEMO_OUT names its outputs, as it does in
``.ci/run``. Else the program is run for the one visit whose masks are given in the T1w's space, and
what only the others show is skipped.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.builders import ROOT
from tests.runs import PHANTOM_GIVEN, phantom_words, wmhflow
from wmhflow.bids.writer import read_table
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.registries.quality import find_measure
from wmhflow.workflows.units import missing_files, units_of

TRUTH = json.loads((ROOT / "bids_examples" / "phantom_truth.json").read_text(encoding="utf-8"))
VISITS = {"sub-01_ses-1": "sub-01/ses-1", "sub-01_ses-2": "sub-01/ses-2", "sub-02": "sub-02"}
GIVEN = ("sub-01_ses-1", "sub-01_ses-2")
MAPS = ("FA", "MD", "CBF", "Chimap")


DEMO = os.environ.get("WMHFLOW_DEMO_OUT")
ALONE = "sub-01_ses-1"
needs_the_demo = pytest.mark.skipif(not DEMO, reason="shown by the demo (WMHFLOW_DEMO_OUT)")


def of_the_demo(visits: Iterable[str]) -> list[Any]:
    """Mark the visits that only the demo has."""
    return [one if one == ALONE else pytest.param(one, marks=needs_the_demo) for one in visits]


def words(out: Path, level: str = "participant") -> list[str]:
    """Return the arguments of the run that all tests here share: those of the demo."""
    chosen = [] if DEMO else ["--participant-label", "01", "--session-label", "1"]
    names = (*PHANTOM_GIVEN, "others")
    return [*phantom_words(out, out.parent / "work", level, names=names), *chosen]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if DEMO:
        return Path(DEMO).resolve()
    folder = tmp_path_factory.mktemp("phantom")
    for level in ("participant", "group"):
        done = wmhflow(words(folder / "out", level))
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


def there(out: Path) -> list[str]:
    return [visit for visit, folder in VISITS.items() if (out / folder / "anat").is_dir()]


@functools.cache
def table(out: Path, visit: str, ending: str) -> list[dict[str, str]]:
    return read_table(out / VISITS[visit] / "anat" / f"{visit}_{ending}.tsv")


def image(out: Path, visit: str, ending: str) -> tuple[np.ndarray, np.ndarray]:
    loaded = nib.load(out / VISITS[visit] / "anat" / f"{visit}_{ending}.nii.gz")
    return np.asanyarray(loaded.dataobj), loaded.affine


def volumes(out: Path, visit: str) -> dict[tuple[str, int], dict[str, str]]:
    rows = table(out, visit, "desc-volumes_regions")
    return {(row["seg"], int(row["index"])): row for row in rows}


def profile(out: Path, visit: str, name: str, lesion_class: str = "all") -> dict[str, float]:
    return {
        row["shell"]: float(row["mean"])
        for row in table(out, visit, "desc-maps_profiles")
        if (row["map"], row["lesion_class"]) == (name, lesion_class) and row["mean"] != "n/a"
    }


def test_every_promise_is_kept(out: Path) -> None:
    settings = parse_settings(words(out))
    units = [unit for plan in make_plans(settings) for unit in units_of(plan, settings)]
    assert sum(len(unit.files) for unit in units) > (100 if DEMO else 50)
    assert not missing_files(units, out)


@pytest.mark.parametrize("visit", of_the_demo(GIVEN))
def test_given_lesions_are_kept_to_the_voxel_and_on_their_side(out: Path, visit: str) -> None:
    found = volumes(out, visit)
    truth = TRUTH["visits"][visit]["wmh_volume_mm3"]
    # the second visit's mask was given in FLAIR space; nearest neighbour through an alignment that
    # is right to a tenth of a voxel moves a few voxels of the edge
    allowed = 0 if visit == "sub-01_ses-1" else 0.01
    for index, side in ((6, "B"), (16, "L"), (26, "R")):
        volume = float(found["tissue", index]["volume_mm3"])
        assert volume == pytest.approx(truth[side], rel=allowed + 1e-9)


def test_every_planted_lesion_is_found_with_its_class(out: Path) -> None:
    visit = "sub-01_ses-1"
    rows = table(out, visit, "lesions")
    planted = TRUTH["visits"][visit]["lesions"]
    assert len(rows) == len(planted)
    for lesion in planted:
        centre = np.array(lesion["centre_t1w_ras_mm"])
        distances = [np.linalg.norm(centre - [float(row[axis]) for axis in "xyz"]) for row in rows]
        row = rows[int(np.argmin(distances))]
        assert min(distances) < 0.01
        assert row["continuity"] == lesion["class"]
        assert row["hemisphere"] == lesion["side"]
        assert float(row["volume_mm3"]) == lesion["volume_mm3"]


def test_zones_are_exact_where_everything_is_given(out: Path) -> None:
    found = volumes(out, "sub-01_ses-1")
    truth = TRUTH["visits"]["sub-01_ses-1"]["zone_volume_mm3"]
    for k, zone in enumerate(("JV", "PV", "D", "JC"), start=1):
        assert float(found["zones", k]["wmh_volume_mm3"]) == pytest.approx(truth[zone]["wmh"])
        for index, side in ((k, "B"), (10 + k, "L"), (20 + k, "R")):
            volume = float(found["zones", index]["volume_mm3"])
            assert volume == pytest.approx(truth[zone][side], rel=1e-5)


@needs_the_demo
def test_a_computed_mask_has_the_right_size_and_sides(out: Path) -> None:
    found = volumes(out, "sub-02")
    truth = TRUTH["visits"]["sub-02"]["wmh_volume_mm3"]
    left, right = (float(found["tissue", index]["volume_mm3"]) for index in (16, 26))
    assert left + right == pytest.approx(truth["B"], rel=0.3)
    assert right > 1.3 * left


@needs_the_demo
def test_computed_ventricles_have_the_right_size(out: Path) -> None:
    truth = TRUTH["visits"]["sub-02"]["tissue_volume_mm3"]["ventricles"]["B"]
    assert float(volumes(out, "sub-02")["tissue", 2]["volume_mm3"]) == pytest.approx(truth, rel=0.3)


@pytest.mark.parametrize("visit", of_the_demo(VISITS))
@pytest.mark.parametrize("seg", ["tissue", "zones"])
def test_left_is_left(out: Path, visit: str, seg: str) -> None:
    labels, affine = image(out, visit, f"space-T1w_seg-{seg}_dseg")
    for k in sorted({int(label) % 10 for label in np.unique(labels) if label}):
        left, right = (
            (affine @ [*np.argwhere(labels == tens + k).mean(axis=0), 1])[0] for tens in (10, 20)
        )
        assert left < right - 5


@pytest.mark.parametrize("visit", of_the_demo(VISITS))
def test_shells_hug_the_lesions(out: Path, visit: str) -> None:
    from scipy import ndimage

    labels, affine = image(out, visit, "space-T1w_seg-shells_dseg")
    lesions, _ = image(out, visit, "space-T1w_label-WMH_mask")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    distance = ndimage.distance_transform_edt(lesions == 0, sampling=spacing)
    for shell in range(1, 8):
        inside = distance[labels % 100 == shell]
        assert inside.min() > 2 * shell - 2 - 1e-3
        assert inside.max() <= 2 * shell + 1e-3


@pytest.mark.parametrize("visit", of_the_demo(GIVEN))
@pytest.mark.parametrize("name", MAPS)
def test_profiles_are_what_was_planted(out: Path, visit: str, name: str) -> None:
    truth = TRUTH["maps"][name]
    planted = {
        entry["shell"]: entry["mean_sampled_in_map_grid"]
        for entry in TRUTH["visits"][visit]["expected_shells"]
        if (entry["map"], entry["lesion_class"]) == (name, "all") and entry["shell"] != "lesion"
    }
    found = profile(out, visit, name)
    span = max(truth["knots_value"]) - min(truth["knots_value"])
    for shell, mean in planted.items():
        assert found[shell] == pytest.approx(mean, abs=0.06 * span), shell


@pytest.mark.parametrize("visit", of_the_demo(VISITS))
def test_the_profiles_turn_where_they_should(out: Path, visit: str) -> None:
    shells = [str(i) for i in range(1, 8)]
    fa, chi = profile(out, visit, "FA"), profile(out, visit, "Chimap")
    assert max(shells, key=fa.__getitem__) in ("2", "3")
    assert min(shells, key=chi.__getitem__) == "1"


@pytest.mark.parametrize("visit", of_the_demo(GIVEN))
@pytest.mark.parametrize(("name", "reach", "tolerance"), [("MD", 6, 1.0), ("CBF", 10, 1.5)])
def test_the_penumbra_reaches_as_far_as_planted(
    out: Path, visit: str, name: str, reach: float, tolerance: float
) -> None:
    rows = table(out, visit, "desc-maps_penumbra")
    (row,) = [r for r in rows if (r["map"], r["lesion_class"]) == (name, "all")]
    assert float(row["width_mm"]) == pytest.approx(reach, abs=tolerance)


@needs_the_demo
def test_the_two_orientations_agree(out: Path) -> None:
    """sub-01 is stored LAS, sub-02 oblique; the planted profiles are the same."""
    shells = [str(i) for i in range(2, 8)]
    for name, span in (("FA", 0.18), ("MD", 3e-4), ("CBF", 12.0), ("Chimap", 0.03)):
        one, two = profile(out, "sub-01_ses-1", name), profile(out, "sub-02", name)
        for shell in shells:
            assert one[shell] == pytest.approx(two[shell], abs=0.2 * span), (name, shell)


@pytest.mark.parametrize("visit", of_the_demo(GIVEN))
def test_what_was_computed_for_flair_agrees_with_the_planted_motion(out: Path, visit: str) -> None:
    from wmhflow.files.itk import read_itk_affine

    path = out / VISITS[visit] / "anat" / f"{visit}_from-FLAIR_to-T1w_mode-image_xfm.txt"
    truth = np.array(TRUTH["visits"][visit]["t1w_to_scan_ras"]["FLAIR"])
    brain, affine = image(out, visit, "space-T1w_label-brain_mask")
    points = np.argwhere(brain)[::50] @ affine[:3, :3].T + affine[:3, 3]
    points = np.column_stack([points, np.ones(len(points))])
    difference = points @ (read_itk_affine(str(path)) - truth).T
    assert np.linalg.norm(difference[:, :3], axis=1).max() < 1.0


def test_empty_regions_are_na_and_never_0(out: Path) -> None:
    rows = [row for visit in there(out) for row in table(out, visit, "desc-maps_regions")]
    empty = [row for row in rows if row["n"] == "0"]
    assert empty
    assert {row["mean"] for row in empty} == {"n/a"}
    assert {row["median"] for row in empty} == {"n/a"}
    assert all(row["mean"] != "n/a" for row in rows if row["n"] != "0")


def test_sides_add_up_in_every_table_of_volumes(out: Path) -> None:
    for visit in there(out):
        found = volumes(out, visit)
        for seg in ("tissue", "zones"):
            for k in (index for s, index in found if s == seg and index < 10):
                both, left, right = (
                    float(found[seg, tens + k]["volume_mm3"]) for tens in (0, 10, 20)
                )
                assert both == pytest.approx(left + right, rel=1e-5)


def test_sidecars_name_existing_sources(out: Path) -> None:
    links = json.loads((out / "dataset_description.json").read_text())["DatasetLinks"]
    for path in out.glob("sub-*/**/anat/*.json"):
        content = json.loads(path.read_text())
        for uri in content.get("Sources", []):
            _, dataset, relative = uri.split(":", 2)
            root = (out / links[dataset]).resolve() if dataset else out
            assert (root / relative).is_file(), (path.name, uri)


@needs_the_demo
def test_the_threshold_that_the_sidecars_state_makes_the_mask_from_the_probability(
    out: Path,
) -> None:
    probabilities = sorted(out.glob("sub-*/**/anat/*label-WMH_probseg.nii.gz"))
    assert probabilities
    for path in probabilities:
        mask = path.with_name(path.name.replace("probseg", "mask"))
        threshold = {
            json.loads(file.with_suffix("").with_suffix(".json").read_text())["Parameters"][
                "threshold"
            ]
            for file in (path, mask)
        }.pop()
        above = np.asanyarray(nib.load(path).dataobj) >= threshold
        assert np.array_equal(above, np.asanyarray(nib.load(mask).dataobj) > 0), path.name


@pytest.mark.parametrize("visit", of_the_demo(VISITS))
def test_look_up_tables_name_every_number(out: Path, visit: str) -> None:
    for seg in ("tissue", "zones", "shells", "lobes"):
        path = out / VISITS[visit] / "anat" / f"{visit}_space-T1w_seg-{seg}_dseg.nii.gz"
        if not path.is_file():
            assert (seg, visit) == ("lobes", "sub-02")
            continue
        named = {int(row["index"]) for row in read_table(out / f"seg-{seg}_dseg.tsv")}
        present = set(np.unique(np.asanyarray(nib.load(path).dataobj)).tolist()) - {0}
        assert present <= named


def test_every_table_has_its_dictionary(out: Path) -> None:
    for visit in there(out):
        for path in (out / VISITS[visit] / "anat").glob(f"{visit}_*.tsv"):
            if "_dseg" in path.name:
                continue
            header = path.read_text().splitlines()[0].split("\t")
            assert list(json.loads(path.with_suffix(".json").read_text())) == header


@pytest.mark.parametrize("visit", of_the_demo(VISITS))
def test_the_quality_of_the_planted_masks_is_explained_and_sound(out: Path, visit: str) -> None:
    rows = {row["metric"]: row for row in table(out, visit, "desc-wmhflow_qc")}
    assert [metric for metric in rows if find_measure(metric) is None] == []
    assert [row for row in rows.values() if row["verdict"] == "check"] == []
    lesions = table(out, visit, "lesions")
    assert int(rows["n_lesions"]["value"]) == len(lesions)
    # a lesion has another mean signal than its surroundings by far more than their spread
    assert float(rows["wmh_flair_contrast"]["value"]) > 3
    assert float(rows["wmh_outside_brain"]["value"]) == 0
    volume = sum(float(row["volume_mm3"]) for row in lesions)
    share = volume / float(rows["brain_volume_mm3"]["value"])
    assert float(rows["wmh_brain_fraction"]["value"]) == pytest.approx(share, rel=1e-4)


def test_the_official_validator_finds_no_error(out: Path) -> None:
    program = Path(sys.executable).parent / "bids-validator-deno"
    if not program.is_file():
        pytest.skip("bids-validator-deno is not installed in this environment")
    done = subprocess.run(
        [str(program), str(out), "--format", "json"], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue.get("severity") == "error"] == []


def test_the_group_tables_hold_every_row_of_every_person(out: Path) -> None:
    import pyarrow.parquet as pq

    for ending in ("desc-volumes_regions", "lesions", "desc-maps_profiles"):
        rows = read_table(out / "group" / f"{ending}.tsv")
        parts = [row for visit in there(out) for row in table(out, visit, ending)]
        assert [{k: v for k, v in row.items() if not k.endswith("_id")} for row in rows] == parts
        columns = pq.read_table(out / "group" / f"{ending}.parquet")
        assert columns.num_rows == len(rows)
        assert columns.column_names == list(rows[0])


@needs_the_demo
def test_the_phenotype_table_has_a_row_per_person(out: Path) -> None:
    rows = read_table(out / "phenotype" / "wmhflow_volumes.tsv")
    assert [row["participant_id"] for row in rows] == ["sub-01", "sub-02"]
    truth = TRUTH["visits"]["sub-01_ses-1"]["wmh_volume_mm3"]
    assert float(rows[0]["ses-1_tissue_WMH_L_volume_mm3"]) == truth["L"]
    assert rows[0]["tissue_WMH_L_volume_mm3"] == rows[1]["ses-1_tissue_WMH_L_volume_mm3"] == "n/a"
    described = json.loads((out / "phenotype" / "wmhflow_volumes.json").read_text())
    assert set(rows[0]) <= set(described)


def test_the_methods_text_states_what_was_used(out: Path) -> None:
    text = (out / "logs" / "CITATION.md").read_text()
    assert "2 mm thick up to 14 mm" in text
    assert "random seed 20080324" in text
    assert "doi:10.1016/j.biopsych.2008.03.024" in text
    assert "[@" not in text


def test_a_second_run_rewrites_nothing_and_is_quick(out: Path) -> None:
    def state() -> dict[str, Any]:
        files = [path for path in out.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in files}

    before = state()
    started = time.monotonic()
    done = wmhflow(words(out))
    assert time.monotonic() - started < 10
    assert done.returncode == 0
    assert state() == before


def test_no_path_of_this_machine_is_in_the_outputs(out: Path) -> None:
    for path in out.rglob("*"):
        if path.suffix in {".json", ".tsv", ".html", ".md", ".bib", ".tex"}:
            assert str(out.parent) not in path.read_text(encoding="utf-8"), path.name


def test_no_temporary_file_is_left(out: Path) -> None:
    assert not [path for path in out.rglob("*") if path.name.endswith(".part")]
