"""Names follow the entity order of the BIDS schema."""

from __future__ import annotations

import pytest

from wmhflow.bids.naming import derivative_path


@pytest.mark.parametrize(
    ("entities", "suffix", "expected"),
    [
        ({"desc": "preproc"}, "T1w", "sub-1_ses-a_desc-preproc_T1w"),
        ({"label": "WMH", "space": "T1w"}, "mask", "sub-1_ses-a_space-T1w_label-WMH_mask"),
        ({"seg": "zones", "space": "T1w"}, "dseg", "sub-1_ses-a_space-T1w_seg-zones_dseg"),
        (
            {"from_": "T1w", "to": "MNI", "mode": "image"},
            "xfm",
            "sub-1_ses-a_from-T1w_to-MNI_mode-image_xfm",
        ),
        (
            {"seg": "S", "atlas": "A", "space": "T1w"},
            "dseg",
            "sub-1_ses-a_space-T1w_atlas-A_seg-S_dseg",
        ),
    ],
)
def test_order(entities: dict[str, str], suffix: str, expected: str) -> None:
    path = derivative_path("1", "a", suffix, ".nii.gz", **entities)
    assert str(path) == f"sub-1/ses-a/anat/{expected}.nii.gz"


def test_seg_and_label_together_are_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        derivative_path("1", None, "dseg", ".nii.gz", seg="a", label="b")


def test_an_unknown_entity_is_refused() -> None:
    with pytest.raises(ValueError, match="no entity 'colour'"):
        derivative_path("1", None, "dseg", ".nii.gz", colour="red")
