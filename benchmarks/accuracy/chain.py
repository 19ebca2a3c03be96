"""The program's own steps from raw images to masks, timed, without the rest of the graph."""

from __future__ import annotations

import inspect
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

from wmhflow.core.space.grids import Grid3D
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.template import Template
from wmhflow.steps.images import find_template, prepare_image
from wmhflow.steps.kinds import LabelImage, MaskImage, Space
from wmhflow.steps.lesions import find_lesions
from wmhflow.steps.registration import (
    FirstWarp,
    Warp,
    align_rigidly,
    warp_again,
    warp_to_template,
)
from wmhflow.steps.tissue import find_brain, label_tissues, share_brain, warp_priors

BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "data"
DATA = Path(os.environ.get("WMHFLOW_DATA", BESIDE))
N_PROCESSES = 2
SEED = 20080324


@dataclass(frozen=True)
class _Aligned:
    """A FLAIR on its own grid, and its transform from the reference."""

    own: Grid3D
    transform: Path | None


@dataclass
class Chain:
    """One person's images on their way to masks; `seconds` holds the time of each step.

    `wmh`, `tissue` and `ventricles` are there once they are made. Where the images lie `together`
    they are not aligned.
    """

    folder: Path
    t1w: Path | None
    flair: Path
    together: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    template: Template = field(init=False)
    reference: Grid3D = field(init=False)
    aligned: _Aligned = field(init=False)
    brain: MaskImage = field(init=False)
    first_warp: FirstWarp = field(init=False)
    warp: FirstWarp | Warp = field(init=False)
    wmh: MaskImage = field(init=False)

    def step(self, name: str, function: Callable[..., Any], **inputs: Any) -> Any:
        """Carry out a step, in a folder of its own if it needs one, and remember its time."""
        if "folder" in inspect.signature(function).parameters:
            inputs["folder"] = self.folder / name
            inputs["folder"].mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        found = function(**inputs)
        self.seconds[name] = time.perf_counter() - start
        return found

    @property
    def source(self) -> str:
        """The reference's file."""
        return str(self.t1w or self.flair)

    def to_template(self) -> None:
        """Find the brain in the reference and register it to the template."""
        self.template = self.step("template", find_template).template
        self.reference = self.step("reference", prepare_image, in_file=Path(self.source)).image
        self.aligned = self._aligned()
        moved = self.aligned.transform is not None
        self.brain = self.step(
            "brain", find_brain, image=self.reference, template=self.template, seed=SEED,
            source=self.source, check=not moved,
        ).brain_mask  # fmt: skip
        if moved:
            self.brain = self.step(
                "shared_brain", share_brain, image=self.reference, brain_mask=self.brain,
                source=self.source, other=self.aligned.own, other_transform=self.aligned.transform,
            ).brain_mask  # fmt: skip
        self.first_warp = self.warp = self.registered("template_registration")

    def registered(self, name: str, seed: int = SEED, **masks: MaskImage) -> FirstWarp:
        """Register the reference to the template: with other lesions, or with another seed."""
        found: FirstWarp = self.step(
            name, warp_to_template, reference=self.reference, brain_mask=self.brain,
            template=self.template, seed=seed, source=self.source, **masks,
        )  # fmt: skip
        return found

    def to_template_again(self) -> None:
        """Register to the template anew with the WMH filled, as the program does from 5 ml on."""
        self.warp = self.step(
            "template_again", warp_again, reference=self.reference, brain_mask=self.brain,
            template=self.template, wmh=self.wmh, seed=SEED, source=self.source,
            **self.first_warp._asdict(),
        )  # fmt: skip

    def _aligned(self) -> _Aligned:
        """Bring the FLAIR to the reference, which it is itself where there is no T1w."""
        if self.t1w is None:
            return _Aligned(self.reference, None)
        moving = self.step("flair", prepare_image, in_file=self.flair).image
        if self.together:
            still = write_itk_affine(np.eye(4), self.folder / "still.txt")
            return _Aligned(moving, Path(still))
        found = self.step(
            "rigid", align_rigidly, fixed=self.reference, moving=moving, quality="flag",
            moving_name=str(self.flair), fixed_name=str(self.t1w), seed=SEED,
        )  # fmt: skip
        return _Aligned(moving, found.transform)

    def to_wmh(self) -> NDArray[np.bool_]:
        """Segment the FLAIR; return the mask."""
        self.wmh = self.step(
            "wmh", find_lesions, flair=self.aligned.own,
            reference=Space(self.reference.data.shape, self.reference.affine),
            brain_mask=self.brain, reference_name="T1w" if self.t1w else "FLAIR",
            template=self.template, inverse=self.warp.inverse, source=str(self.flair),
            t1w=self.reference if self.t1w else None, other_transform=self.aligned.transform,
        ).mask  # fmt: skip
        return self.wmh.data

    def to_tissues(self) -> tuple[LabelImage, MaskImage]:
        """Segment tissues around the WMH; return labels and ventricles."""
        warped = self.step(
            "warped", warp_priors, brain_mask=self.brain, template=self.template,
            inverse=self.warp.inverse,
        )  # fmt: skip
        found = self.step(
            "tissues", label_tissues, image=self.reference, brain_mask=self.brain,
            lesion_mask=self.wmh, source=self.source, **warped._asdict(),
        )  # fmt: skip
        return found.tissue, found.ventricles


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
