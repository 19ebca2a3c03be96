"""Raw images of the coarse head from which known maps are computed: echoes, MTR, T1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.coarse import MOTIONS, Coarse, head, save
from wmhflow.core.susceptibility import field_of
from wmhflow.files.itk import write_itk_affine

ECHO_TIMES_S = (0.004, 0.009, 0.014, 0.019, 0.024)
FIELD_T = 3.0
HZ_PER_PPM = 42.577478 * FIELD_T
# by distance from the lesions: inside, and at 0, 6 and 12 mm, with lines between these
PROFILES = {"R2star": (14.0, 17.0, 20.0, 20.0), "MTR": (30.0, 34.0, 38.0, 38.0),
            "T1": (1.4, 1.1, 0.9, 0.9)}  # fmt: skip
# of tissues, in ppm beside fluid, and of what lies within lesions beside white matter
CHI = {"deep_grey": 0.10, "white": -0.03, "cortex": 0.02, "infratentorial": 0.0}
LESION_PPM = -0.02
# where the echoes lie, by a given transform
MOTION = MOTIONS["dwi"]


def planted(name: str) -> np.ndarray:
    """Return a map's values, those of the brain; 0 outside."""
    made = head()
    inside, *beyond = PROFILES[name]
    values = np.interp(made.distance, [0, 6, 12], beyond)
    if name == "MTR":
        # nothing in fluid binds water
        values = np.where(np.isin(made.codes, (4, 43)), 3.0, values)
    return np.where(made.codes == 0, 0.0, np.where(made.lesions, inside, values))


def planted_chi() -> np.ndarray:
    """Return the susceptibility of every voxel in ppm, relative to fluid."""
    made = head()
    chi = sum(CHI[name] * made.shares[name] for name in CHI)
    chi = np.where(made.codes == 0, 0.0, np.where(made.lesions, chi + LESION_PPM, chi))
    return np.asarray(chi, np.float32)


def add_echoes(made: Coarse, *, turn: int = 1, strength: float | None = FIELD_T) -> None:
    """Write a multi-echo gradient echo beside the T1w, and what leads to it."""
    affine = MOTION @ head().affine
    inside = head().codes > 0
    # what lies outside of the head makes a field that is harmonic in it
    x, _, z = (np.linspace(-1, 1, n).reshape([-1 if a == own else 1 for a in range(3)])
               for own, n in enumerate(inside.shape))  # fmt: skip
    field_hz = HZ_PER_PPM * field_of(planted_chi(), affine) + 70 * z - 50 * x + 30 * x * z
    air = np.random.default_rng(5).uniform(-np.pi, np.pi, (len(ECHO_TIMES_S), *inside.shape))
    for number, time in enumerate(ECHO_TIMES_S, 1):
        phase = turn * np.angle(np.exp(1j * (2 * np.pi * field_hz * time + 0.4)))
        phase = np.where(inside, phase, air[number - 1])
        parts = {
            "mag": (900 * np.exp(-planted("R2star") * time) * inside).astype(np.float32),
            "phase": np.round((phase + np.pi) / (2 * np.pi) * 4095).astype(np.int16),
        }
        told: dict[str, Any] = {"EchoTime": time}
        if strength:
            told["MagneticFieldStrength"] = strength
        for part, values in parts.items():
            name = f"sub-01_echo-{number}_part-{part}_MEGRE"
            write(made, name, values, affine, told)
    path = made.given / "sub-01" / "anat" / "sub-01_from-MEGRE_to-T1w_mode-image_xfm.txt"
    write_itk_affine(MOTION, path)


def add_transfer(made: Coarse, **on: Any) -> None:
    """Write a pair of images with and without magnetisation transfer, on the T1w's grid."""
    off = (500 * (head().codes > 0)).astype(np.float32)
    told = {"FlipAngle": 6, "RepetitionTimeExcitation": 0.03}
    write(made, "sub-01_mt-off_MTR", off, head().affine, told)
    with_pulse = (off * (1 - planted("MTR") / 100)).astype(np.float32)
    write(made, "sub-01_mt-on_MTR", with_pulse, head().affine, told | on)
    write_itk_affine(
        np.eye(4), made.given / "sub-01/anat/sub-01_from-MTR_to-T1w_mode-image_xfm.txt"
    )


def add_t1(made: Coarse) -> None:
    """Write a map of T1 in ms, on the T1w's grid."""
    write(made, "sub-01_T1map", (1000 * planted("T1")).astype(np.float32), head().affine, {})
    path = made.given / "sub-01/anat/sub-01_from-MPM_to-T1w_mode-image_xfm.txt"
    write_itk_affine(np.eye(4), path)


def add_t2w(made: Coarse, *, is_flair: bool = False) -> None:
    """Write a T2w image on the T1w's grid, so that T1w over T2w is known."""
    brightness = {"csf": 900, "cortex": 330, "deep_grey": 300, "white": 240, "infratentorial": 290}
    if is_flair:
        brightness["csf"] = 60
    shares = head().shares
    values = sum(brightness[name] * shares[name] for name in brightness)
    values = np.where(head().lesions, 480, values) * (head().codes > 0)
    write(made, "sub-01_T2w", values.astype(np.float32), head().affine, {})
    path = made.given / "sub-01/anat/sub-01_from-T2w_to-T1w_mode-image_xfm.txt"
    write_itk_affine(np.eye(4), path)


def write(made: Coarse, name: str, values: np.ndarray, affine: np.ndarray, told: Any) -> Path:
    """Write a raw image with its JSON file."""
    path = made.raw / "sub-01" / "anat" / f"{name}.nii.gz"
    save(path, values, affine)
    path.with_name(f"{name}.json").write_text(json.dumps(told), encoding="utf-8")
    return path
