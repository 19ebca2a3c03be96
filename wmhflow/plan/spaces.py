"""Where an image lies by its name: what space-T1w and others mean in the dataset it comes from.

``space-T1w`` is a promise about the T1w of the image's own dataset. That is the visit's raw T1w in
most datasets, and not in those of a person with several visits, whose T1w is one for all of them,
nor in those of QSIPrep before version 1.0, whose T1w is turned to AC-PC.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from wmhflow.bids.query import IMAGE_EXTENSIONS, FoundFile, Query
from wmhflow.bids.writer import read_object
from wmhflow.errors import InputError
from wmhflow.files.fields import foreign_field, is_field_image
from wmhflow.files.transforms import TRANSFORM_EXTENSIONS
from wmhflow.registries.spaces import (
    ACPC,
    ANAT,
    FLAIR,
    OWN,
    SCAN,
    T1W,
    family_of,
    kind_of_space,
    labels_of,
)

DESCRIPTION = "dataset_description.json"
ORIG = "orig"
POINTS = "points"
OF_POINTS = "it moves points, which for images is the other direction; give mode-image"
ANATOMICAL_SUFFIXES = ("T1w", "T2w", "FLAIR", "mask", "dseg", "probseg")
TRANSFORMS = {"suffix": "xfm", "extension": list(TRANSFORM_EXTENSIONS)}


@dataclass(frozen=True)
class Frame:
    """A place that images lie in: of a kind, and, if it is not a raw image's, of some datasets."""

    kind: str
    family: str = ""


RAW = {"T1w": Frame(T1W), "FLAIR": Frame(FLAIR)}
OF_SCAN = Frame(SCAN)


@dataclass
class Spaces:
    """What names of spaces mean for one visit, by dataset.

    Attributes
    ----------
    query
        The run's.
    subject, session
        Labels without prefix.
    """

    query: Query
    subject: str
    session: str | None
    _families: dict[str, str] = field(default_factory=dict)
    _of_families: dict[str, list[FoundFile]] = field(default_factory=dict)
    _why_not_raw: dict[str, str | None] = field(default_factory=dict)
    _acpc_t1w: dict[str, bool] = field(default_factory=dict)

    @cached_property
    def transforms(self) -> list[FoundFile]:
        """All transforms of the person that can be used, also those of other visits."""
        return [file for file in self._found if file.path not in self.foreign]

    @cached_property
    def foreign(self) -> Mapping[Path, str]:
        """Why transforms are not used: of points, or no field of ITK and beside another transform.

        Such a field that stands alone is refused by name where it is needed.
        """
        found = {file.path: OF_POINTS for file in self._found if file.get("mode") == POINTS}
        for file in self._found:
            if file.path not in found and is_field_image(file.path):
                why = _foreign(file.path)
                beside = (other for other in self._found if other.path not in {file.path, *found})
                if why and any(_ends(other) == _ends(file) for other in beside):
                    found[file.path] = f"it {why}"
        return found

    @cached_property
    def _found(self) -> list[FoundFile]:
        return self.query.derived("transform", self.subject, **TRANSFORMS)

    @cached_property
    def labels(self) -> frozenset[str]:
        """What the two ends of these transforms are called."""
        return frozenset(str(file.get(end)) for file in self.transforms for end in ("from", "to"))

    @cached_property
    def families_with_scans(self) -> frozenset[str]:
        """The families of these transforms, of datasets that hold scans themselves."""
        return frozenset(
            self.family(file) for file in self.transforms if file.root in self.with_scans
        )

    @cached_property
    def _all_transforms(self) -> list[FoundFile]:
        """Those that a filter leaves out as well: what T1w means does not hang on a filter."""
        return self.query.derived("", self.subject, **TRANSFORMS)

    @cached_property
    def with_images(self) -> frozenset[Path]:
        """The folders of datasets that hold images of the person, and not transforms alone."""
        return frozenset(file.root for file in self._images)

    @cached_property
    def with_scans(self) -> frozenset[Path]:
        """Those that hold more than anatomical images: maps, or scans that maps are made from."""
        return frozenset(
            file.root for file in self._images if file.get("suffix") not in ANATOMICAL_SUFFIXES
        )

    @cached_property
    def _images(self) -> list[FoundFile]:
        files = self.query.derived("", self.subject)
        return [
            file
            for file in files
            if file.get("extension") in IMAGE_EXTENSIONS
            and file.get("suffix") != TRANSFORMS["suffix"]
        ]

    def family(self, file: FoundFile) -> str:
        """Name what datasets share that were written for each other; most stand alone."""
        found = self._families.get(file.folder)
        if found is None:
            known = (family_of(program) for program in self.programs(file))
            found = next((family.programs[0] for family in known if family), str(file.root))
            self._families[file.folder] = found
        return found

    def programs(self, file: FoundFile) -> tuple[str, ...]:
        """Name the programs that wrote a file's dataset, as versions of BIDS say it."""
        return tuple(_programs(self._description(_description_of(file))))

    def _description(self, path: Path) -> Mapping[str, object]:
        """Read a dataset's description; it is the same for everybody, unless there is none."""
        known = self.query.known
        found: Mapping[str, object] | None = known.get(path)
        if found is None:
            found = read_object(path)
            if found:
                known[path] = found
        return found

    def frame(self, label: str | None, file: FoundFile, family: str | None = None) -> Frame | None:
        """Return the place that a label means in a file's name; None if it is none that is used.

        Parameters
        ----------
        label
            After ``space-``, ``from-`` or ``to-``.
        file
            The image or transform.
        family
            Of whose dataset the label speaks, if not of the file's.
        """
        kind = kind_of_space(label)
        if kind is None:
            return None
        if kind in {SCAN, OWN}:
            return OF_SCAN
        if kind == FLAIR:
            return RAW["FLAIR"]
        family = family or self.family(file)
        if kind == ACPC or (kind == T1W and self._calls_acpc_t1w(family)):
            return Frame(ACPC, family)
        return RAW["T1w"] if self.why_not_raw(family) is None else Frame(ANAT, family)

    def of_image(self, file: FoundFile) -> Frame | None:
        """Return the place in which an image says that it lies."""
        return self.frame(file.get("space"), file)

    def _of_family(self, family: str) -> list[FoundFile]:
        if family not in self._of_families:
            found = [file for file in self._all_transforms if self.family(file) == family]
            self._of_families[family] = found
        return self._of_families[family]

    def _calls_acpc_t1w(self, family: str) -> bool:
        """Tell whether datasets call their AC-PC aligned image T1w."""
        if family not in self._acpc_t1w:
            self._acpc_t1w[family] = self._seen_to_call_acpc_t1w(family)
        return self._acpc_t1w[family]

    def _seen_to_call_acpc_t1w(self, family: str) -> bool:
        ends = [{str(file.get("from")), str(file.get("to"))} for file in self._of_family(family)]
        turned, plain = set(labels_of(ACPC)), set(labels_of(T1W))
        if any(end & turned and end & plain for end in ends):
            return False
        known = family_of(family)
        return (known is not None and known.t1w == ACPC) or any("T1wACPC" in end for end in ends)

    def why_not_raw(self, family: str) -> str | None:
        """Say why the anatomical image of datasets is not the visit's raw T1w; None if it is.

        Parameters
        ----------
        family
            As :meth:`family` names it.
        """
        if family not in self._why_not_raw:
            self._why_not_raw[family] = self._seen_not_raw(family)
        return self._why_not_raw[family]

    def _seen_not_raw(self, family: str) -> str | None:
        anatomical = {*labels_of(T1W), *labels_of(ANAT)}
        mine = self._of_family(family)
        if any(file.get("from") == ORIG and file.get("to") in anatomical for file in mine):
            return "the T1w of its dataset is another than the raw one (from-orig leads to it)"
        raw = self.query.raw_images("", self.subject, suffix="T1w")
        if len({file.get("session") for file in raw}) < 2:
            return None
        images = self.query.derived("", self.subject, suffix="T1w")
        own = [file for file in images if self.family(file) == family]
        if any(file.get("session") == self.session for file in own):
            return None
        ends = [file for file in mine if anatomical & {file.get("from"), file.get("to")}]
        if any(file.get("session") is None for file in (*own, *ends)):
            return "the T1w of its dataset is the person's, one for all visits"
        return None

    def whose(self, file: FoundFile) -> str | None:
        """Say why what a file calls T1w is not the visit's raw T1w; None if it is."""
        family = self.family(file)
        if self._calls_acpc_t1w(family):
            return "the T1w of its dataset is AC-PC aligned (QSIPrep before 1.0)"
        return self.why_not_raw(family)


def _ends(file: FoundFile) -> tuple[object, object]:
    return file.get("from"), file.get("to")


def _foreign(path: Path) -> str | None:
    """Say why an image is no field of ITK; one that cannot be read is none, either."""
    try:
        return foreign_field(path)
    except InputError as error:
        return f"cannot be read ({error})"


def _description_of(file: FoundFile) -> Path:
    """Find the description of the dataset that a file lies in: the nearest one above it."""
    root, folder = str(file.root), file.folder
    # texts rather than paths: this is asked of every folder of a person
    while folder != root and folder != os.path.dirname(folder):  # noqa: PTH120
        description = f"{folder}/{DESCRIPTION}"
        if os.path.isfile(description):  # noqa: PTH113
            return Path(description)
        folder = os.path.dirname(folder)  # noqa: PTH120
    return file.root / DESCRIPTION


def _programs(description: Mapping[str, object]) -> Iterator[str]:
    """Name the programs that wrote a dataset, as versions of BIDS say it."""
    for key in ("GeneratedBy", "PipelineDescription"):
        value = description.get(key)
        for entry in value if isinstance(value, list) else [value]:
            name = entry.get("Name") if isinstance(entry, dict) else None
            if isinstance(name, str):
                yield name
