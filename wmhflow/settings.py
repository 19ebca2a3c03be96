"""Every option of the program, once: a frozen tree of dataclasses.

The command line (:mod:`wmhflow.cli.parser`), the TOML file of ``--config-file`` and the options
table of the documentation are all made from this tree, so that they cannot disagree.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from wmhflow.errors import UsageError
from wmhflow.labels.digits import MOST_SHELLS
from wmhflow.labels.edges import DEFAULT_MAX_MM, DEFAULT_WIDTH_MM, has_whole_shells, shell_count
from wmhflow.labels.schemes import DEFAULT_SCHEME, scheme_names
from wmhflow.registries.executors import executor_names
from wmhflow.registries.mask_labels import find_mask_labels
from wmhflow.registries.reading import path_of, read_given
from wmhflow.registries.segmenters import find_segmenter, load_segmenters, segmenters_like
from wmhflow.registries.tracers import reference_names
from wmhflow.registries.units import parse_unit

LEVELS = ("participant", "group")
LESION_RULES = ("continuity", "majority")
MOST_LAYERS = 8
ACUTE_SOURCES = ("given", "dwi")
ZERO_KINDS = ("auto", "data", "missing")
FORMS = ("sform", "qform")
TENSOR_FITS = ("wls", "robust")
# A step has so many threads, if there are as many processors, even where as many steps as
# processors may run: near a person's end, and while images are registered, one step runs alone.
LEAST_THREADS = 4
# The kinds of input that --bids-filter-file can narrow.
FILTER_KINDS = (
    "t1w", "flair", "wmh", "infarct", "acute", "haemorrhage", "oedema", "perivascular",
    "parcellation", "transform", "map", "series",
)  # fmt: skip


@dataclass(frozen=True)
class NamedPath:
    """A derivative dataset as given on the command line: a short name and a folder."""

    name: str
    path: Path

    @classmethod
    def parse(cls, text: str) -> NamedPath:
        """Read ``NAME=PATH`` or ``PATH`` (then the folder's own name is its name).

        Examples
        --------
        >>> NamedPath.parse("lesions=/data/masks").name
        'lesions'
        >>> NamedPath.parse("/data/maps").name
        'maps'
        """
        name, equals, folder = text.partition("=")
        if not equals:
            name, folder = Path(text).name, text
        if not name.replace("-", "").replace("_", "").isalnum() or not folder:
            raise ValueError(f"'{text}' is not NAME=PATH (a name of letters, digits, - and _)")
        return cls(name, path_of(folder))


# How ANTs writes that the inverse of a transform is meant.
INVERTED = re.compile(r"\[(.+),\s*1\]")


@dataclass(frozen=True)
class NamedTransform:
    """A transform of a map, or of the T1w or FLAIR, as given on the command line.

    Attributes
    ----------
    name
        The image that it brings to the reference.
    pattern
        Its path, in which ``{subject}`` and ``{session}`` stand for labels.
    inverted
        Whether its inverse is meant.
    """

    name: str
    pattern: str
    inverted: bool = False

    @classmethod
    def parse(cls, text: str) -> NamedTransform:
        """Read ``NAME=PATH``, or ``NAME=[PATH,1]`` where the inverse is meant, as ANTs writes it.

        Examples
        --------
        >>> NamedTransform.parse("FA=[/x/sub-{subject}_0GenericAffine.mat,1]").inverted
        True
        >>> NamedTransform.parse("FA=/x.txt").of_visit("01", None).name
        'x.txt'
        """
        name, equals, path = text.partition("=")
        back = INVERTED.fullmatch(path)
        pattern = back[1] if back else path
        if not equals or not name.isalnum() or not pattern or pattern.startswith("["):
            raise ValueError(
                f"'{text}' is not NAME=PATH or NAME=[PATH,1] (NAME: a map, T1w, FLAIR)"
            )
        left = re.sub(r"\{(subject|session)\}", "", pattern)
        if "{" in left or "}" in left or "\0" in left:
            raise ValueError(f"'{text}': only {{subject}} and {{session}} can stand in braces")
        # unlike pathlib's, this leaves ".." and links as they are
        whole = os.path.join(Path.cwd(), path_of(pattern))  # noqa: PTH118
        return cls(name, whole, back is not None)

    def of_visit(self, subject: str, session: str | None) -> Path:
        """Return the path of one visit's file; ``{session}`` is empty where there is none."""
        filled = self.pattern.replace("{subject}", subject)
        return Path(filled.replace("{session}", session or ""))

    @property
    def folder(self) -> Path:
        """The folder that all persons' files share."""
        return Path(self.pattern.partition("{")[0] + "x").parent

    @property
    def dataset(self) -> str:
        """How records and sidecars name the folder."""
        return f"transform-{self.name}"


@dataclass(frozen=True)
class Bounds:
    """The numbers that an option takes; it reads one from text.

    Attributes
    ----------
    kind
        ``int`` or ``float``.
    low, high
        The smallest and the largest that can be meant, both of them allowed.
    unit
        What is counted, for messages.
    """

    kind: type[int] | type[float]
    low: float
    high: float
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.low:.10g} to {self.high:.10g}{self.unit and f' {self.unit}'}"

    @property
    def in_words(self) -> str:
        """Both edges, for sentences."""
        unit = self.unit and f" {self.unit}"
        return f"at least {self.low:.10g} and at most {self.high:.10g}{unit}"

    def __call__(self, text: str) -> Any:
        """Read a number.

        Raises
        ------
        ValueError
            If it is none, or lies outside; NaN and infinity do.

        Examples
        --------
        >>> Bounds(int, 1, 8)("4")
        4
        """
        try:
            # Python reads 1_0 as 10, and digits of all scripts
            number = self.kind(text) if text.isascii() and "_" not in text else None
        except ValueError:
            number = None
        if number is None or not self.holds(number):
            shown = text if len(text) <= 40 else f"{text[:40]}…"
            what = "a whole number" if self.kind is int else "a number"
            raise ValueError(f"'{shown}' cannot be meant; give {what} of {self.in_words}")
        return number

    def holds(self, number: float) -> bool:
        """Tell whether a number lies inside; NaN does not.

        Examples
        --------
        >>> [Bounds(int, 1, 8).holds(number) for number in (1, 9, float("nan"))]
        [True, False, False]
        """
        return self.low <= number <= self.high


# Far below a voxel no shell holds any, and no point of a head is farther from another than 500 mm.
MILLIMETRES = Bounds(float, 0.01, 500, "mm")
# Probabilities of atlases are kept in steps of 1/128.
SHARE = Bounds(float, 0.001, 1)
# The largest machines have some hundred processors; more would only make processes that wait.
PROCESSORS = Bounds(int, 1, 1024)
MEMORY_GB = Bounds(float, 0.5, 100_000, "GB")


# Nobody is scanned a day after injection.
LONGEST_SCAN_MIN = 1440.0
# A hundred days: no site lets a job run longer.
MINUTES = Bounds(int, 1, 144_000, "minutes")


def minutes_of(text: str) -> int:
    """Read a time limit: minutes, ``H:MM:SS``, or days and hours as ``D-HH:MM:SS``.

    Raises
    ------
    ValueError
        If it is none of these. Two numbers alone are refused: some schedulers take them for minutes
        and seconds, others for hours and minutes.

    Examples
    --------
    >>> minutes_of("90"), minutes_of("1:30:00"), minutes_of("2-00:00:30")
    (90, 90, 2881)
    """
    if re.fullmatch(r"[0-9]+", text):
        return int(MINUTES(text))
    found = re.fullmatch(
        r"(?:(?P<d>[0-9]+)-)?(?P<h>[0-9]+):(?P<m>[0-5]?[0-9]):(?P<s>[0-5]?[0-9])", text
    )
    if found is None:
        raise ValueError(f"'{text[:40]}' is no time limit; write minutes, H:MM:SS or D-HH:MM:SS")
    days, hours, minutes, seconds = (int(found[name] or 0) for name in "dhms")
    return int(MINUTES(str((days * 24 + hours) * 60 + minutes + (seconds > 0))))


def _directive(text: str) -> str:
    # a second line would be a command of its own in the script
    if not text.startswith("-") or not text.isprintable():
        raise ValueError(f"'{text[:40]}' is no option of a scheduler; write it as '--qos=long'")
    return text


def _word(text: str) -> str:
    if not re.fullmatch(r"[\w.@:,+-]+", text):
        raise ValueError(f"'{text[:40]}' is no name that a scheduler knows")
    return text


def _pair(text: str) -> tuple[str, str]:
    one, colon, other = text.partition(":")
    if not colon or not one.isalnum() or not other.isalnum() or one == other:
        raise ValueError(f"'{text}' is not ONE:OTHER, two label images such as zones:lobes")
    return one, other


def _unit_of(text: str) -> tuple[str, str]:
    name, equals, unit = text.partition("=")
    if not equals or not name.isalnum() or not unit.strip():
        raise ValueError(f"'{text}' is not MAP=UNIT, a map's name and a unit such as Chimap=ppb")
    try:
        parse_unit(unit)
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from None
    return name, unit.strip()


def _window(text: str) -> tuple[float, float]:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)-([0-9]+(?:\.[0-9]+)?)", text)
    if found is None or not float(found[1]) < float(found[2]) <= LONGEST_SCAN_MIN:
        raise ValueError(f"'{text[:40]}' is not LO-HI, two times in minutes such as 50-70")
    return float(found[1]), float(found[2])


def _atlas(text: str) -> str:
    name, equals, path = text.partition("=")
    if not (name.isascii() and name.isalnum()) or (equals and not path):
        raise ValueError(f"'{text}' is not NAME or NAME=PATH (a name of letters and digits)")
    return f"{name}={path_of(path)}" if equals else text


def _image(text: str) -> str:
    if not text:
        raise ValueError("the image's name is empty; give one")
    # steps run in folders of their own, where a relative path would mean something else
    is_path = text.startswith(("/", ".", "~")) or text.endswith((".sif", ".simg"))
    if not is_path or "://" in text:
        return text
    return str(path_of(text).absolute())


def _subject(text: str) -> str:
    return text.removeprefix("sub-")


def _session(text: str) -> str:
    return text.removeprefix("ses-")


@dataclass(frozen=True)
class Option:
    """How one setting is written on the command line and explained to its users.

    ``choices`` that stand in a registry are a function, so that nothing is read until they are
    asked for.
    """

    flags: tuple[str, ...]
    help: str
    parse: Any = str
    choices: tuple[str, ...] | Callable[[], tuple[str, ...]] | None = None
    many: bool = False
    metavar: str | None = None
    count: bool = False

    @property
    def allowed(self) -> tuple[str, ...] | None:
        """The values that can be chosen; None if there is no list of them."""
        return self.choices() if callable(self.choices) else self.choices

    @property
    def bounds(self) -> Bounds | None:
        """The numbers that can be chosen; None if it takes no number."""
        return self.parse if isinstance(self.parse, Bounds) else None

    @property
    def explained(self) -> str:
        """The help, with the numbers that can be chosen."""
        return f"{self.help} ({self.bounds}.)" if self.bounds and not self.count else self.help


def option(default: Any, *flags: str, help: str, **how: Any) -> Any:  # noqa: A002
    """Declare a dataclass field that is an option of the program."""
    return field(default=default, metadata={"option": Option(flags, help, **how)})


@dataclass(frozen=True)
class Inputs:
    """What is read."""

    participant_label: tuple[str, ...] = option(
        (),
        "--participant-label",
        help="Persons to process, with or without 'sub-'. Default: all.",
        parse=_subject,
        many=True,
        metavar="LABEL",
    )
    session_label: tuple[str, ...] = option(
        (),
        "--session-label",
        help="Visits to process, with or without 'ses-'. Default: all.",
        parse=_session,
        many=True,
        metavar="LABEL",
    )
    derivatives: tuple[NamedPath, ...] = option(
        (),
        "-d",
        "--derivatives",
        help="Folders that hold masks, parcellations, transforms and maps: BIDS derivatives, a "
        "folder of such datasets, or what a known producer (FreeSurfer, LST-AI …) wrote as it is. "
        "What is found there is used as it is and never recomputed.",
        parse=NamedPath.parse,
        many=True,
        metavar="NAME=PATH",
    )
    maps: Path | None = option(
        None,
        "--maps",
        help="A TOML file of further quantitative maps, written like the program's own "
        "wmhflow/data/maps.toml; a map of the same name replaces the program's.",
        parse=path_of,
        metavar="FILE",
    )
    allow_raw_dwi: bool = option(
        False,
        "--allow-raw-dwi",
        help="Compute maps from a raw diffusion series, too. By default only one of a derivative "
        "dataset is used: one that was corrected for motion and distortion.",
    )
    no_compute: tuple[str, ...] = option(
        (),
        "--no-compute",
        help="Maps that are not computed although what they are computed from is there, "
        "e.g. Chimap T1wT2w.",
        many=True,
        metavar="MAP",
    )
    units: tuple[tuple[str, str], ...] = option(
        (),
        "--units",
        help="Units that maps have in tables and figures, e.g. Chimap=ppb MD=um^2/ms. "
        "Default: those of the registry of maps.",
        parse=_unit_of,
        many=True,
        metavar="MAP=UNIT",
    )
    tensor_fit: str = option(
        "wls",
        "--tensor-fit",
        help="How tensors are fitted to a diffusion series: by weighted least squares (wls), or in "
        "and around white matter by weights that leave out volumes that do not agree (robust), "
        "which takes minutes.",
        choices=TENSOR_FITS,
    )
    suvr_reference: str = option(
        "tracer",
        "--suvr-reference",
        help="The region that an SUVR computed here is relative to, of a parcellation with "
        "FreeSurfer's codes and without WMH and infarcts: the tracer's own (tracer: the pons for "
        "FDG, the grey matter of the cerebellum for amyloid and tau), or one for all tracers.",
        choices=reference_names,
    )
    suvr_window: tuple[float, float] | None = option(
        None,
        "--suvr-window",
        help="Minutes after injection of which an SUVR is computed from a PET of several frames, "
        "e.g. 50-70; frames that lie wholly within count. Default: the tracer's.",
        parse=_window,
        metavar="LO-HI",
    )
    bids_filter_file: Path | None = option(
        None,
        "--bids-filter-file",
        help="A JSON file of BIDS entities that narrow what is used, per kind of input (map.FA, "
        f"map.CBF … for one map, series.pet … for one series): {', '.join(FILTER_KINDS)}.",
        parse=path_of,
        metavar="FILE",
    )
    bids_database_dir: Path | None = option(
        None,
        "--bids-database-dir",
        help="A folder where the index of every dataset is kept and reused (by pybids); one that "
        "does not list just the files that a person has now is made again. "
        "Default: none is made; a person's folders are looked into when the person is planned.",
        parse=path_of,
        metavar="DIR",
    )
    transform: tuple[NamedTransform, ...] = option(
        (),
        "--transform",
        help="The transform of a map, or of the FLAIR or T1w, to the reference, whatever its name "
        "(ANTs' …0GenericAffine.mat): PATH leads from NAME to the reference, and [PATH,1] from the "
        "reference to NAME. {subject} and {session} in it stand for a visit's labels.",
        parse=NamedTransform.parse,
        many=True,
        metavar="NAME=PATH",
    )
    zeros: str = option(
        "auto",
        "--zeros",
        help="What voxels of 0 in a map are: measurements, but no data in planes of nothing else, "
        "outside the map's mask and where a fit failed (auto); or all are data, or all are "
        "missing.",
        choices=ZERO_KINDS,
    )
    min_purity: float = option(
        0.0,
        "--min-purity",
        help="How much of a map voxel a region must cover for the voxel to count in it, 0 to 1. "
        "By default every part of a voxel counts as much as there is of it.",
        parse=Bounds(float, 0, 1),
        metavar="SHARE",
    )
    max_csf: float = option(
        1.0,
        "--max-csf",
        help="How much of a map voxel may be CSF or ventricle for it to count in regions of "
        "tissue, 0 to 1. By default CSF does not matter.",
        parse=Bounds(float, 0, 1),
        metavar="SHARE",
    )
    trust: str | None = option(
        None,
        "--trust",
        help="Which of a header's two forms is believed where they disagree on the size of a voxel "
        "by more than 1 % (by default such an image is refused) or on the image's place (by "
        "default the sform).",
        choices=FORMS,
    )
    skip_bids_validation: bool = option(
        False,
        "--skip-bids-validation",
        help="Do not check the names of the persons' raw files against the BIDS standard.",
    )


@dataclass(frozen=True)
class Anatomy:
    """The reference image, masks and lesions."""

    reference: str = option(
        "auto",
        "--reference",
        help="The image whose grid holds all label images: the T1w if there is one "
        "(auto), or the FLAIR.",
        choices=("auto", "T1w", "FLAIR"),
    )
    wmh_source: str = option(
        "auto",
        "--wmh-source",
        help="Where the mask of white matter hyperintensities comes from: given if there is "
        "one and computed if not (auto; a file that seems to be such a mask and cannot be taken "
        "stops the person), always given, or always computed.",
        choices=("auto", "given", "compute"),
    )
    wmh_command: str | None = option(
        None,
        "--wmh-command",
        help="A program that segments white matter hyperintensities in the place of the built-in "
        "method: one that is known by name (lst-ai, mars-wmh, synthseg-wmh, samseg, samseg-flair, "
        "truenet, truenet-flair), or a command line, e.g. 'tool {t1w} {flair} {out}', that reads "
        "the T1w and the FLAIR, each in its own space, and writes a mask on the grid of either. No "
        "shell runs it.",
        metavar="COMMAND",
    )
    segmenter_image: str | None = option(
        None,
        "--segmenter-image",
        help="The container image that holds the program of --wmh-command: a .sif file, "
        "docker://NAME, or a name as docker knows it. Apptainer, Singularity, Docker or Podman "
        "runs it, whichever is on PATH, with nothing mounted but the images and the step's folder.",
        parse=_image,
        metavar="IMAGE",
    )
    wmh_labels: tuple[str, ...] = option(
        (),
        "--wmh-labels",
        help="What the numbers in given masks of WMH mean: the numbers that are WMH, or who draws "
        "such masks (challenge: 1 is WMH, and 2, other lesions, is kept out as an infarct is; "
        "freesurfer; samseg). Without it a mask with several numbers is refused.",
        many=True,
        metavar="NAME|N",
    )
    acute_source: str = option(
        "given",
        "--acute-source",
        help="Where acute lesions come from: masks, if there are any (given), or a diffusion "
        "series and the ADC, by a rule: bright at b of about 1000 and an ADC of at most 0.62e-3 "
        "mm²/s, outside of a haemorrhage (dwi). A given mask is passed over then.",
        choices=ACUTE_SOURCES,
    )
    registration_qc: str = option(
        "flag",
        "--registration-qc",
        help="What happens where an image or map cannot be aligned well to the reference: it is "
        "searched for anew, and what stays bad is marked 'check' in the QC table (flag), or also "
        "fails the person (fail); off neither judges nor searches anew.",
        choices=("flag", "fail", "off"),
    )
    fill_holes: bool = option(
        False,
        "--fill-holes",
        help="Fill the holes of given lesion masks (they are always counted in the QC table).",
    )
    tissue_guard: float | None = option(
        None,
        "--tissue-guard",
        help="Normal-appearing white matter keeps this distance in mm from CSF and grey "
        "matter. Default: the smallest edge of a reference voxel.",
        parse=MILLIMETRES,
        metavar="MM",
    )


@dataclass(frozen=True)
class Regions:
    """Zones, layers, shells and atlases."""

    zones: tuple[str, ...] = option(
        (DEFAULT_SCHEME,),
        "--zones",
        help="How white matter is divided by distance into zones. Of several schemes the first "
        "has the label image seg-zones; the others carry their names.",
        choices=scheme_names,
        many=True,
    )
    remote_mm: float = option(
        20.0,
        "--remote-mm",
        help="From how many mm on an acute lesion is remote from a haemorrhage, from edge to edge. "
        "Nearer ones are often of the haemorrhage itself.",
        parse=MILLIMETRES,
        metavar="MM",
    )
    atlas: tuple[str, ...] = option(
        (),
        "--atlas",
        help="Atlases of arteries, tracts or anything else that are laid over every person: names "
        "that 'wmhflow atlas list' shows, or label images (3D) or probabilities (4D) with their "
        "table beside them.",
        parse=_atlas,
        many=True,
        metavar="NAME[=PATH]",
    )
    atlas_template: tuple[NamedPath, ...] = option(
        (),
        "--atlas-template",
        help="The T1w image of the template that an atlas lies on, if the program does not know "
        "it; or MNI152NLin2009aSym, if it is the program's own.",
        parse=NamedPath.parse,
        many=True,
        metavar="ATLAS=IMAGE",
    )
    atlas_threshold: float = option(
        0.5,
        "--atlas-threshold",
        help="From which probability on a voxel belongs to a region of a probabilistic atlas.",
        parse=SHARE,
        metavar="P",
    )
    atlas_sides_checked: bool = option(
        False,
        "--atlas-sides-checked",
        help="You checked that left is left: atlases whose left regions do not lie at x < 0 are "
        "not refused.",
    )
    bullseye_layers: int = option(
        4,
        "--bullseye-layers",
        help="Layers of equal depth between ventricle and cortex.",
        parse=Bounds(int, 1, MOST_LAYERS),
        metavar="N",
    )
    cross: tuple[tuple[str, str], ...] = option(
        (),
        "--cross",
        help="Pairs of label images, e.g. zones:lobes: every region of the one is also measured "
        "within every region of the other (rows of the same tables).",
        parse=_pair,
        many=True,
        metavar="ONE:OTHER",
    )
    lesion_rule: str = option(
        "continuity",
        "--lesion-rule",
        help="Which rule makes a lesion periventricular for the shells: any voxel within 3 mm "
        "of the ventricle (continuity), or most of its voxels in JV or PV (majority).",
        choices=LESION_RULES,
    )
    shell_width: float = option(
        DEFAULT_WIDTH_MM,
        "--shell-width",
        help="Thickness of the shells around the lesions in mm.",
        parse=MILLIMETRES,
        metavar="MM",
    )
    shell_max: float = option(
        DEFAULT_MAX_MM,
        "--shell-max",
        help="Outer edge of the last shell in mm, a multiple of the width; beyond it is 'rest'.",
        parse=MILLIMETRES,
        metavar="MM",
    )


@dataclass(frozen=True)
class Execution:
    """How the work is done."""

    work_dir: Path = option(
        Path("wmhflow_work"),
        "-w",
        "--work-dir",
        help="Where intermediate files are kept; a run that was cut goes on from there.",
        parse=path_of,
        metavar="DIR",
    )
    clean_workdir: str = option(
        "never",
        "--clean-workdir",
        help="When the work folder of this run is removed.",
        choices=("never", "on-success"),
    )
    nprocs: int | None = option(
        None,
        "--nprocs",
        help="Steps that run at the same time. Default: what this process may use "
        "(CPU affinity, cgroup, the job of a scheduler).",
        parse=PROCESSORS,
        metavar="N",
    )
    omp_nthreads: int | None = option(
        None,
        "--omp-nthreads",
        help="Threads of one step's numeric kernels; results do not depend on it. "
        "Default: what this process may use, shared by the --nprocs steps, but four where there "
        "are four, as steps often run alone. Registrations always use one, so that they give "
        "the same bytes.",
        parse=PROCESSORS,
        metavar="N",
    )
    mem_gb: float | None = option(
        None,
        "--mem-gb",
        help="Memory in gigabytes that all steps together may take. "
        "Default: what this process may use.",
        parse=MEMORY_GB,
        metavar="GB",
    )
    wait_minutes: int = option(
        0,
        "--wait-minutes",
        help="How long to wait for another run that works on the same person. Default: not at all; "
        "the person fails with a message that names that run.",
        parse=Bounds(int, 0, 144_000),
        metavar="N",
    )
    use_plugin: Path | None = option(
        None,
        "--use-plugin",
        help="A YAML or JSON file with nipype's 'plugin' (MultiProc; Linear, one step after the "
        "other; SLURM, SGE, PBS, LSF) and its 'plugin_args', to run the graph with.",
        parse=path_of,
        metavar="FILE",
    )
    random_seed: int = option(
        20080324,
        "--random-seed",
        help="The seed that every random step starts from.",
        # 0 lets ANTs take the clock; it keeps seeds in 32 bits with a sign
        parse=Bounds(int, 1, 2**31 - 1),
        metavar="N",
    )
    stop_on_first_crash: bool = option(
        False,
        "--stop-on-first-crash",
        help="Stop everything when one step fails; otherwise the other persons go on.",
    )


@dataclass(frozen=True)
class Reporting:
    """What is said and shown."""

    dry_run: bool = option(
        False, "--dry-run", help="Print the plan (found, missing, computed and why) and stop."
    )
    check_values: bool = option(
        False,
        "--check-values",
        help="Read every image before the first step, so that what only its voxels tell (nothing "
        "in it, cut short, codes or values of another kind) is known before anything runs; with "
        "--dry-run the plan says it. Otherwise a visit's images are read when its turn comes.",
    )
    allow_missing: bool = option(
        False,
        "--allow-missing",
        help="At the group level: leave out tables of finished visits that are missing, damaged or "
        "of other columns, and visits whose records are damaged. Otherwise nothing is written, and "
        "the exit code is 1.",
    )
    layers_p: float | None = option(
        None,
        "--layers-p",
        help="At the group level: also give the width of every penumbra by the rule of the "
        "literature, the last consecutive shell that differs from far tissue over persons, up to "
        "this p (paired t test; 0.05 is usual). It grows with the number of persons.",
        parse=Bounds(float, 1e-6, 0.5),
        metavar="P",
    )
    reports_only: bool = option(
        False, "--reports-only", help="Make the reports anew from finished outputs."
    )
    boilerplate_only: bool = option(
        False, "--boilerplate-only", help="Write only the methods text and the citations."
    )
    write_graph: bool = option(
        False, "--write-graph", help="Write the graph of steps to logs/ (Graphviz DOT)."
    )
    resource_monitor: bool = option(
        False,
        "--resource-monitor",
        help="Record memory and CPU of the run every second in logs/.",
    )
    verbose: int = option(
        0,
        "-v",
        "--verbose",
        help="Say more; twice for debugging messages.",
        parse=Bounds(int, 0, 9),
        count=True,
    )
    quiet: bool = option(
        False,
        "--quiet",
        help="Say only what went wrong: no progress, no warnings, no closing line.",
    )
    log_json: bool = option(
        False,
        "--log-json",
        help="Say everything as JSON on standard output, one object a line (time, level, person, "
        "step, message), and at last the exit code and how the run ended.",
    )


@dataclass(frozen=True)
class Submission:
    """How a run is sent to a cluster."""

    executor: str = option(
        "slurm",
        "--executor",
        help="The cluster's scheduler. Slurm is tested as it is; the others by programs that stand "
        "for theirs.",
        choices=executor_names,
    )
    image: str | None = option(
        None,
        "--image",
        help="The container image that each job runs: a .sif file or docker://NAME (by Apptainer "
        "or Singularity), or a name as Docker or Podman knows it. Default: this very program.",
        parse=_image,
        metavar="IMAGE",
    )
    per: str = option(
        "person",
        "--per",
        help="What one task of the job array processes. Visits of one person wait for each other.",
        choices=("person", "visit"),
    )
    max_running: int | None = option(
        None,
        "--max-running",
        help="How many tasks may run at once. Default: as many as the cluster lets.",
        parse=Bounds(int, 1, 100_000),
        metavar="N",
    )
    partition: str | None = option(
        None, "--partition", help="The partition or queue.", parse=_word, metavar="NAME"
    )
    account: str | None = option(
        None, "--account", help="The account or project that pays.", parse=_word, metavar="NAME"
    )
    time: int | None = option(
        None,
        "--time",
        help="The time limit of a task: minutes, H:MM:SS or D-HH:MM:SS. "
        "Default: estimated from the plan and from what earlier tasks used.",
        parse=minutes_of,
        metavar="TIME",
    )
    sbatch: tuple[str, ...] = option(
        (),
        "--sbatch",
        help="A further option for the scheduler, put into the script's header as it is, e.g. "
        "--sbatch='--qos=long'. It can be given several times.",
        parse=_directive,
        many=True,
        metavar="TEXT",
    )
    resume: bool = option(
        False,
        "--resume",
        help="Send only what is missing of what was submitted before, with the options frozen "
        "then, and with more memory or time for those who lacked it.",
    )
    grow: float = option(
        1.5,
        "--grow",
        help="With --resume: how many times the memory or time that was not enough.",
        parse=Bounds(float, 1.0, 10.0),
        metavar="FACTOR",
    )


@dataclass(frozen=True)
class Settings:
    """The whole of what a user decided, passed explicitly to whoever needs a part of it."""

    bids_dir: Path
    output_dir: Path
    level: str
    inputs: Inputs = Inputs()
    anatomy: Anatomy = Anatomy()
    regions: Regions = Regions()
    execution: Execution = Execution()
    reporting: Reporting = Reporting()


@dataclass(frozen=True)
class Resources:
    """Steps at the same time, threads of each, and memory of all together."""

    nprocs: int
    omp_nthreads: int
    mem_gb: float


GROUPS: Mapping[str, type] = {
    "inputs": Inputs,
    "anatomy": Anatomy,
    "regions": Regions,
    "execution": Execution,
    "reporting": Reporting,
}


# what only `wmhflow submit` and `wmhflow check` take, beside every option of a run
SUBMIT_GROUPS: Mapping[str, type] = {"submission": Submission}


def iter_options(
    groups: Mapping[str, type] = GROUPS,
) -> Iterator[tuple[str, dataclasses.Field[Any], Option]]:
    """Go through all options as (group, field, option), in the order of the documentation."""
    for group, cls in groups.items():
        for entry in dataclasses.fields(cls):
            yield group, entry, entry.metadata["option"]


def is_flag(group: str, name: str) -> bool:
    """Whether an option is a switch that takes no value."""
    return get_type_hints({**GROUPS, **SUBMIT_GROUPS}[group])[name] is bool


def build(
    bids_dir: Path, output_dir: Path, level: str, chosen: Mapping[str, Mapping[str, Any]]
) -> Settings:
    """Make the settings from what was chosen per group; check what no single option can check.

    Parameters
    ----------
    bids_dir, output_dir
        The positional arguments.
    level
        ``participant`` or ``group``.
    chosen
        Values by group and field name, already parsed; what is absent keeps its default.

    Returns
    -------
    Settings

    Raises
    ------
    UsageError
        If options contradict each other.
    """
    groups = {name: cls(**chosen.get(name, {})) for name, cls in GROUPS.items()}
    # steps run in folders of their own, where a relative path would mean something else
    execution = groups["execution"]
    groups["execution"] = dataclasses.replace(execution, work_dir=execution.work_dir.absolute())
    settings = Settings(bids_dir.absolute(), output_dir.absolute(), level, **groups)
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    for group, entry, opt in iter_options():
        value = getattr(getattr(settings, group), entry.name)
        if opt.bounds and value is not None and not opt.bounds.holds(value):
            raise UsageError(f"{opt.flags[-1]} {value:g} cannot be meant; {opt.bounds} can.")
    _check_said(settings.reporting)
    regions = settings.regions
    shells = regions.shell_width, regions.shell_max
    if not has_whole_shells(*shells) or not 1 <= shell_count(*shells) <= MOST_SHELLS:
        raise UsageError(
            f"--shell-max {regions.shell_max:g} is not 1 to {MOST_SHELLS} times "
            f"--shell-width {regions.shell_width:g}; change one of them."
        )
    _check_command(settings.anatomy)
    if settings.anatomy.wmh_labels and settings.anatomy.wmh_source == "compute":
        raise UsageError(
            "--wmh-labels says what given masks mean, and --wmh-source compute takes none; choose "
            "one of them."
        )
    try:
        find_mask_labels(settings.anatomy.wmh_labels)
    except ValueError as error:
        raise UsageError(f"--wmh-labels: {error}.") from None
    schemes = regions.zones
    if not schemes or len(set(schemes)) < len(schemes):
        raise UsageError("--zones needs at least one scheme, and each one once.")
    for flag, names in (
        ("--atlas", [text.partition("=")[0] for text in regions.atlas]),
        ("--atlas-template", [given.name for given in regions.atlas_template]),
        ("--units", [name for name, _ in settings.inputs.units]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            what = "map" if flag == "--units" else "atlas"
            raise UsageError(f"{flag} names '{twice[0]}' twice; name each {what} once.")
    if len({frozenset(pair) for pair in regions.cross}) < len(regions.cross):
        raise UsageError("--cross names a pair twice; name each once.")
    names = [dataset.name for dataset in settings.inputs.derivatives]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"--derivatives names '{twice[0]}' twice; give each dataset its own name.")


def _check_said(reporting: Reporting) -> None:
    if reporting.quiet and reporting.verbose:
        raise UsageError("--quiet says less and --verbose more; choose one of them.")
    if reporting.quiet and reporting.log_json:
        raise UsageError("--quiet says errors alone and --log-json all; choose one of them.")
    if reporting.dry_run and (reporting.boilerplate_only or reporting.reports_only):
        raise UsageError(
            "--dry-run writes nothing, and --boilerplate-only and --reports-only write; choose one "
            "of them."
        )
    if reporting.boilerplate_only and reporting.reports_only:
        raise UsageError(
            "--boilerplate-only writes no reports, as --reports-only does; choose one."
        )


def _check_command(anatomy: Anatomy) -> None:
    if anatomy.wmh_command is None:
        if anatomy.segmenter_image is not None:
            raise UsageError("--segmenter-image holds the program of --wmh-command; name that too.")
        return
    if anatomy.wmh_source == "given":
        raise UsageError("--wmh-command computes masks, and --wmh-source given forbids it.")
    if find_segmenter(anatomy.wmh_command):
        return
    try:
        words = shlex.split(anatomy.wmh_command)
    except ValueError as error:
        raise UsageError(f"--wmh-command cannot be read: {error}.") from None
    placeholders = set(re.findall(r"{(.*?)}", anatomy.wmh_command))
    if not words or "out" not in placeholders or not placeholders & {"t1w", "flair"}:
        own = f"{_no_segmenter(words[0])} A command line of your own" if len(words) == 1 else ""
        raise UsageError(
            f"{own or '--wmh-command'} needs {{out}} and {{flair}} or {{t1w}}, e.g. "
            "'tool {t1w} {flair} {out}'."
        )
    if placeholders - {"t1w", "flair", "out"}:
        unknown = min(placeholders - {"t1w", "flair", "out"})
        raise UsageError(f"--wmh-command: {{{unknown}}} is none of {{t1w}}, {{flair}}, {{out}}.")


def _no_segmenter(name: str) -> str:
    """Begin a complaint about a single word, which was probably meant as a name."""
    near = segmenters_like(name)
    meant = f"; did you mean {' or '.join(near)}?" if near else "."
    known = ", ".join(load_segmenters())
    return f"--wmh-command: '{name}' is none of the segmenters known by name ({known}){meant}"


def read_config_file(path: Path, groups: Mapping[str, type] = GROUPS) -> dict[str, dict[str, Any]]:
    """Read options from a TOML file with a table per group of settings.

    Keys are the option names with ``-`` or ``_``; values are written as on the command line.

    Parameters
    ----------
    path
        The TOML file.
    groups
        The groups that it may hold.

    Returns
    -------
    dict
        Parsed values by group and field name.

    Raises
    ------
    UsageError
        If the file is missing, is not TOML, or names something that is no option.
    """
    content = read_given(path, "--config-file", "TOML", tomllib.loads)
    known = {(group, entry.name): opt for group, entry, opt in iter_options(groups)}
    chosen: dict[str, dict[str, Any]] = {}
    for group, table in content.items():
        if group not in groups or not isinstance(table, dict):
            raise UsageError(
                f"--config-file {path}: '{group}' is no table of options; "
                f"the tables are {', '.join(groups)}."
            )
        for key, value in table.items():
            name = key.replace("-", "_")
            if (group, name) not in known:
                raise UsageError(f"--config-file {path}: [{group}] has no option '{key}'.")
            if name in chosen.get(group, {}):
                raise UsageError(f"--config-file {path}: [{group}] names {key} twice; keep one.")
            opt = known[group, name]
            chosen.setdefault(group, {})[name] = _from_toml(path, group, name, opt, value)
    return chosen


def _from_toml(path: Path, group: str, name: str, opt: Option, value: Any) -> Any:
    if is_flag(group, name):
        if not isinstance(value, bool):
            raise UsageError(f"--config-file {path}: [{group}] {name} must be true or false.")
        return value
    values = value if isinstance(value, list) else [value]
    if not values:
        # on the command line, too, an option without a value is none
        raise UsageError(
            f"--config-file {path}: [{group}] {name} is an empty list; give a value, or leave it "
            "out."
        )
    for item in values:
        is_word = isinstance(item, str | int | float) and not isinstance(item, bool)
        if not is_word or "\0" in str(item):
            raise UsageError(
                f"--config-file {path}: [{group}] {name}: {str(item)[:40]!r} is neither text nor "
                "a number; write it as on the command line."
            )
    try:
        parsed = tuple(opt.parse(str(item)) for item in values)
    except ValueError as error:
        raise UsageError(f"--config-file {path}: [{group}] {name}: {error}.") from None
    allowed = opt.allowed
    if allowed and not set(parsed) <= set(allowed):
        raise UsageError(
            f"--config-file {path}: [{group}] {name} must be one of {', '.join(allowed)}."
        )
    if opt.many:
        return parsed
    if len(parsed) != 1:
        raise UsageError(f"--config-file {path}: [{group}] {name} takes one value.")
    return parsed[0]


def options_table(groups: Mapping[str, type] = GROUPS) -> str:
    """Return the options as a Markdown table for the documentation."""
    rows = ["| option | default | meaning |", "| --- | --- | --- |"]
    for group, entry, opt in iter_options(groups):
        flags = ", ".join(f"`{flag}`" for flag in opt.flags)
        value = "" if is_flag(group, entry.name) or opt.count else f" {_value_text(opt)}"
        rows.append(f"| {flags}{value} | {_default_text(entry.default)} | {opt.explained} |")
    return "\n".join(rows) + "\n"


def _value_text(opt: Option) -> str:
    text = "\\|".join(opt.allowed) if opt.allowed else (opt.metavar or "VALUE")
    return f"{text} …" if opt.many else text


def _default_text(default: Any) -> str:
    if default in (None, (), False):
        return "–"
    if isinstance(default, tuple):
        return " ".join(f"`{item}`" for item in default)
    return f"`{default}`"
