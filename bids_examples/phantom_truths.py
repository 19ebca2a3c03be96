"""Every planted number of the phantom, and what a right program finds in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from phantom_anatomy import Volume
from phantom_plan import (
    CONTRASTS,
    CORTEX_NAMES,
    CSF,
    IMAGE_NOISE_SD,
    INFRATENTORIAL,
    LATERAL_VENTRICLES,
    MAPS,
    NEW_AT_SECOND_VISIT,
    SEED,
    THIRD_VENTRICLE,
    MapRecipe,
)
from phantom_scans import (
    Head,
    distance_to_lesion_mm,
    given_mask,
    map_values,
    move,
    sub_voxel_offsets,
)
from scipy import ndimage as ndi


def rounded(value: Any) -> Any:
    """Return the value with every number at nine decimals, as plain Python."""
    if isinstance(value, dict):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [rounded(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return round(float(value), 9) + 0.0
    return value.item() if isinstance(value, np.generic) else value


def lesion_rows(head: Head) -> list[dict[str, Any]]:
    """Return one row per planted lesion, measured on the T1w grid."""
    volume = float(np.prod(head.voxel_mm("T1w")))
    sampling = head.voxel_mm("T1w")
    to_ventricle = ndi.distance_transform_edt(
        ~np.isin(head.codes.data, LATERAL_VENTRICLES), sampling
    )
    not_cortex = (head.codes.data < 1000) | (head.numbers.data > 0)
    to_cortex = ndi.distance_transform_edt(not_cortex, sampling)
    world = head.world("T1w")
    rows = []
    for number, lesion in enumerate(head.visit.lesions, start=1):
        inside = head.numbers.data == number
        nearest = float(to_ventricle[inside].min())
        rows.append(
            {
                "number": number,
                "name": lesion.name,
                "kind": lesion.kind,
                "side": lesion.side,
                "class": "PV" if nearest <= 3 else "deep",
                "centre_t1w_ras_mm": world[:, inside.ravel()].mean(axis=1),
                "n_voxels": int(inside.sum()),
                "volume_mm3": inside.sum() * volume,
                "ventricle_distance_min_mm": nearest,
                "cortex_distance_min_mm": float(to_cortex[inside].min()),
                "called_in_parcellation": lesion.called,
                "new": lesion in NEW_AT_SECOND_VISIT,
                "centres_template_mm": lesion.centres_mm,
            }
        )
    return rows


SHELL_EDGES_MM = tuple(range(0, 16, 2))
GUARD_MM = 2.0


def shell_labels(head: Head, lesions: list[dict[str, Any]]) -> NDArray[np.uint8]:
    """Return 10 c + s on the T1w grid: c 1 PV, 2 deep; s 1..7 shells, 8 beyond, 9 the lesion."""
    numbers = head.numbers.data
    sampling = head.voxel_mm("T1w")
    distance, nearest = ndi.distance_transform_edt(numbers == 0, sampling, return_indices=True)
    white = np.isin(head.codes.data, (2, 41))
    not_white = ~(white | (numbers > 0))
    guarded = ndi.distance_transform_edt(~not_white, sampling) > GUARD_MM
    classes = np.array([0] + [1 if row["class"] == "PV" else 2 for row in lesions], dtype=np.uint8)
    shell = np.digitize(distance, SHELL_EDGES_MM, right=True).astype(np.uint8)
    labels = 10 * classes[numbers[tuple(nearest)]] + shell
    labels[~(white & guarded)] = 0
    return np.where(numbers > 0, 10 * classes[numbers] + 9, labels).astype(np.uint8)


def _overlap_sums(
    head: Head, recipe: MapRecipe, labels: Volume, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return per label the summed overlap (in voxels of the map) and overlap times value."""
    parts = 4
    affine, _ = head.grids[recipe.kind]
    world = head.world(recipe.kind)
    to_t1w = np.linalg.inv(head.t1w_to(recipe.kind))
    near = ndi.maximum_filter(head.codes.data > 0, size=5)
    inside = Volume(near, labels.affine).nearest(move(to_t1w, world))
    points, flat = world[:, inside], values.ravel()[inside]
    counts, sums = np.zeros(32), np.zeros(32)
    for offset in sub_voxel_offsets(affine, (parts, parts, parts)).T:
        found = labels.nearest(move(to_t1w, points + offset[:, None]))
        known = (found > 0) & np.isfinite(flat)
        counts += np.bincount(found[known], minlength=32)
        sums += np.bincount(found[known], weights=flat[known], minlength=32)
    return counts / parts**3, sums / parts**3


def shell_rows(head: Head, lesions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what a right program finds per map, lesion class and shell, free of noise."""
    labels = Volume(shell_labels(head, lesions), head.codes.affine)
    distance = distance_to_lesion_mm(head).data
    rows = []
    for recipe in MAPS:
        weight, total = _overlap_sums(head, recipe, labels, map_values(head, recipe))
        profile = recipe.white_matter(distance)
        for name, classes in (("all", (1, 2)), ("PV", (1,)), ("deep", (2,))):
            for shell in range(1, 10):
                keys = [10 * c + shell for c in classes]
                inside = np.isin(labels.data, keys)
                row = {"map": recipe.name, "lesion_class": name, **_shell_name(shell)}
                row["n_voxels_t1w"] = int(inside.sum())
                row["n_effective_map_voxels"] = weight[keys].sum()
                if inside.any():
                    row["distance_mean_mm"] = distance[inside].mean()
                    at_centres = recipe.core if shell == 9 else profile[inside].mean()
                    row["mean_of_profile_at_t1w_voxels"] = at_centres
                    row["mean_sampled_in_map_grid"] = total[keys].sum() / weight[keys].sum()
                rows.append(row)
    return rows


def _shell_name(shell: int) -> dict[str, Any]:
    """Return the name and the edges of a shell."""
    if shell == 9:
        return {"shell": "lesion", "distance_lo_mm": None, "distance_hi_mm": 0.0}
    if shell == len(SHELL_EDGES_MM):
        return {
            "shell": "rest",
            "distance_lo_mm": float(SHELL_EDGES_MM[-1]),
            "distance_hi_mm": None,
        }
    low, high = SHELL_EDGES_MM[shell - 1 : shell + 1]
    return {"shell": str(shell), "distance_lo_mm": float(low), "distance_hi_mm": float(high)}


TISSUES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "ventricles": ((4, 5, 31), (43, 44, 63)),
    "cortex": (tuple(CORTEX_NAMES), tuple(code + 1000 for code in CORTEX_NAMES)),
    "deep-grey": ((10, 11, 12, 13), (49, 50, 51, 52)),
    "white-matter": ((2,), (41,)),
}


def tissue_volumes(head: Head) -> dict[str, dict[str, float]]:
    """Return the volume in mm3 of each tissue (B, L, R) on the T1w grid; WMH belongs to none."""
    volume = float(np.prod(head.voxel_mm("T1w")))
    codes = np.where(head.numbers.data > 0, 0, head.codes.data)
    volumes = {}
    for tissue, (left, right) in TISSUES.items():
        sides = [float(np.isin(codes, side).sum()) * volume for side in (left, right)]
        volumes[tissue] = {"B": sum(sides), "L": sides[0], "R": sides[1]}
    volumes["infratentorial"] = {"B": float(np.isin(codes, INFRATENTORIAL).sum()) * volume}
    volumes["csf"] = {"B": float(np.isin(codes, (CSF, THIRD_VENTRICLE)).sum()) * volume}
    return volumes


def zone_volumes(head: Head) -> dict[str, dict[str, float]]:
    """Return the volume in mm3 of each zone of jv3-pv13-jc4 in white matter and WMH (T1w grid)."""
    sampling = head.voxel_mm("T1w")
    codes, numbers = head.codes.data, head.numbers.data
    sides = np.array([0] + [1 if lesion.side == "L" else 2 for lesion in head.visit.lesions])
    side = np.where(numbers > 0, sides[numbers], (codes == 2) + 2 * (codes == 41))
    ventricles = np.isin(codes, LATERAL_VENTRICLES)
    to_ventricle = ndi.distance_transform_edt(~ventricles, sampling)
    to_cortex = ndi.distance_transform_edt((codes < 1000) | (numbers > 0), sampling)
    zones = np.select([to_ventricle <= 3, to_cortex <= 4, to_ventricle <= 13], [1, 2, 3], 4)
    volume = float(np.prod(sampling))
    rows = {}
    for number, zone in enumerate(("JV", "JC", "PV", "D"), start=1):
        inside = zones == number
        rows[zone] = {
            "B": float((inside & (side > 0)).sum()) * volume,
            "L": float((inside & (side == 1)).sum()) * volume,
            "R": float((inside & (side == 2)).sum()) * volume,
            "wmh": float((inside & (numbers > 0)).sum()) * volume,
        }
    return rows


def _geometry_truth(head: Head) -> dict[str, Any]:
    """Return the transforms and grids of a visit."""
    warp = head.visit.warp
    return {
        "warp_template_to_person": {
            "scale": warp.scale,
            "shear_amplitude_mm": warp.amplitude_mm,
            "shear_lengths_mm": warp.lengths_mm,
            "shear_phase_rad": warp.phase,
        },
        "head_position_person_to_t1w_ras": head.head_position(),
        "t1w_to_scan_ras": {n: head.t1w_to(n) for n in head.visit.scans if n != "T1w"},
        "grids": {
            name: {
                "affine": affine,
                "shape": shape,
                "orientation": head.visit.scans[name].orientation,
                "voxel_mm": head.voxel_mm(name),
            }
            for name, (affine, shape) in head.grids.items()
        },
    }


def visit_truth(head: Head) -> dict[str, Any]:
    """Return every planted number of a visit."""
    lesions = lesion_rows(head)
    volume = float(np.prod(head.voxel_mm("T1w")))
    codes, numbers = head.codes.data, head.numbers.data
    sides = {s: sum(r["volume_mm3"] for r in lesions if r["side"] == s) for s in "LR"}
    given = None
    if head.visit.mask_space is not None:
        mask = given_mask(head).data
        scan = head.visit.mask_space
        size = float(np.prod(head.voxel_mm(scan)))
        given = {"space": scan, "n_voxels": int(mask.sum()), "volume_mm3": int(mask.sum()) * size}
    return {
        "subject": head.visit.subject,
        "session": head.visit.session,
        **_geometry_truth(head),
        "given_mask": given,
        "lesions": lesions,
        "wmh_n_voxels": int((numbers > 0).sum()),
        "wmh_volume_mm3": {"B": sum(sides.values()), **sides},
        "wmh_voxels_in_ventricle": int((np.isin(codes, LATERAL_VENTRICLES) & (numbers > 0)).sum()),
        "tissue_volume_mm3": tissue_volumes(head),
        "zone_volume_mm3": zone_volumes(head),
        "brain_volume_mm3": int(((codes > 0) | (numbers > 0)).sum()) * volume,
        "expected_shells": shell_rows(head, lesions),
    }


def dataset_truth(heads: list[Head]) -> dict[str, Any]:
    """Return the whole truth file."""
    maps = {
        r.name: {
            "units": r.units,
            "profile": r.description,
            "knots_mm": r.knots_mm,
            "knots_value": r.knots_value,
            "lesion_core": r.core,
            "grey_matter": r.grey,
            "deep_grey": r.deep_grey,
            "csf": r.csf,
            "infratentorial_white": r.knots_value[-1],
            "noise_sd": r.noise_sd,
            "quantum": r.quantum,
            "outside_the_brain": None if np.isnan(r.outside) else r.outside,
        }
        for r in MAPS
    }
    return {
        "about": TRUTH_NOTES,
        "seed": SEED,
        "maps": maps,
        "image_intensities": {
            name: dict(zip(("csf", "grey", "deep_grey", "white", "wmh"), values, strict=True))
            for name, values in CONTRASTS.items()
        },
        "image_noise_sd": IMAGE_NOISE_SD,
        "visits": {head.visit.stem: visit_truth(head) for head in heads},
    }


TRUTH_NOTES = {
    "coordinates": "world RAS in mm; left is the side of smaller x; 4 x 4 matrices act on columns",
    "t1w_to_scan_ras": "maps T1w points to points of the scan; the transform files hold it in LPS",
    "warp": (
        "p = scale * t, then for axis a = x, y, z in turn p_a += amplitude_a * sin(2 pi (p_b / "
        "length_a1 + p_c / length_a2) + phase_a), with b < c the other two axes"
    ),
    "labels": (
        "lesions and tissues of a visit are defined, counted and measured at the voxel centres of "
        "its T1w; where given_mask has space FLAIR, the mask is defined in the FLAIR's grid and "
        "the T1w's truth is its nearest neighbour under the true transform; tissue volumes hold "
        "no WMH"
    ),
    "distance": (
        "from a T1w voxel centre to the nearest lesion voxel centre, exact and Euclidean; linearly "
        "interpolated to map voxel centres"
    ),
    "map_values": (
        "the value at the centre of the map voxel, tissue and lesion being those of the nearest "
        "T1w voxel: lesion_core in WMH; in cerebral white matter the profile, linear between its "
        "knots and constant beyond; elsewhere the value of the tissue; then Gaussian noise of "
        "noise_sd"
    ),
    "expected_shells": (
        "white matter more than 2 mm from any voxel that is neither white matter nor WMH (voxel "
        "centres); mean_of_profile_at_t1w_voxels is the formula's mean over the shell's T1w "
        "voxels; mean_sampled_in_map_grid weighs the noise-free map's voxels by the part of their "
        "volume in the shell (64 points per voxel); lesion_class is that of the nearest lesion"
    ),
    "zone_volume_mm3": (
        "zones of white matter and WMH together: JV within 3 mm of a lateral ventricle, else JC "
        "within 4 mm of cortex, else PV within 13 mm of a lateral ventricle, else D; wmh is the "
        "part of B that is WMH"
    ),
    "lesion_class": "PV if any voxel centre lies within 3 mm of a lateral ventricle's, else deep",
}
