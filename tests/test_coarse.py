"""A whole visit on the coarse head: what was planted is found, to the digit where it is exact."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from tests.builders import made_atlases
from tests.coarse import PROFILES, VOXEL_MM, Coarse, coarse_dataset, head, planted
from tests.inprocess import succeed
from wmhflow.bids.writer import read_table


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    made = coarse_dataset(tmp_path_factory.mktemp("coarse"))
    atlases = made_atlases(made.folder / "atlases")
    succeed(made.words(*atlases, "--cross", "zones:halves"))
    return made


def rows(coarse: Coarse, ending: str) -> list[dict[str, str]]:
    return read_table(coarse.anat() / f"sub-01_{ending}.tsv")


def image(coarse: Coarse, ending: str) -> np.ndarray:
    return np.asanyarray(nib.load(coarse.anat() / f"sub-01_{ending}.nii.gz").dataobj)


def volumes(coarse: Coarse) -> dict[tuple[str, int], dict[str, str]]:
    return {(row["seg"], int(row["index"])): row for row in rows(coarse, "desc-volumes_regions")}


def test_given_lesions_are_kept_to_the_voxel_and_each_has_a_row(coarse: Coarse) -> None:
    assert np.array_equal(image(coarse, "space-T1w_label-WMH_mask") > 0, head().lesions)
    numbers, n = ndimage.label(head().lesions, np.ones((3, 3, 3)))
    voxels = np.bincount(numbers.ravel())[1:]
    found = sorted(float(row["volume_mm3"]) for row in rows(coarse, "lesions"))
    assert len(found) == n
    assert found == sorted(voxels * VOXEL_MM**3)


def test_every_tissue_has_the_volume_of_its_codes(coarse: Coarse) -> None:
    codes, found = head().codes, volumes(coarse)
    white = np.isin(codes, (2, 41)) & ~head().lesions
    for mask, number in ((white, 5), (head().lesions, 6), (np.isin(codes, (4, 43)), 2),
                         (np.isin(codes, (10, 49)), 4), (codes >= 1000, 3)):  # fmt: skip
        volume = np.count_nonzero(mask) * VOXEL_MM**3
        assert float(found["tissue", number]["volume_mm3"]) == pytest.approx(volume, rel=1e-5)


@pytest.mark.parametrize("name", PROFILES)
def test_the_mean_of_a_shell_is_that_of_what_was_planted_in_it(coarse: Coarse, name: str) -> None:
    shells = image(coarse, "space-T1w_seg-shells_dseg") % 100
    compared = 0
    for row in rows(coarse, "desc-maps_profiles"):
        if (row["map"], row["lesion_class"]) == (name, "all") and row["shell"] in "2345678":
            values = planted(name)[shells == int(row["shell"])]
            assert float(row["mean"]) == pytest.approx(values.mean(), rel=1e-4)
            assert float(row["n_effective"]) == pytest.approx(values.size, rel=1e-3)
            compared += 1
    assert compared == 6


@pytest.mark.parametrize(("name", "reach"), [("FA", 6), ("CBF", 12)])
def test_the_penumbra_reaches_as_far_as_planted(coarse: Coarse, name: str, reach: float) -> None:
    (row,) = [row for row in rows(coarse, "desc-maps_penumbra")
              if (row["map"], row["lesion_class"]) == (name, "all")]  # fmt: skip
    assert float(row["width_mm"]) == pytest.approx(reach, abs=0.2)
    assert float(row["plateau"]) == pytest.approx(PROFILES[name][-1], rel=1e-3)


def test_the_regions_of_an_atlas_lie_on_their_sides_and_hold_all_lesions(coarse: Coarse) -> None:
    found = volumes(coarse)
    whole = float(found["tissue", 6]["wmh_volume_mm3"])
    for side, half in ((16, 7), (26, 3)):
        # no lesion lies near the middle, so that each is in the half of its side
        inside = float(found["halves", half]["wmh_volume_mm3"])
        assert inside == pytest.approx(float(found["tissue", side]["volume_mm3"]), rel=1e-5)
    halves = [float(found["halves", half]["wmh_volume_mm3"]) for half in (3, 7)]
    assert sum(halves) == pytest.approx(whole, rel=1e-5)
    labels = image(coarse, "space-T1w_atlas-halves_dseg")
    left, right = ((head().affine @ [*np.argwhere(labels == n).mean(axis=0), 1])[0] for n in (7, 3))
    assert left < right - 20


def test_a_cross_with_an_atlas_adds_up(coarse: Coarse) -> None:
    found = volumes(coarse)
    assert sum(seg == "zones:halves" for seg, _ in found) == 8
    for zone in (1, 2, 3, 4):
        crossed = {n: found["zones:halves", 100_000 * zone + n] for n in (7, 3)}
        assert {n: row["hemisphere"] for n, row in crossed.items()} == {7: "L", 3: "R"}
        for column in ("volume_mm3", "wmh_volume_mm3"):
            parts = sum(float(row[column]) for row in crossed.values())
            assert parts == pytest.approx(float(found["zones", zone][column]), rel=1e-5)
    asymmetry = {row["index"] for row in rows(coarse, "desc-asymmetry_regions")
                 if row["seg"] == "zones:halves"}  # fmt: skip
    assert {str(100_000 * zone + n) for zone in (1, 2, 3, 4) for n in (7, 3)} == asymmetry


def test_overlapping_regions_are_counted_by_threshold_and_by_weight(coarse: Coarse) -> None:
    found = volumes(coarse)
    whole = float(found["tissue", 6]["wmh_volume_mm3"])
    assert float(found["tracts", 2]["wmh_volume_mm3"]) == pytest.approx(whole, rel=1e-5)
    weighted = {row["name"]: row for row in rows(coarse, "desc-weighted_regions")}
    everything = float(weighted["everything"]["wmh_volume_mm3"])
    assert everything == pytest.approx(0.5 * whole, rel=1e-5)
    left = float(weighted["bundle left"]["wmh_volume_mm3"])
    assert left == pytest.approx(float(found["halves", 7]["wmh_volume_mm3"]), rel=0.05)
    # the rows can be computed again from the image that was written
    shares = image(coarse, "space-T1w_atlas-tracts_probseg")
    inside = shares[head().lesions]
    assert inside.sum(axis=0)[0] * VOXEL_MM**3 == pytest.approx(left, rel=1e-5)
    above = (inside[:, 0] >= 0.5).sum() * VOXEL_MM**3
    assert above == pytest.approx(float(found["tracts", 1]["wmh_volume_mm3"]), rel=1e-5)


def test_an_atlas_says_what_it_is_and_names_its_numbers(coarse: Coarse) -> None:
    labels = coarse.anat() / "sub-01_space-T1w_atlas-halves_dseg"
    named = [(row["index"], row["name"]) for row in read_table(labels.with_suffix(".tsv"))]
    assert named == [("7", "half left"), ("3", "half right")]
    said = json.loads(labels.with_suffix(".json").read_text(encoding="utf-8"))["Atlas"]
    assert (said["Name"], said["File"]) == ("halves", "h.nii.gz")
    path = coarse.anat() / "sub-01_space-T1w_atlas-tracts_probseg.json"
    shares = json.loads(path.read_text(encoding="utf-8"))
    assert shares["LabelMap"] == ["BL", "ALL"]
    assert shares["Parameters"]["threshold"] == 0.5
    text = (coarse.out / "logs" / "CITATION.md").read_text(encoding="utf-8")
    assert "halves (h.nii.gz)" in text


def test_nothing_is_flagged_in_a_sound_visit(coarse: Coarse) -> None:
    assert [row for row in rows(coarse, "desc-wmhflow_qc") if row["verdict"] == "check"] == []


def test_the_official_validator_finds_no_error(coarse: Coarse) -> None:
    program = Path(sys.executable).parent / "bids-validator-deno"
    if not program.is_file():
        pytest.skip("bids-validator-deno is not installed in this environment")
    command = [str(program), str(coarse.out), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue.get("severity") == "error"] == []
