"""Whole runs of maps in other units: the same tables, or the same tables in the unit asked for."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.coarse import PROFILES, Coarse, coarse_dataset, save
from tests.inprocess import run, succeed
from wmhflow.bids.writer import read_table

pytestmark = pytest.mark.slow
CBF_FACTOR = 100.0
TABLES = (
    *("desc-maps_regions", "desc-maps_profiles", "desc-maps_penumbra"),
    *("desc-maps_lesions", "desc-contrasts_regions"),
)


def rescale(coarse: Coarse, ending: str, factor: float, units: str | None) -> None:
    """Write a map's values times a factor, and what the sidecar says of them."""
    path = coarse.find(ending)
    image = nib.load(path)
    save(path, (image.get_fdata() * factor).astype(np.float32), image.affine)
    if units is not None:
        sidecar = path.with_name(path.name.replace(".nii.gz", ".json"))
        sidecar.write_text(json.dumps({"Units": units}), encoding="utf-8")


def more_maps(coarse: Coarse, scale: float, of_md: str, of_chi: str | None) -> None:
    """Add mean diffusivity and susceptibility that go with FA, times a scale."""
    path = coarse.find("fa_dwimap.nii.gz")
    image = nib.load(path)
    fa = image.get_fdata()
    md = path.with_name(path.name.replace("param-fa", "param-md"))
    mask = coarse.find("WMH_mask.nii.gz")
    chi = mask.with_name("sub-01_space-T1w_Chimap.nii.gz")
    values = {md: np.where(fa > 0, 1.2e-3 - 1e-3 * fa, 0), chi: np.where(fa > 0, -0.05 * fa, 0)}
    for file, units, affine in ((md, of_md, image.affine), (chi, of_chi, nib.load(mask).affine)):
        save(file, (scale * values[file]).astype(np.float32), affine)
        if units is not None:
            sidecar = file.with_name(file.name.replace(".nii.gz", ".json"))
            sidecar.write_text(json.dumps({"Units": units}), encoding="utf-8")


def tables(coarse: Coarse, out: Path | None = None) -> dict[str, list[dict[str, str]]]:
    return {name: read_table(coarse.anat(out) / f"sub-01_{name}.tsv") for name in TABLES}


def quality(coarse: Coarse, out: Path | None = None) -> dict[str, dict[str, str]]:
    return {
        row["metric"]: row for row in read_table(coarse.anat(out) / "sub-01_desc-wmhflow_qc.tsv")
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    coarse = coarse_dataset(tmp_path_factory.mktemp("plain"), every=2)
    more_maps(coarse, 1.0, "mm^2/s", "ppm")
    succeed(coarse.words())
    return coarse


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    """The same person in other units, as sidecars say (flow, MD) and as none says (FA, Chimap).

    A map of permeability beside them says nothing of its unit.
    """
    coarse = coarse_dataset(tmp_path_factory.mktemp("other"), every=2)
    more_maps(coarse, 1000.0, "μm^2/ms", None)
    rescale(coarse, "cbf.nii.gz", 1 / CBF_FACTOR, "mL/g/min")
    rescale(coarse, "fa_dwimap.nii.gz", 100, None)
    flow = coarse.find("cbf.nii.gz")
    image = nib.load(flow)
    save(flow.with_name("sub-01_Ktrans.nii.gz"), image.get_fdata().astype(np.float32), image.affine)
    done = run(coarse.words())
    assert done.code == 1, done.err
    assert "sub-01 FAILED" in done.err
    assert "Ktrans.nii.gz does not say its unit" in done.err
    return coarse


def test_maps_in_other_units_give_the_same_tables(plain: Coarse, other: Coarse) -> None:
    one, two = tables(plain), tables(other)
    for name in TABLES:
        assert [set(row) for row in one[name]] == [set(row) for row in two[name]]
        for row, again in zip(one[name], two[name], strict=True):
            for column, cell in row.items():
                if cell != again[column]:
                    assert float(again[column]) == pytest.approx(float(cell), rel=2e-5, abs=1e-8)


def test_each_lesion_has_what_was_planted_in_it(plain: Coarse) -> None:
    found = tables(plain)["desc-maps_lesions"]
    far = {"FA": 0.42, "CBF": 40.0, "MD": 0.78e-3, "Chimap": -0.021}
    inside = {name: PROFILES[name][0] for name in ("FA", "CBF")} | {"MD": 1e-3, "Chimap": -0.01}
    assert {row["map"] for row in found} == set(far)
    lesions = read_table(plain.anat() / "sub-01_lesions.tsv")
    assert [row["index"] for row in found if row["map"] == "FA"] == [
        row["index"] for row in lesions
    ]
    for row in found:
        mean, reference = inside[row["map"]], far[row["map"]]
        assert float(row["mean"]) == pytest.approx(mean, rel=1e-3)
        assert float(row["reference_mean"]) == pytest.approx(reference, rel=1e-3)
        assert float(row["difference"]) == pytest.approx(mean - reference, rel=5e-3)
        # the zero of susceptibility is whatever its program took for one
        if row["map"] == "Chimap":
            assert row["ratio"] == row["opposite_ratio"] == "n/a"
        else:
            assert float(row["ratio"]) == pytest.approx(mean / reference, rel=2e-3)


def test_the_factor_stands_in_the_table_of_quality(plain: Coarse, other: Coarse) -> None:
    for coarse, flow, fa, thousand in ((plain, 1, 1, 1), (other, 100, 0.01, 0.001)):
        found = quality(coarse)
        assert float(found["map_MD_unit_factor"]["value"]) == thousand
        assert float(found["map_Chimap_unit_factor"]["value"]) == thousand
        assert float(found["map_CBF_unit_factor"]["value"]) == flow
        assert float(found["map_FA_unit_factor"]["value"]) == fa
        assert found["map_FA_nawm_implausibility"]["value"] == "1"
        assert found["map_FA_nawm_implausibility"]["verdict"] == "ok"
        assert "map_Ktrans_unit_factor" not in found


def test_the_data_dictionary_says_how_maps_were_read(other: Coarse) -> None:
    path = other.anat() / "sub-01_desc-maps_regions.json"
    levels = json.loads(path.read_text(encoding="utf-8"))["map"]["Levels"]
    assert levels["CBF"] == (
        "Cerebral blood flow; its sidecar says 'mL/g/min': values times 100 are in 'mL/100g/min'"
    )
    assert levels["FA"].startswith("Fractional anisotropy; no text says its unit: its values")


def test_a_refused_map_costs_itself_alone(other: Coarse) -> None:
    maps = {row["map"] for row in tables(other)["desc-maps_regions"]}
    assert maps == {"FA", "CBF", "MD", "Chimap"}


def test_a_second_run_does_not_forget_what_was_refused(other: Coarse) -> None:
    done = run(other.words())
    assert done.code == 1
    assert "Ktrans.nii.gz does not say its unit" in done.err
