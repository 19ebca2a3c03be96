"""The program's own steps from raw images to masks, timed, without the rest of the graph."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from wmhflow.interfaces.anatomy import PrepareImage, WarpPriors
from wmhflow.interfaces.registration import RigidRegistration
from wmhflow.interfaces.segmentation import (
    BrainExtraction,
    TemplatePriors,
    TissueSegmentation,
    WMHSegmentation,
)
from wmhflow.interfaces.warp import TemplateRegistration, TemplateRegistrationAgain
from wmhflow.workflows.anatomy import LESION_PRIORS, PRIORS, TEMPLATE_FILES

BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "data"
DATA = Path(os.environ.get("WMHFLOW_DATA", BESIDE))
N_PROCESSES = 2
SEED = 20080324


@dataclass(frozen=True)
class _Aligned:
    """A FLAIR on its own grid, and its transform from the reference."""

    own: str
    transform: str | None


@dataclass
class Chain:
    """One person's images on their way to masks; `seconds` holds the time of each step."""

    folder: Path
    t1w: Path | None
    flair: Path
    seconds: dict[str, float] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    aligned: _Aligned = field(init=False)

    def step(self, name: str, interface: type, **inputs: Any) -> Any:
        """Run an interface in a folder of its own and remember its time."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        given = {key: value for key, value in inputs.items() if value is not None}
        start = time.perf_counter()
        outputs = interface(**given).run(cwd=str(folder)).outputs
        self.seconds[name] = time.perf_counter() - start
        return outputs

    def to_template(self) -> None:
        """Find the brain in the reference and register it to the template."""
        priors = self.step("priors", TemplatePriors)
        self.files |= {f"template_{name}": getattr(priors, name) for name in TEMPLATE_FILES}
        source = self.t1w or self.flair
        reference = self.step("reference", PrepareImage, in_file=str(source)).out_file
        common = {"seed": SEED, "template_mask": self.files["template_brain_mask"]}
        self.files["reference"] = reference
        self.aligned = self._aligned()
        brain = self.step(
            "brain", BrainExtraction, image=reference, template_t1w=self.files["template_t1w"],
            other=self.aligned.own if self.aligned.transform else None,
            other_transform=self.aligned.transform, **common,
        ).brain_mask  # fmt: skip
        self.files["brain"] = brain
        template = self.step(
            "template", TemplateRegistration, reference=reference, brain_mask=brain,
            template=self.files["template_t1w"], **common,
        )  # fmt: skip
        self.files |= {name: getattr(template, name) for name in ("forward", "inverse", "affine")}
        self.metrics = template.metrics

    def to_template_again(self) -> None:
        """Register to the template anew with the WMH filled, as the program does from 5 ml on."""
        again = self.step(
            "template_again", TemplateRegistrationAgain, reference=self.files["reference"],
            brain_mask=self.files["brain"], template=self.files["template_t1w"],
            template_mask=self.files["template_brain_mask"], wmh=self.files["wmh"],
            metrics=self.metrics, seed=SEED,
            **{name: self.files[name] for name in ("forward", "inverse", "affine")},
        )  # fmt: skip
        self.files |= {"forward": again.forward, "inverse": again.inverse}
        self.metrics = again.metrics

    def _aligned(self) -> _Aligned:
        """Bring the FLAIR to the reference, which it is itself where there is no T1w."""
        reference = self.files["reference"]
        if self.t1w is None:
            return _Aligned(reference, None)
        moving = self.step("flair", PrepareImage, in_file=str(self.flair)).out_file
        found = self.step("rigid", RigidRegistration, fixed=reference, moving=moving, seed=SEED)
        return _Aligned(moving, found.transform)

    def to_wmh(self) -> Path:
        """Segment the FLAIR; return the mask."""
        aligned = self.aligned
        found = self.step(
            "wmh", WMHSegmentation, flair=aligned.own, reference=self.files["reference"],
            reference_name="T1w" if self.t1w else "FLAIR", other_transform=aligned.transform,
            t1w=self.files["reference"] if self.t1w else None, brain_mask=self.files["brain"],
            inverse=self.files["inverse"],
            **{prior: self.files[f"template_{prior}"] for prior in LESION_PRIORS},
        )  # fmt: skip
        self.files["wmh"] = found.mask
        return Path(found.mask)

    def to_tissues(self) -> tuple[Path, Path]:
        """Segment tissues around the WMH; return labels and ventricles."""
        warped = self.step(
            "warped", WarpPriors, brain_mask=self.files["brain"], inverse=self.files["inverse"],
            **{prior: self.files[f"template_{prior}"] for prior in PRIORS},
        )  # fmt: skip
        found = self.step(
            "tissues", TissueSegmentation, image=self.files["reference"],
            brain_mask=self.files["brain"], lesion_mask=self.files["wmh"], seed=SEED,
            **{prior: getattr(warped, prior) for prior in (*PRIORS, "hemispheres")},
        )  # fmt: skip
        return Path(found.tissue), Path(found.ventricles)


def on_all_cores(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Do independent work in processes of one ITK thread each."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    with ProcessPoolExecutor(N_PROCESSES) as pool:
        return list(pool.map(work, items))


def array(path: Path | str) -> NDArray[Any]:
    """Load an image's values."""
    return np.asanyarray(nib.load(path).dataobj)


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return twice the overlap over the sum; 1 for two empty masks."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0
