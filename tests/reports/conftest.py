"""A small made-up visit: a box-shaped brain with two ventricles and lesions at known places."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from wmhflow.bids.query import FoundFile
from wmhflow.bids.writer import table_text, write_text
from wmhflow.files.images import make_image
from wmhflow.files.itk import write_itk_affine
from wmhflow.labels.regions import load_regions
from wmhflow.plan.visit import Decision, Given, MapPlan, ParticipantPlan, VisitPlan
from wmhflow.products.columns import (
    ACUTE,
    ASYMMETRY,
    CONTRASTS,
    CURVES,
    LESION_MAPS,
    LESIONS,
    LOAD,
    METABOLITES,
    PENUMBRA,
    PROFILES,
    QC,
    SPECTRA,
    VOLUMES,
    names,
)
from wmhflow.products.product import Image, Table
from wmhflow.products.visit import visit_unit
from wmhflow.registries.maps import MapDefinition
from wmhflow.reports.context import VisitContext
from wmhflow.settings import Anatomy, Settings

SHAPE, SPACING = (40, 48, 30), (4.0, 4.0, 5.0)
AFFINE = np.array([[4.0, 0, 0, -78], [0, 4.0, 0, -94], [0, 0, 5.0, -70], [0, 0, 0, 1]])


@dataclass
class World:
    """Where the made-up visit lies, and how to change it before the report is written."""

    settings: Settings
    folder: Path
    visit: VisitPlan
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    to_the_left: bool = False  # whether images are stored from right to left
    more_volumes: list[dict[str, object]] = field(default_factory=list)
    more_tables: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    @property
    def plan(self) -> ParticipantPlan:
        return ParticipantPlan(self.visit.subject, (self.visit,))

    def saved(self) -> VisitContext:
        self.save()
        return VisitContext(self.settings, self.visit)

    def _stored(self, data: np.ndarray):
        if not self.to_the_left:
            return make_image(data, AFFINE)
        turned = AFFINE @ np.diag([-1.0, 1, 1, 1])
        turned[0, 3] = AFFINE[0, 3] + (SHAPE[0] - 1) * AFFINE[0, 0]
        return make_image(np.ascontiguousarray(data[::-1]), turned)

    def save(self) -> None:
        out = self.settings.output_dir
        unit = visit_unit(self.visit, self.settings)
        for key, path in ((key, unit.path(key)) for key in unit.of(Image)):
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            data = self.arrays.get(key, np.zeros(SHAPE, dtype=np.float32))
            self._stored(data).to_filename(out / path)
        for key, path in ((key, unit.path(key)) for key in unit.of(Table)):
            columns, rows = self._tables()[key.removeprefix("table_")]
            write_text(out / path, table_text(columns, rows))

    def _tables(self):
        lesion = {
            "index": 1,
            "volume_mm3": 160.0,
            "x": -30.0,
            "hemisphere": "L",
            "continuity": "PV",
        }
        lesions = [lesion] if self.arrays["mask_WMH"].any() else []
        regions = [
            {"seg": seg, "index": r.index, "name": r.name, "hemisphere": r.hemisphere}
            | {"volume_mm3": 1000.0 * r.index, "wmh_volume_mm3": 80.0, "wmh_fraction": 0.25}
            for seg in ("tissue", "zones")
            for r in load_regions(seg).values()
        ]
        quality = [
            {"metric": "brain_volume_mm3", "value": 1e6, "verdict": "ok"},
            {"metric": "n_lesions", "value": 1, "verdict": "info"},
            {"metric": "wmh_asymmetry", "value": 0.9, "low": -0.6, "high": 0.6, "verdict": "check"},
        ]
        profile = [
            {"map": entry.name, "lesion_class": "all", "shell": shell, "distance_mean": where}
            | {"n_effective": 40.0, "mean": 0.3 + where / 100, "sd": 0.05}
            for entry in self.visit.maps
            for shell, where in (("-1", -1.5), ("1", 1.5), ("2", 3.5), ("rest", 22.0))
        ]
        penumbra = [
            {"map": entry.name, "lesion_class": "all", "width_mm": 4.2, "model": "hinge"}
            for entry in self.visit.maps
        ]
        curves = [
            {"map": entry.name, "lesion_class": "all", "distance_lo": where, "distance_hi": where}
            | {"curve": 0.3 + where / 100, "curve_lo": 0.3, "curve_hi": 0.4}
            for entry in self.visit.maps
            for where in (1.5, 3.5)
        ]
        return {
            "lesions": (names(LESIONS), lesions),
            "volumes": (names(VOLUMES), [*regions, *self.more_volumes]),
            "qc": (names(QC), quality),
            "load": (names(LOAD), []),
            "asymmetry": (names(ASYMMETRY), []),
            "contrasts": (names(CONTRASTS), []),
            "lesionmaps": (names(LESION_MAPS), []),
            "maps": (["seg"], []),
            "profiles": (names(PROFILES), profile),
            "penumbra": (names(PENUMBRA), penumbra),
            "curves": (names(CURVES), curves),
            "weighted": (["seg"], []),
        } | {
            key: (names(columns), self.more_tables.get(key, []))
            for key, columns in (("acute", ACUTE), ("mrs", SPECTRA), ("metabolites", METABOLITES))
        }


def found(path: Path, **entities: str) -> FoundFile:
    return FoundFile(path, entities, "raw", path.parent)


def made_up_arrays() -> dict[str, np.ndarray]:
    brain = np.zeros(SHAPE, dtype=bool)
    brain[6:34, 6:42, 5:26] = True
    ventricles = np.zeros(SHAPE, dtype=bool)
    ventricles[16:19, 18:30, 13:17] = ventricles[21:24, 18:30, 13:17] = True
    wmh = np.zeros(SHAPE, dtype=bool)
    wmh[12:15, 20:24, 14:16] = True  # the left side: small x
    wmh[28, 33, 20] = True
    tissue = np.where(brain, 15, 0).astype(np.uint8)
    tissue[20:][brain[20:]] = 25
    tissue[ventricles], tissue[wmh] = 12, 16
    image = brain * 50.0 + wmh * 60.0 - ventricles * 45.0
    return {
        "preproc_T1w": image.astype(np.float32),
        "preproc_FLAIR": image.astype(np.float32),
        "mask_brain": brain,
        "mask_WMH": wmh,
        "mask_ventricles": ventricles,
        "seg_tissue": tissue,
        "seg_zones": np.where(brain & ~ventricles, 12, 0).astype(np.uint8),
        "seg_shells": np.where(wmh, 1151, np.where(brain, 1101, 0)).astype(np.int16),
    }


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A person with T1w, FLAIR, one map and a given template transform."""
    inputs = tmp_path / "in"
    inputs.mkdir()
    arrays = made_up_arrays()
    map_path = inputs / "sub-01_<script>alert(1)</script>&\"'_FA.nii.gz".replace("/", "_")
    make_image(arrays["preproc_T1w"] / 200, AFFINE).to_filename(map_path)
    make_image(arrays["preproc_FLAIR"], AFFINE).to_filename(inputs / "sub-01_FLAIR.nii.gz")
    xfm = found(Path(write_itk_affine(np.eye(4), inputs / "xfm.txt")))
    definition = MapDefinition("FA", "1", (0.0, 1.0), {"suffix": "FA"})
    visit = VisitPlan(
        "01",
        None,
        t1w=found(inputs / "sub-01_T1w.nii.gz"),
        flair=found(inputs / "sub-01_FLAIR.nii.gz"),
        other_transform=Given(xfm),
        forward=Given(xfm),
        inverse=Given(xfm),
        maps=(MapPlan(definition, Given(found(map_path)), Given(xfm)),),
        decisions=(Decision("FA", "found", f"{map_path.name}, aligned by xfm.txt"),),
    )
    settings = Settings(tmp_path, tmp_path / "out", "participant", anatomy=Anatomy())
    return World(settings, tmp_path, visit, arrays)
