"""Make the phantom: a small BIDS dataset of two people in which every answer is known.

Run as ``python make_phantom.py [OUT]``; without OUT the dataset beside this script is remade.
The anatomy is the symmetric ICBM152 2009a template of the nilearn package. Every image is a
function of template coordinates, pulled back through known transforms::

    template --warp--> person --head position--> T1w --rigid--> FLAIR, dwi, asl, megre

Nothing of wmhflow is imported, so that the dataset can contradict the program.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from phantom_anatomy import build_anatomy, load_template, plant_lesions
from phantom_others import (
    METABOLITES,
    VOXEL_MM,
    VOXEL_NAME,
    acute_mask,
    others_truth,
    voxel_box,
)
from phantom_plan import (
    CONTRASTS,
    CORTEX_NAMES,
    HYPOINTENSITY,
    LEFT_TO_RIGHT,
    MAPS,
    PAIRED_NAMES,
    SINGLE_NAMES,
    VISITS,
    Visit,
)
from phantom_scans import Head, given_mask, render_image, render_map
from phantom_truths import dataset_truth, rounded
from scipy import ndimage as ndi

BIDS_VERSION = "1.10.1"
SCRIPT_VERSION = "1.0.0"


def write_image(
    path: Path, data: NDArray[Any], affine: NDArray[np.float64], slope: float = 1.0
) -> None:
    """Write a NIfTI-1 file whose bytes depend on its content only."""
    header = nib.Nifti1Header()
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header.set_qform(affine, code=1)
    header.set_sform(affine, code=1)
    header.set_xyzt_units("mm", "sec")
    header["vox_offset"], header["scl_slope"], header["scl_inter"] = 352, slope, 0
    body = header.binaryblock + bytes(4) + np.asfortranarray(data).tobytes(order="F")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(body, compresslevel=9, mtime=0))


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rounded(content), indent=1) + "\n", encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Write a text file with one newline at its end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.strip() + "\n", encoding="utf-8")


def write_transform(path: Path, t1w_to_map_ras: NDArray[np.float64]) -> None:
    """Write the ITK transform that resamples the map onto the T1w: T1w points to map points."""
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    lps = flip @ t1w_to_map_ras @ flip
    numbers = " ".join(f"{value:.12g}" for value in (*lps[:3, :3].ravel(), *lps[:3, 3]))
    write_text(
        path,
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: MatrixOffsetTransformBase_double_3_3\n"
        f"Parameters: {numbers}\nFixedParameters: 0 0 0",
    )


def write_raw(out: Path, heads: list[Head]) -> None:
    """Write the raw dataset."""
    write_json(
        out / "dataset_description.json",
        {
            "Name": "wmhflow phantom",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "License": "Free use with the notice in README",
            "Authors": ["The wmhflow developers"],
            "HowToAcknowledge": "Made by make_phantom.py from the ICBM152 2009a template.",
        },
    )
    write_text(out / "README", RAW_README + TEMPLATE_NOTICE)
    write_text(out / "participants.tsv", "participant_id\tage\tsex\nsub-01\t70\tF\nsub-02\t74\tM")
    write_json(
        out / "participants.json",
        {
            "age": {"Description": "Invented age", "Units": "year"},
            "sex": {"Description": "Invented sex", "Levels": {"F": "female", "M": "male"}},
        },
    )
    for head in heads:
        for contrast in CONTRASTS:
            path = out / head.visit.folder / "anat" / f"{head.visit.stem}_{contrast}"
            write_image(
                path.with_suffix(".nii.gz"), render_image(head, contrast), head.grids[contrast][0]
            )
            write_json(path.with_suffix(".json"), RAW_SIDECARS[contrast])


RAW_SIDECARS: dict[str, dict[str, Any]] = {
    "T1w": {
        "Modality": "MR",
        "Manufacturer": "simulated",
        "MagneticFieldStrength": 3,
        "SkullStripped": True,
    },
    "FLAIR": {
        "Modality": "MR",
        "Manufacturer": "simulated",
        "MagneticFieldStrength": 3,
        "SkullStripped": True,
    },
}
TEMPLATE_NOTICE = """
Derived from the ICBM 152 template (https://doi.org/10.1016/j.neuroimage.2010.07.033):
Copyright (C) 1993-2004 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological
Institute, McGill University. Permission to use, copy, modify, and distribute this software and its
documentation for any purpose and without fee is hereby granted, provided that the above copyright
notice appear in all copies. The authors and McGill University make no representations about the
suitability of this software for any purpose. It is provided "as is" without express or implied
warranty.
"""
RAW_README = """
# The wmhflow phantom

Two simulated people with white matter hyperintensities (WMH) at known places.
sub-01 has two visits and LAS images; sub-02 has one visit without a session and oblique images,
its FLAIR with 5 mm slices. The anatomy is the ICBM152 2009a symmetric template, deformed and turned
by known transforms. The images have no skull: everything outside the brain is 0.

The folder derivatives holds four datasets: lesions (WMH masks of sub-01), parcellation
(FreeSurfer-coded segmentations of sub-01), maps (FA, MD, CBF and susceptibility of both people,
each in its own grid, with its transform) and others (an acute lesion and a voxel of spectroscopy of
sub-01). Every planted number is in ../phantom_truth.json.
Made by ../make_phantom.py; nobody was scanned.
"""


def _derivative(out: Path, name: str, what: str) -> None:
    """Write what every derivative dataset needs at its root."""
    write_json(
        out / "dataset_description.json",
        {
            "Name": name,
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "License": "Free use with the notice in README",
            "Authors": ["The wmhflow developers"],
            "GeneratedBy": [{"Name": "make_phantom.py", "Version": SCRIPT_VERSION}],
            "SourceDatasets": [{"URL": "../.."}],
            "DatasetLinks": {"raw": "../.."},
        },
    )
    write_text(out / "README", what + TEMPLATE_NOTICE)


def _raw_uri(head: Head, contrast: str) -> str:
    """Return the BIDS URI of a raw image."""
    return f"bids:raw:{head.visit.folder.as_posix()}/anat/{head.visit.stem}_{contrast}.nii.gz"


def write_lesions(out: Path, heads: list[Head]) -> None:
    """Write the WMH masks: 0/1 in the T1w's grid, or 0/255 with a scale in the FLAIR's grid."""
    _derivative(out, "Lesion masks of the wmhflow phantom", LESIONS_README)
    for head in heads:
        space = head.visit.mask_space
        if space is None:
            continue
        mask = given_mask(head)
        value, slope = (1, 1.0) if space == "T1w" else (255, 1 / 254)
        name = f"{head.visit.stem}_space-{space}_label-WMH_mask"
        path = out / head.visit.folder / "anat" / name
        stored = (mask.data * value).astype(np.uint8)
        write_image(path.with_suffix(".nii.gz"), stored, mask.affine, slope)
        write_json(
            path.with_suffix(".json"),
            {
                "Description": "White matter hyperintensities",
                "Type": "Lesion",
                "Manual": False,
                "SkullStripped": True,
                "SpatialReference": _raw_uri(head, space),
                "Sources": [_raw_uri(head, "FLAIR")],
            },
        )


LESIONS_README = """
WMH masks of sub-01. The one of ses-1 is 0/1 in the grid of the T1w; the one of ses-2 is stored as
0/255 with a scale factor of 1/254 in the grid of the FLAIR, so that `mask == 1` finds nothing.
"""


def write_parcellation(out: Path, heads: list[Head]) -> None:
    """Write FreeSurfer-coded segmentations in the T1w's grid."""
    _derivative(out, "Parcellation of the wmhflow phantom", PARCELLATION_README)
    rows = [f"{index}\t{name}" for index, name in sorted(_code_names().items())]
    write_text(out / "seg-aparcaseg_dseg.tsv", "\n".join(["index\tname", *rows]))
    for head in heads:
        if head.visit.mask_space is None:
            continue
        path = out / head.visit.folder / "anat" / f"{head.visit.stem}_space-T1w_seg-aparcaseg_dseg"
        write_image(path.with_suffix(".nii.gz"), called_codes(head), head.codes.affine)
        write_json(
            path.with_suffix(".json"),
            {
                "Description": "FreeSurfer-coded anatomy",
                "SkullStripped": True,
                "SpatialReference": _raw_uri(head, "T1w"),
                "Sources": [_raw_uri(head, "T1w")],
            },
        )


def called_codes(head: Head) -> NDArray[np.int16]:
    """Return the codes with the mistakes that segmentations make in lesions: 77, or cortex."""
    codes = head.codes.data.copy()
    nearest = ndi.distance_transform_edt(codes < 1000, return_distances=False, return_indices=True)
    cortex = codes[tuple(nearest)]
    for number, lesion in enumerate(head.visit.lesions, start=1):
        inside = (head.numbers.data == number) & np.isin(codes, (2, 41))
        if lesion.called == "hypointensity":
            codes[inside] = HYPOINTENSITY
        elif lesion.called == "cortex":
            codes[inside] = cortex[inside]
    return codes


def _code_names() -> dict[int, str]:
    """Return the look-up table of the parcellation."""
    names = dict(SINGLE_NAMES)
    for left, name in PAIRED_NAMES.items():
        names[left], names[LEFT_TO_RIGHT[left]] = f"Left-{name}", f"Right-{name}"
    for left, name in CORTEX_NAMES.items():
        names[left], names[left + 1000] = f"ctx-lh-{name}", f"ctx-rh-{name}"
    return names


PARCELLATION_README = """
FreeSurfer-coded segmentations of sub-01 in the grid of the T1w (seven cortical codes stand for the
lobes). As real segmentations do, it calls some WMH 77 (hypointensity), some white matter and one
cortex.
"""


def write_maps(out: Path, heads: list[Head]) -> None:
    """Write the quantitative maps, each in its own grid and head position, and their transforms."""
    _derivative(out, "Quantitative maps of the wmhflow phantom", MAPS_README)
    write_text(out / ".bidsignore", "*_dwimap*\n*_xfm*\n*_cbf*")
    for head in heads:
        for recipe in MAPS:
            path = out / head.visit.folder / recipe.stem.format(head.visit.stem)
            affine, _ = head.grids[recipe.kind]
            write_image(path.with_suffix(".nii.gz"), render_map(head, recipe), affine)
            write_json(
                path.with_suffix(".json"),
                {
                    "Units": recipe.units,
                    "SkullStripped": True,
                    "Description": f"{recipe.name} that {recipe.description} outside WMH",
                },
            )
            name = f"{head.visit.stem}_from-{recipe.kind}_to-T1w_mode-image_xfm.txt"
            write_transform(path.parent / name, head.t1w_to(recipe.kind))


MAPS_README = """
FA and MD (2.5 mm), CBF (3.5 mm) and susceptibility (Chimap, 2 mm) of every visit, each in the head
position of its own scan. `from-X_to-T1w_mode-image_xfm.txt` (ITK) is what antsApplyTransforms takes
to resample the map onto the T1w: it maps points of the T1w (LPS) to points of the map. In white
matter outside WMH the value follows a known profile of the distance to the nearest WMH.
Outside the brain FA is NaN and MD is -0.001, which no reader may count.
"""


def write_others(out: Path, heads: list[Head]) -> None:
    """Write the acute lesion and the voxel of spectroscopy, and what a right program finds."""
    _derivative(out, "Acute lesion and spectroscopy of the wmhflow phantom", OTHERS_README)
    write_text(out / ".bidsignore", "*_svs.tsv\n*_truth.json")
    for head in heads:
        stem, folder = head.visit.stem, out / head.visit.folder
        if head.visit.mask_space is None:
            continue
        mask = acute_mask(head)
        path = folder / "anat" / f"{stem}_space-T1w_label-acute_mask"
        write_image(path.with_suffix(".nii.gz"), mask.data, mask.affine)
        write_json(
            path.with_suffix(".json"),
            {
                "Description": "Acute lesion",
                "Type": "Lesion",
                "SkullStripped": True,
                "SpatialReference": _raw_uri(head, "T1w"),
                "Sources": [_raw_uri(head, "T1w")],
            },
        )
        path = folder / "mrs" / f"{stem}_{VOXEL_NAME}_svs"
        # of the spectrum nothing is read but where it lies
        write_image(
            path.with_suffix(".nii.gz"), np.ones((1, 1, 1, 16), np.complex64), voxel_box(head)
        )
        write_json(
            path.with_suffix(".json"),
            {
                "AcquisitionVoxelSize": VOXEL_MM,
                "AnatomicalImage": _raw_uri(head, "T1w"),
                "ResonantNucleus": "1H",
                "SpectrometerFrequency": 123.2,
            },
        )
        rows = ["metabolite\tvalue\tunit\tsd_percent"]
        rows += [f"{name}\t{value}\tmmol/kg\t{spread}" for name, value, spread in METABOLITES]
        write_text(path.with_suffix(".tsv"), "\n".join(rows))
        write_json(folder / f"{stem}_truth.json", others_truth(head))


OTHERS_README = """
An acute lesion of sub-01 (a ball in right frontal white matter) and a single voxel of spectroscopy
around the largest lesion, turned by 20 degrees, with invented metabolites. The spectrum is none: a
program reads where it lies, and no more. `*_truth.json` says what a right program finds.
"""


def build_heads(visits: tuple[Visit, ...] = VISITS) -> list[Head]:
    """Return the labelled heads of the visits."""
    anatomy = build_anatomy(load_template())
    return [Head(visit, anatomy, plant_lesions(anatomy, visit)) for visit in visits]


def make_phantom(out: Path) -> None:
    """Write the whole phantom below a folder: the dataset and, beside it, its truths."""
    heads = build_heads()
    write_raw(out / "phantom", heads)
    write_lesions(out / "phantom" / "derivatives" / "lesions", heads)
    write_parcellation(out / "phantom" / "derivatives" / "parcellation", heads)
    write_maps(out / "phantom" / "derivatives" / "maps", heads)
    write_others(out / "phantom" / "derivatives" / "others", heads)
    write_json(out / "phantom_truth.json", dataset_truth(heads))


if __name__ == "__main__":
    make_phantom(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
