"""The same work as a careful user would do it with other packages."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.kernels.atlases import LABELS, THRESHOLD, Atlases
from benchmarks.kernels.scene import Scene
from wmhflow.core.diffusion.gradients import Gradients

QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}


def scipy_owners(labels: NDArray, spacing: tuple[float, ...]) -> tuple[NDArray, NDArray]:
    """Return distance and nearest label with scipy's transform and its indices."""
    distance, indices = ndimage.distance_transform_edt(
        labels == 0, sampling=spacing, return_indices=True
    )
    return distance, labels[tuple(indices)]


def lobes_by_hemisphere(scene: Scene) -> NDArray[np.uint8]:
    """Give white matter its lobe with one scipy transform with indices per hemisphere."""
    result = np.zeros(scene.white.shape, np.uint8)
    for offset, side in ((10, ~scene.right), (20, scene.right)):
        source = np.where(side, scene.lobes, 0)
        indices = ndimage.distance_transform_edt(
            source == 0, sampling=scene.spacing, return_distances=False, return_indices=True
        )
        target = scene.white & side
        result[target] = offset + source[tuple(index[target] for index in indices)]
    return result


def lobes_by_loop(scene: Scene) -> NDArray[np.uint8]:
    """Grow the lobes inwards front by front with a Python loop over voxels and neighbours.

    So published bullseye pipelines do it: a voxel next to those that are done takes the label of
    the one that lies nearest to the cortex.
    """
    to_ventricle = ndimage.distance_transform_edt(~scene.ventricles, sampling=scene.spacing)
    to_cortex = ndimage.distance_transform_edt(~scene.cortex, sampling=scene.spacing)
    with np.errstate(invalid="ignore"):
        deep = to_ventricle / (to_ventricle + to_cortex)
    structure = ndimage.generate_binary_structure(3, 2)
    steps = [tuple(step) for step in np.argwhere(structure) - 1]
    result = np.zeros(scene.white.shape, np.uint8)
    for offset, side in ((10, ~scene.right), (20, scene.right)):
        target = scene.white & side
        labels = np.where(side, scene.lobes, 0)
        done = labels > 0
        while True:
            front = ndimage.binary_dilation(done, structure) & target & ~done
            if not front.any():
                break
            voxels = np.argwhere(front)
            for i, j, k in voxels[np.argsort(deep[front])[::-1]]:
                farthest = -1.0
                for a, b, c in steps:
                    place = (i + a, j + b, k + c)
                    if done[place] and deep[place] > farthest:
                        farthest = deep[place]
                        labels[i, j, k] = labels[place]
                done[i, j, k] = True
        result[target & (labels > 0)] = offset + labels[target & (labels > 0)]
    return result


def everything(scene: Scene) -> tuple[NDArray, ...]:
    """Make all distances, zones, shells, depth and bullseye with scipy and numpy."""
    spacing = scene.spacing
    to_ventricle = ndimage.distance_transform_edt(~scene.ventricles, sampling=spacing)
    to_cortex = ndimage.distance_transform_edt(~scene.cortex, sampling=spacing)
    to_lesion, owners = scipy_owners(scene.lesions, spacing)
    inward = ndimage.distance_transform_edt(scene.lesions > 0, sampling=spacing)
    distance = np.where(scene.lesions > 0, -inward, to_lesion)
    side = np.where(scene.right, 20, 10)
    zone = np.select([to_ventricle <= 3, to_cortex <= 4, to_ventricle <= 13], [1, 4, 2], default=3)
    zones = np.where(scene.white, side + zone, 0)
    numbers = np.arange(1, scene.lesions.max() + 1)
    nearest_mm = ndimage.minimum(to_ventricle, scene.lesions, numbers)
    classes = np.concatenate([[0], np.where(nearest_mm <= 3, 1, 2)])
    outer = np.digitize(distance, np.arange(0, 15, 2), right=True)
    outer = np.where(outer == 8, 50, outer)
    inner = 50 + np.digitize(inward, np.arange(0, 80, 2), right=True)
    shell = np.where(scene.lesions > 0, inner, np.where(scene.nawm, outer, 0))
    shells = np.where(shell > 0, 100 * side + 100 * classes[owners] + shell, 0)
    with np.errstate(invalid="ignore"):
        depth = to_ventricle / (to_ventricle + to_cortex)
    lobes = lobes_by_hemisphere(scene)
    layer = np.digitize(depth, [0.25, 0.5, 0.75], right=True) + 1
    cells = np.where(lobes > 0, lobes * 10 + layer, 0)
    return to_ventricle, to_cortex, distance, owners, zones, shells, depth, cells


def pandas_statistics(values: NDArray, labels: NDArray) -> pd.DataFrame:
    """Summarise a map per region with pandas: labels already on the map's grid."""
    inside = (labels > 0) & np.isfinite(values)
    frame = pd.DataFrame({"region": labels[inside], "value": values[inside]})
    grouped = frame.groupby("region")["value"]
    table = grouped.agg(["size", "mean", "std"])
    for name, share in QUANTILES.items():
        table[name] = grouped.quantile(share)
    away = (frame["value"] - frame["region"].map(table["median"])).abs()
    table["mad"] = away.groupby(frame["region"]).median()
    return table


def pandas_describe(values: NDArray, labels: NDArray) -> pd.DataFrame:
    """Summarise a map per region with pandas in two calls, as is usual: `describe` and a MAD."""
    inside = (labels > 0) & np.isfinite(values)
    frame = pd.DataFrame({"region": labels[inside], "value": values[inside]})
    grouped = frame.groupby("region")["value"]
    table = grouped.describe(percentiles=list(QUANTILES.values()))
    table["mad"] = grouped.agg(lambda part: (part - part.median()).abs().median())
    return table


def measures_by_loop(
    labels: NDArray, numbers: NDArray, affine: NDArray, distances: dict[str, NDArray]
) -> list[dict[str, float]]:
    """Measure lesions one mask after the other."""
    voxel = abs(np.linalg.det(affine[:3, :3]))
    rows = []
    for number in numbers:
        mask = labels == number
        voxels = np.argwhere(mask)
        extent = (voxels.max(axis=0) - voxels.min(axis=0) + 1) * np.linalg.norm(
            affine[:3, :3], axis=0
        )
        centroid = affine[:3, :3] @ voxels.mean(axis=0) + affine[:3, 3]
        row = {"volume": len(voxels) * voxel, "extent": extent.max(), "x": centroid[0]}
        row |= {name: distance[mask].min() for name, distance in distances.items()}
        rows.append(row)
    return rows


def laid(scene: Scene, atlases: Atlases) -> tuple[list[NDArray], list[NDArray]]:
    """Lay atlases over a brain with scipy: images of labels, and volumes of probabilities."""
    centres = nib.affines.apply_affine(scene.affine, np.argwhere(scene.brain))
    places = nib.affines.apply_affine(np.linalg.inv(atlases.shift_affine), centres).T
    moved = [ndimage.map_coordinates(atlases.shift[..., k], places, order=1) for k in range(3)]
    own = centres + np.stack(moved, axis=-1)
    other = nib.affines.apply_affine(atlases.bridge_matrix, own)
    to_voxels = np.linalg.inv(atlases.affine)

    def looked_up(volume: NDArray, points: NDArray, order: int) -> NDArray:
        image = np.zeros(scene.brain.shape, volume.dtype)
        voxels = nib.affines.apply_affine(to_voxels, points).T
        image[scene.brain] = ndimage.map_coordinates(volume, voxels, order=order)
        return image

    labels = [
        looked_up(data, points, 0)
        for data, points in zip(atlases.labels, (own, other), strict=True)
    ]
    n_tracts = atlases.tracts.shape[3]
    return labels, [looked_up(atlases.tracts[..., n], own, 1) for n in range(n_tracts)]


def tables(
    scene: Scene, regions: list[tuple[str, tuple[int, ...]]], atlases: Atlases
) -> list[tuple[float, float, int]]:
    """Measure volume, WMH volume and lesions of every region, mask by mask."""
    to_ventricle, to_cortex, _, _, zones, shells, deep, cells = everything(scene)
    images = {"zones": zones, "shells": shells, "lobes": cells // 10, "bullseye": cells}
    labels, tracts = laid(scene, atlases)
    wmh, voxel_mm3 = scene.lesions > 0, float(np.prod(scene.spacing))
    measured = []
    masks = [lambda s=seg, n=leaves: np.isin(images[s], n) for seg, leaves in regions]
    for image, n_regions in zip(labels, LABELS, strict=True):
        masks += [lambda i=image, n=n: i == n for n in range(1, n_regions + 1)]
    masks += [lambda t=tract: t >= THRESHOLD for tract in tracts]
    for mask in masks:
        inside = mask()
        diseased = inside & wmh
        lesions = np.unique(scene.lesions[diseased]).size
        measured.append((inside.sum() * voxel_mm3, diseased.sum() * voxel_mm3, lesions))
    for position, edges in (
        (deep, np.linspace(0, 1, 21)),
        (to_ventricle, np.arange(41.0)),
        (to_cortex, np.arange(41.0)),
    ):
        for part in (scene.white, wmh):
            np.histogram(position[part & np.isfinite(position)], edges)
    for tract in tracts:
        # weighted by probability
        float(tract.sum()), float(tract[wmh].sum())
    return measured


def dipy_tensors(signals: np.ndarray, gradients: Gradients) -> list[np.ndarray]:
    """FA, MD, AD and RD of each voxel by dipy's weighted least squares."""
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import TensorModel

    table = gradient_table(gradients.bvals, bvecs=gradients.vectors, b0_threshold=50)
    fit = TensorModel(table, fit_method="WLS").fit(signals)
    return [fit.fa, fit.md, fit.ad, fit.rd]
