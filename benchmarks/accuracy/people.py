"""The whole program on real people: what must hold whatever they look like.

Three visits with masks drawn by hand, and one person twice as raw whole heads in thick slices.
Nobody knows their true ventricles or zones; what is judged is that lesions are kept to the voxel,
that what is divided adds up, and that brains and ventricles have a human's size.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.chain import DATA
from wmhflow.bids.writer import read_table
from wmhflow.labels.digits import VENTRICLES, WHITE_MATTER, class_of

LESIONS = DATA / "lesions"
RAW = DATA / "raw_longitudinal" / "openms_patient01" / "raw"
DRAWN = {
    ("P14", "tp1"): "mslesseg_P14/tp1/P14_tp1",
    ("patient07", None): "openms_patient07/patient07",
    ("patient19", None): "openms_patient19/patient19",
}
VENTRICLES_MM3, BRAIN_MM3 = (5_000, 120_000), (900_000, 1_900_000)
LEAST_SIDE_MM, DARKEST, LARGEST_TURN_DEG = 5.0, 0.7, 30.0
N_SHELLS = 7


@dataclass(frozen=True)
class Finished:
    """A visit that was processed."""

    anat: Path
    start: str

    def image(self, name: str) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Load one of its images, and where its voxels lie."""
        image: Any = nib.load(self.anat / f"{self.start}_{name}.nii.gz")
        return np.asanyarray(image.dataobj), image.affine

    def rows(self, name: str) -> list[dict[str, str]]:
        """Read one of its tables."""
        return read_table(self.anat / f"{self.start}_{name}.tsv")


def main() -> list[str]:
    """Process everybody and print what was looked at; return what was missed."""
    print("# The whole program on real people\n")
    if not LESIONS.is_dir() or not RAW.is_dir():
        print(f"No scans at {DATA.name}: nothing measured.")
        return ["people: no scans"]
    with tempfile.TemporaryDirectory() as folder:
        missed = [*_drawn(Path(folder) / "drawn"), *_whole_heads(Path(folder) / "raw")]
    print("\n".join(f"- {line}" for line in missed) or "Everything holds.")
    return missed


def _drawn(folder: Path) -> Iterator[str]:
    raw, masks = _described(folder / "raw"), _described(folder / "masks", "derivative")
    for (subject, session), start in DRAWN.items():
        for suffix in ("T1w", "FLAIR"):
            _place(LESIONS / f"{start}_{suffix}.nii.gz", raw, subject, session, suffix)
        mask = LESIONS / f"{start}_lesion.nii.gz"
        _place(mask, masks, subject, session, "space-T1w_label-WMH_mask")
    if not _processed(raw, folder, "-d", f"masks={masks}"):
        yield "people with masks: the run failed"
        return
    for (subject, session), start in DRAWN.items():
        visit = _finished(folder / "out", subject, session)
        given: Any = nib.load(LESIONS / f"{start}_lesion.nii.gz")
        checks = _lesions(visit, np.asanyarray(given.dataobj) > 0)
        checks |= _ventricles(visit) | _shells(visit)
        yield from (f"{visit.start}: {what}" for what, holds in checks.items() if not holds)


def _whole_heads(folder: Path) -> Iterator[str]:
    raw = _described(folder / "raw")
    for session in ("1", "2"):
        for suffix, name in (("T1w", "T1W"), ("FLAIR", "FLAIR")):
            _place(RAW / f"study{session}_{name}.nii.gz", raw, "01", session, suffix)
    if not _processed(raw, folder):
        yield "raw whole heads: the run failed"
        return
    for session in ("1", "2"):
        visit = _finished(folder / "out", "01", session)
        brain, affine = visit.image("space-T1w_label-brain_mask")
        ventricles, _ = visit.image("space-T1w_label-ventricles_mask")
        voxel = abs(np.linalg.det(affine[:3, :3]))
        facts = {row["metric"]: row["value"] for row in visit.rows("desc-wmhflow_qc")}
        turn = float(facts["other_anatomical_registration_rotation_deg"])
        mask = visit.anat / f"{visit.start}_space-T1w_label-WMH_mask.json"
        told = json.loads(mask.read_text(encoding="utf-8"))["Parameters"]
        checks = {
            "the brain has no human's size": _within(brain.sum() * voxel, BRAIN_MM3),
            "ventricles have no human's size": _within(ventricles.sum() * voxel, VENTRICLES_MM3),
            f"the FLAIR was turned by {turn:.0f} degrees": turn < LARGEST_TURN_DEG,
            "lesions were not computed": told["source"] == "computed",
        }
        yield from (f"{visit.start}: {what}" for what, holds in checks.items() if not holds)


def _lesions(visit: Finished, given: NDArray[np.bool_]) -> dict[str, bool]:
    """Lesions are kept to the voxel; their rows and those of zones add up to them."""
    written, affine = visit.image("space-T1w_label-WMH_mask")
    volume = np.count_nonzero(given) * abs(np.linalg.det(affine[:3, :3]))
    total = sum(float(row["volume_mm3"]) for row in visit.rows("lesions"))
    zones = sum(
        float(row["wmh_volume_mm3"])
        for row in visit.rows("desc-volumes_regions")
        if row["seg"] == "zones" and row["hemisphere"] == "B"
    )
    return {
        "lesions are not as given": bool(np.array_equal(written > 0, given)),
        "lesions do not add up": bool(np.isclose(total, volume, rtol=1e-5)),
        "lesions in zones do not add up": bool(np.isclose(zones, volume, rtol=1e-5)),
    }


def _ventricles(visit: Finished) -> dict[str, bool]:
    """Ventricles are dark on both images, of a human size, and on both sides."""
    ventricles, affine = visit.image("space-T1w_label-ventricles_mask")
    tissue, _ = visit.image("space-T1w_seg-tissue_dseg")
    checks = {}
    for name in ("desc-preproc_T1w", "space-T1w_desc-preproc_FLAIR"):
        image, _ = visit.image(name)
        white = np.median(image[class_of(tissue) == WHITE_MATTER])
        dark = bool(np.median(image[ventricles > 0]) < DARKEST * white)
        checks[f"ventricles are bright on {name}"] = dark
    volume = ventricles.sum() * abs(np.linalg.det(affine[:3, :3]))
    checks["ventricles have no human's size"] = _within(volume, VENTRICLES_MM3)
    places = np.argwhere(class_of(tissue) == VENTRICLES) @ affine[:3, :3].T + affine[:3, 3]
    for side, sign in (("left", -1), ("right", 1)):
        beyond = (sign * places[:, 0] > LEAST_SIDE_MM).sum()
        checks[f"there is no {side} ventricle"] = bool(beyond > 0.1 * len(places))
    return checks


def _shells(visit: Finished) -> dict[str, bool]:
    """Shells lie in normal-appearing white matter, at the distances that they are called by."""
    shells, _ = visit.image("space-T1w_seg-shells_dseg")
    nawm, _ = visit.image("space-T1w_label-NAWM_mask")
    distance, _ = visit.image("space-T1w_desc-WMH_distance")
    number = shells % 100
    checks = {"shells leave NAWM": bool(nawm[(shells > 0) & (number <= 50)].all())}
    for shell in range(1, N_SHELLS + 1):
        inside = distance[number == shell]
        right = inside.size and 2 * shell - 2 < inside.min() and inside.max() <= 2 * shell + 1e-4
        checks[f"shell {shell} lies elsewhere"] = bool(right)
    return checks


def _within(value: float, bounds: tuple[float, float]) -> bool:
    return bool(bounds[0] < value < bounds[1])


def _described(root: Path, kind: str = "raw") -> Path:
    root.mkdir(parents=True)
    content: dict[str, Any] = {"Name": root.name, "BIDSVersion": "1.10.0", "DatasetType": kind}
    if kind == "derivative":
        content["GeneratedBy"] = [{"Name": "manual"}]
    (root / "dataset_description.json").write_text(json.dumps(content), encoding="utf-8")
    return root


def _place(source: Path, root: Path, subject: str, session: str | None, ending: str) -> None:
    """Copy an image to where BIDS wants it."""
    parts = [f"sub-{subject}", *([f"ses-{session}"] if session else [])]
    folder = root.joinpath(*parts, "anat")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, folder / f"{'_'.join(parts)}_{ending}.nii.gz")


def _processed(raw: Path, folder: Path, *more: str) -> bool:
    words = [str(raw), str(folder / "out"), "participant", "-w", str(folder / "work"), *more]
    done = subprocess.run([sys.executable, "-m", "wmhflow", *words], check=False)
    return done.returncode == 0


def _finished(out: Path, subject: str, session: str | None) -> Finished:
    parts = [f"sub-{subject}", *([f"ses-{session}"] if session else [])]
    return Finished(out.joinpath(*parts, "anat"), "_".join(parts))
