"""PET of the coarse head, of which the uptake beside the cerebellum and the pons is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.coarse import MOTIONS, Coarse, head, save
from wmhflow.files.itk import write_itk_affine

# by FreeSurfer codes and in lesions, relative to the reference
RATIOS = {(8, 47, 16): 1.0, (2, 41): 1.5, (10, 49): 2.0}
CORTEX, LESIONS = 1.25, 0.9
MOTION = MOTIONS["asl"]
MINUTES = (40, 45, 50, 55, 60, 65)


def codes() -> np.ndarray:
    """Return the head's codes, with a brain stem of 16 in the middle of what lies below."""
    made = head()
    lower = np.isin(made.codes, (8, 47))
    places = np.argwhere(lower)
    middle = places.mean(axis=0)
    inside = np.abs(np.indices(lower.shape).T - middle).T.max(axis=0) < 6
    return np.where(lower & inside, 16, made.codes).astype(np.int16)


def uptake() -> np.ndarray:
    """Return the planted uptake relative to the reference; 0 outside."""
    made, kinds = head(), codes()
    values = np.where(kinds > 0, CORTEX, 0.0)
    for which, ratio in RATIOS.items():
        values[np.isin(kinds, which)] = ratio
    return np.where(made.lesions, LESIONS, values)


def add_pet(
    made: Coarse,
    name: str = "trc-PIB_pet",
    scale: float = 5000.0,
    frames: bool = False,
    **told: Any,
) -> Path:
    """Write a PET beside the T1w, and what leads to it; of frames those after 50 min are right."""
    values = (scale * uptake()).astype(np.float32)
    stated: dict[str, Any] = {"TracerName": "PIB", "Units": "Bq/mL"}
    if frames:
        # before 50 min, and after 70, uptake is of another kind
        early = np.where(values > 0, scale, 0)
        values = np.stack([values if start >= 50 else early for start in MINUTES], -1)
        stated |= {
            "FrameTimesStart": [60 * (start - MINUTES[0]) for start in MINUTES],
            "FrameDuration": [300] * len(MINUTES),
            "InjectionStart": -60 * MINUTES[0],
        }
    path = made.raw / "sub-01" / "pet" / f"sub-01_{name}.nii.gz"
    save(path, values.astype(np.float32), MOTION @ head().affine)
    told = {key: value for key, value in (stated | told).items() if value is not None}
    path.with_name(f"sub-01_{name}.json").write_text(json.dumps(told), encoding="utf-8")
    transform = made.given / "sub-01" / "anat" / "sub-01_from-pet_to-T1w_mode-image_xfm.txt"
    write_itk_affine(MOTION, transform)
    save(made.find("aparcaseg_dseg.nii.gz"), codes(), head().affine)
    return path
