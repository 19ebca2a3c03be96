"""What stands beside the WMH of the first person: an acute lesion, and a voxel of spectroscopy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_anatomy import Volume
from phantom_scans import Head, move

# Middle and radius of the acute lesion, a ball in the template's right frontal white matter, mm.
ACUTE_CENTRE_MM, ACUTE_RADIUS_MM = (24.0, 36.0, 20.0), 5.0
# Edges of the voxel, mm, and by how much it is turned about the axis from foot to head.
VOXEL_MM, VOXEL_TURN_DEG = (20.0, 20.0, 15.0), 20.0
VOXEL_NAME = "acq-press_voi-lesion"
# Values that a fit of its spectrum would give: name, mmol/kg, uncertainty in percent.
METABOLITES = (("tNAA", 8.5, 3), ("tCr", 6.1, 3), ("tCho", 1.9, 4), ("mI", 5.4, 6))
# So many points along each edge count what lies in the voxel.
POINTS = 60


def acute_mask(head: Head) -> Volume:
    """Return the acute lesion, 0 and 1, in the T1w's grid: white matter of the ball, no WMH."""
    apart = head.to_template("T1w", head.world("T1w")).T - ACUTE_CENTRE_MM
    ball = (apart**2).sum(axis=1).reshape(head.codes.data.shape) <= ACUTE_RADIUS_MM**2
    white = np.isin(head.codes.data, (2, 41)) & (head.numbers.data == 0)
    return Volume((ball & white).astype(np.uint8), head.codes.affine)


def voxel_box(head: Head) -> NDArray[np.float64]:
    """Return the voxel's affine in the T1w's world: around the largest lesion, turned."""
    counts = np.bincount(head.numbers.data[head.numbers.data > 0])
    inside = np.argwhere(head.numbers.data == counts.argmax())
    middle = move(head.numbers.affine, inside.mean(axis=0)[:, None])[:, 0]
    angle = np.deg2rad(VOXEL_TURN_DEG)
    box = np.eye(4)
    box[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    box[:3, :3] = box[:3, :3] * VOXEL_MM
    # whole mm are written without rounding
    box[:3, 3] = np.rint(middle)
    return box.astype(np.float32).astype(np.float64)


def others_truth(head: Head) -> dict[str, Any]:
    """Return what a right program finds: the acute lesion's volume, what the voxel holds."""
    acute = acute_mask(head)
    size = abs(float(np.linalg.det(acute.affine[:3, :3])))
    centre = move(acute.affine, np.argwhere(acute.data).mean(axis=0)[:, None])[:, 0]
    steps = (np.arange(POINTS) + 0.5) / POINTS - 0.5
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij")).reshape(3, -1)
    points = move(voxel_box(head), cube)
    codes, numbers = head.codes.nearest(points), head.numbers.nearest(points)
    return {
        "acute_volume_mm3": float(np.count_nonzero(acute.data) * size),
        "acute_centre_mm": centre.tolist(),
        "voxel_mm3": float(np.prod(VOXEL_MM)),
        "voxel_wmh_share": float((numbers > 0).mean()),
        "voxel_white_share": float((np.isin(codes, (2, 41)) | (numbers > 0)).mean()),
    }
