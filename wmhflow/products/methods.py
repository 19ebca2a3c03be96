"""The methods text and its references, with the parameters that were really used."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence, Set
from pathlib import Path

from wmhflow.bids.naming import TEMPLATE
from wmhflow.core.align.plausible import LARGEST_ERROR_MM
from wmhflow.core.diffusion.acute import RULE
from wmhflow.core.wmh.below import AROUND_MM, BRIGHTEST
from wmhflow.core.wmh.filling import LEAST_AGAIN_ML
from wmhflow.core.wmh.model import GIVEN_THRESHOLD, THICK_MM, LesionModel
from wmhflow.files.versions import software_versions
from wmhflow.labels.schemes import zone_schemes
from wmhflow.plan.acute import ACUTE_B
from wmhflow.plan.atlases import LOBES_ATLAS
from wmhflow.products.used import (
    ACUTE_BESIDE_BLEED,
    BRIDGE,
    FILLED,
    GIVEN_PROBABILITY,
    GIVEN_WMH,
    INVERTED,
    LOBES,
    OWN_LABELS,
    REFERENCE,
    UPTAKE_REGION,
    Used,
)
from wmhflow.registries.atlases import AtlasDefinition, cached_path, load_atlases
from wmhflow.registries.bibliography import bibliography
from wmhflow.registries.segmenters import find_segmenter
from wmhflow.registries.tracers import load_references
from wmhflow.settings import Settings
from wmhflow.steps.containers import is_file

_CITATION = re.compile(r"\[@(\w+)\]")
_RULE_TEXT = {
    "continuity": "if any of its voxels lay within 3 mm of the lateral ventricle [@continuity]",
    "majority": "if most of its voxels lay in the juxtaventricular or periventricular zone",
}


def methods_text(settings: Settings, methods: Set[str] | None = None) -> str:
    """Write the methods text; citations stand as ``[@key]``.

    Parameters
    ----------
    settings
        The run's settings.
    methods
        Those that were used (:func:`wmhflow.products.used.methods_of`); no others are named. By
        default all that the settings allow.
    """
    if methods is not None and not methods:
        return "Nothing was processed."
    used = Used(None if methods is None else frozenset(methods))
    parts = (
        _registration_text(settings, used),
        _mask_text(settings, used),
        [_region_text(settings)],
        _atlas_text(settings, used),
        _diffusion_text(settings, used),
        _contrast_text(used),
        _uptake_text(settings, used),
        _acute_text(settings, used),
        [_map_text(), *used.chosen([("bring_map", BROUGHT)])] if "sample_maps" in used else [],
        used.chosen([(INVERTED, INVERTED_TEXT)]),
    )
    return "\n\n".join(" ".join(sentences) for sentences in parts if sentences)


def _registration_text(settings: Settings, used: Used) -> list[str]:
    versions = software_versions()
    indexed = ""
    if settings.inputs.bids_database_dir is not None:
        indexed = f", indexed with PyBIDS {versions['pybids']} [@pybids],"
    template = (
        f"the symmetric template {TEMPLATE} [@icbm152], as packaged by "
        f"Nilearn {versions['nilearn']} [@nilearn],"
    )
    ants = f"ANTs (antspyx {versions['antspyx']}) [@ants]"
    text = (
        f"Images organised in BIDS [@bids]{indexed} were processed with wmhflow "
        f"{versions['wmhflow']}, a Nipype {versions['nipype']} [@nipype] workflow. "
        f"The {_reference_words(settings, used)} of each visit served as the reference: all "
        "label images were made once in its native grid."
    )
    sentences = [text]
    moved = used.chosen(
        [
            ("align_rigidly", "the other anatomical image"),
            ("align_maps", "each group of quantitative maps"),
        ]
    )
    if moved:
        sentences.append(
            f"Where no transform was given, {_listed(moved)} {_was(moved)} registered rigidly to "
            "it (by mutual information, from several starting positions and rotations)."
        )
    if used.any("warp_to_template", "warp_again"):
        sentences.append(
            f"Where no transform was given, the reference was registered to {template} with an "
            f"affine and a SyN transform of {ants}; where a person's ventricles are far wider than "
            "the template's, they are made to meet these (mean squares beside mutual information)."
        )
    else:
        sentences.append(
            f"Transforms between the reference and {template} were given, and applied with {ants}."
        )
    if moved or used.any("warp_to_template", "warp_again"):
        sentences.append(
            "Registrations ran with one thread and the random seed "
            f"{settings.execution.random_seed}."
        )
    return [*sentences, *_filling_text(used)]


def _filling_text(used: Used) -> list[str]:
    if FILLED not in used:
        return []
    again = (
        "; where they were computed, which takes a registration, it was made anew from "
        f"{LEAST_AGAIN_ML:g} ml of WMH on"
    )
    text = (
        "White matter hyperintensities (WMH) were filled for the registration to the template "
        "with the brightness of the white matter around them [@filling]"
    )
    return [f"{text}{again if 'warp_again' in used else ''}."]


def _reference_words(settings: Settings, used: Used) -> str:
    chosen = settings.anatomy.reference
    if used.names is not None:
        both = used.chosen((REFERENCE + name, name) for name in ("T1w", "FLAIR"))
        chosen = both[0] if len(both) == 1 else chosen
    if chosen == "auto":
        return "T1w image (or the FLAIR, where there was no T1w)"
    return f"{chosen} image"


def _listed(parts: Sequence[str], last: str = " and ") -> str:
    """List parts of a sentence.

    Examples
    --------
    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    return last.join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _was(parts: Sequence[str]) -> str:
    return "were" if len(parts) > 1 else "was"


def _mask_text(settings: Settings, used: Used) -> list[str]:
    guard = settings.anatomy.tissue_guard
    words = f"{guard:g} mm" if guard else "one (smallest) voxel edge"
    sentences = [_tissue_text(used)]
    if lesions := _wmh_text(settings, used):
        # the text of the registration may have named them before
        called = "WMH" if FILLED in used else "white matter hyperintensities (WMH)"
        sentences.append(f"For {called}, {lesions}.")
    if settings.anatomy.fill_holes and used.any(GIVEN_WMH, GIVEN_PROBABILITY):
        sentences.append("Holes in given masks were filled.")
    sentences.append("A lesion is a 26-connected component.")
    if "keep_infarct_out" in used:
        kept = ["of WMH and NAWM"]
        if used.any("warp_to_template", "warp_again"):
            kept.append("of the metric of the registration to the template")
        if "label_tissues" in used:
            kept.append("of the tissues' intensity model")
        sentences.append(
            f"Where a mask of infarcts was given, its voxels were kept out {_listed(kept)}."
        )
    sentences.append(
        "Normal-appearing white matter (NAWM) is cerebral white matter that is not WMH and whose "
        f"voxel centres lie more than {words} from those of cerebrospinal fluid and grey matter."
    )
    return sentences


def _tissue_text(used: Used) -> str:
    computed = (
        "he bias field was corrected with N4 [@n4], tissues were segmented with a mixture of "
        "Gaussians, the template's priors [@mixture] and a Markov random field [@fast], and "
        "cerebrospinal fluid inside the warped ventricle prior, and what hangs together with it in "
        "white or deep grey matter or in a wide place, was taken as lateral ventricle."
    )
    given = "Tissues and lateral ventricles were read from a given FreeSurfer-coded parcellation"
    if "label_tissues" not in used:
        return f"{given}."
    if "read_parcellation" not in used:
        return f"T{computed}"
    return f"{given} where there was one; otherwise t{computed}"


def _wmh_text(settings: Settings, used: Used) -> str:
    anatomy = settings.anatomy
    given = used.chosen(
        [
            (GIVEN_WMH, "given masks were used as they were"),
            (GIVEN_PROBABILITY, f"given probabilities were cut at {GIVEN_THRESHOLD:g}"),
        ]
    )
    finds = used.any("find_lesions", "run_program", "run_segmenter")
    if used.names is None:
        given = given if anatomy.wmh_source != "compute" else []
        finds = anatomy.wmh_source != "given"
    parts = [*given]
    if finds:
        # without a plan both look used
        command = anatomy.wmh_command if used.any("run_program", "run_segmenter") else None
        how = _program_text(command, anatomy.segmenter_image) if command else _model_text()
        parts.append(f"{'where there was none, ' if given else ''}they were {how}")
    return "; ".join(parts)


def _model_text() -> str:
    model = LesionModel()
    return (
        "computed on the FLAIR's own grid, as outliers from the brightness of the person's own "
        "tissues where the template's priors expect them [@outliers], weighed slice by slice by a "
        "small U-Net [@unet] that was trained on simulated scans (the mean of slices across all "
        "three axes where voxels are nearly cubes), with a probability of at least "
        f"{model.threshold:g}, up to where they stand out {model.edge:.0%} as much as the "
        "core of the lesion, and further in where that is not brighter than the person's cortex by "
        f"{model.above_cortex:.0%} of the brightness of white matter (to {model.highest_edge:.0%} "
        f"of the core at most, {model.thick_highest_edge:.0%} in slices above {THICK_MM:g} mm), "
        "without ventricles and septum, and in cerebellum and brain stem "
        f"without what is no brighter than {BRIGHTEST:.0%} of the tissue within {AROUND_MM:g} mm"
    )


def _program_text(command: str, image: str | None) -> str:
    """Say which outside program found lesions; one of the registry is cited."""
    inside = ""
    if image is not None:
        inside = f", in the container image {Path(image).name if is_file(image) else image}"
    known = find_segmenter(command)
    if known is None:
        return f"computed with the command `{command}`{inside}"
    taken = ""
    if known.labels:
        taken = f" (of its output, label {' and '.join(map(str, known.labels))})"
    if known.threshold is not None:
        taken = f" (of its output, probabilities from {known.threshold:g} on)"
    return (
        f"computed by {known.title} [@{known.citation}]{taken} from the "
        f"{' and '.join(known.reads)} with the command `{known.line}`{inside}"
    )


def _region_text(settings: Settings) -> str:
    regions, schemes = settings.regions, zone_schemes()
    return (
        "Exact Euclidean distances [@distance] between voxel centres, in mm, were measured to the "
        "lateral ventricles, the cerebral cortex and the lesion edge. White matter was divided "
        f"into zones: {'; and again: '.join(schemes[name].sentence for name in regions.zones)}. "
        "A lesion was called periventricular "
        f"{_RULE_TEXT[regions.lesion_rule]}, and deep otherwise. Around the lesions, NAWM was "
        f"divided into shells {regions.shell_width:g} mm thick up to {regions.shell_max:g} mm, "
        "each voxel belonging to its nearest lesion, and the rest."
    )


def _atlas_text(settings: Settings, used: Used) -> list[str]:
    """Say which atlases were laid over, by which template, and under which licence.

    Nothing if there was none.
    """
    known, regions = load_atlases(), settings.regions
    given = {text.partition("=")[0]: text.partition("=")[2] for text in regions.atlas}
    sentences = []
    if given:
        listed = "; ".join(
            _atlas_words(name, path, known.get(name)) for name, path in given.items()
        )
        sentences.append(
            f"Regions of atlases were brought to the reference through {TEMPLATE} (labels by "
            "nearest neighbour; probabilities linearly, a voxel belonging to a region from "
            f"{regions.atlas_threshold:g} on): {listed}."
        )
    bridged = used.chosen([(BRIDGE, "the two templates' images"), (OWN_LABELS, "its own labels")])
    if given and bridged:
        sentences.append(
            f"What lies on another template was brought to {TEMPLATE} by registering "
            f"{_listed(bridged, ', or ')}."
        )
    lobes = known[LOBES_ATLAS]
    is_there = LOBES_ATLAS in given or cached_path(lobes, lobes.image).is_file()
    if is_there if used.names is None else LOBES + LOBES_ATLAS in used:
        sentences.append(
            "Where no parcellation gave the parcels of the cortex, every voxel of cortex took the "
            f"lobe of the nearest parcel of {_atlas_words(LOBES_ATLAS, '', lobes)}."
        )
    return sentences


def _atlas_words(name: str, path: str, definition: AtlasDefinition | None) -> str:
    if definition is None:
        return f"{name} ({Path(path).name})"
    return f"{definition.title} [@{definition.citation}] (licence: {definition.licence})"


def _diffusion_text(settings: Settings, used: Used) -> list[str]:
    robust = ""
    if settings.inputs.tensor_fit == "robust":
        robust = (
            ", and again, in and around white matter, by iterated weights that leave out volumes "
            "that do not agree [@rwls]"
        )
    plain = used.chosen(
        [
            (
                "fit_tensors",
                (
                    "the tensor by weighted least squares [@wls] from volumes of b up to 1500 s/mm²"
                    f"{robust}"
                ),
            ),
            (
                "map_adc",
                "the apparent diffusion coefficient from volumes without weighting and of one b",
            ),
        ]
    )
    models = used.chosen(
        [
            ("fit_kurtoses", "kurtosis [@kurtosis] by DIPY [@dipy]"),
            ("fit_free_waters", "free water [@freewater]"),
            ("fit_ivims", "the two parts of intravoxel incoherent motion [@ivim]"),
            ("divide_tissues", "fractions of tissues [@fractions]"),
        ]
    )
    fits = [*plain, *([f"{_listed(models)} where the b-values allowed it"] if models else [])]
    sentences = []
    if fits:
        sentences.append(
            "Where a diffusion series was there and a map of it was not given, it was computed: "
            f"{'; '.join(fits)}."
        )
    alps = (
        "DTI-ALPS [@alps] was read from tensors that were averaged in each region and then turned "
        "into the frame of the head."
    )
    sentences += used.chosen(
        [
            (
                "fit_tensors",
                "Tables of gradients were compared with the course of fibres [@coherence].",
            ),
            ("measure_alps", alps),
        ]
    )
    if fits:
        sentences.append("The JSON file of each map tells which volumes were used.")
    return sentences


def _contrast_text(used: Used) -> list[str]:
    made = used.chosen(
        [
            ("map_decay", "R2* from the decay of the echoes' magnitudes"),
            ("map_transfer", "the magnetisation transfer ratio from images with and without it"),
            ("map_rate", "R1 as the reciprocal of T1"),
            (
                "map_t1_over_t2",
                "T1w/T2w as the ratio of the two images, scaled to 1 in white matter far from WMH",
            ),
            (
                "map_susceptibility",
                "susceptibility from phases of gradient echoes, by exact unwrapping and inversion",
            ),
        ]
    )
    if not made:
        return []
    return [
        f"Where images were there and their map was not given, it was computed: {'; '.join(made)}."
    ]


def _uptake_text(settings: Settings, used: Used) -> list[str]:
    references = load_references()
    chosen = references.get(settings.inputs.suvr_reference)
    # by the tracer
    words = {"pons": "the pons (FDG) [@pons]",
             "cerebellar-grey": "the grey matter of the cerebellum (amyloid and tau)"}  # fmt: skip
    if chosen:
        words = {chosen.name: f"the {chosen.title}"}
    regions = used.chosen((UPTAKE_REGION + name, text) for name, text in words.items())
    sentences = []
    if "map_uptake" in used and regions:
        sentences.append(
            "Where a PET was there and no map of uptake, it was divided by its mean in "
            f"{_listed(regions, ' or ')}, without the region's border, WMH and other lesions "
            "(SUVR); the JSON file of the map tells the region and the frames."
        )
    if "join_voxel" in used:
        sentences.append(
            "Single voxels of spectroscopy [@niftimrs] were joined to tissues and zones by the "
            "exact volumes that they share."
        )
    return sentences


def _acute_text(settings: Settings, used: Used) -> list[str]:
    """Say by which rule acute lesions were found, and which ones are remote."""
    remote = (
        "A lesion was called remote from a haemorrhage from "
        f"{settings.regions.remote_mm:g} mm on, from edge to edge [@remote]."
    )
    is_asked = settings.anatomy.acute_source == "dwi"
    if not (is_asked and "find_acute_lesions" in used):
        # given ones are set beside a given haemorrhage, too
        return [remote] if used.names is not None and ACUTE_BESIDE_BLEED in used else []
    text = (
        "Acute lesions were looked for by a rule on the trace of a diffusion series (its b nearest "
        f"to 1000 s/mm², from {ACUTE_B[0]:.0f} on) and the apparent diffusion coefficient (ADC), "
        "both brought to the reference linearly. A voxel of the brain was core if it was brighter "
        f"than the median of NAWM, and of its own tissue, by {RULE.least_spreads:g} robust "
        "standard deviations of NAWM (1.4826 times the median absolute deviation), its ADC was at "
        "most "
        f"{1e3 * RULE.largest_adc:g} × 10⁻³ mm²/s [@acuteadc], and it lay more than "
        f"{RULE.rim_mm:g} mm from a given haemorrhage. A lesion was a 26-connected component with "
        f"at least {RULE.least_mm3:g} mm³ of core, and the volume of {RULE.least_voxels:g} voxels "
        f"of the series, of core and of voxels up to {RULE.edge_mm:g} mm from it that were "
        "brighter by "
        f"{RULE.edge_spreads:g} standard deviations with an ADC of at most "
        f"{1e3 * RULE.edge_adc:g} × 10⁻³ mm²/s."
    )
    return [text, *used.chosen([(ACUTE_BESIDE_BLEED, remote)])]


BROUGHT = (
    "Maps that only a field of displacements led to the reference were resampled onto it once, "
    "linearly and without the voxels that did not count, and sampled there."
)

INVERTED_TEXT = (
    "Where a field of displacements was given for the other direction alone, its inverse was found "
    f"by iteration [@inverse], and refused where it led back to more than {LARGEST_ERROR_MM:g} mm "
    "from a point of the head."
)


def _map_text() -> str:
    return (
        "Each quantitative map was sampled in its own grid: a map voxel's weight in a region was "
        "the fraction of its volume that the region covered, and means, standard deviations and "
        "quantiles were weighted accordingly. Non-finite values and values outside the map's "
        "valid range did not count, nor did zeros that stand for no data (planes of zeros, the "
        "outside of a map's mask, failed fits); other zeros did. For each map, the width of the "
        "perilesional penumbra [@penumbra] is the distance at which its profile over the shells "
        "meets the plateau of far NAWM: a flat profile, a hinge and two hinges were fitted to the "
        "means of shells by generalised least squares and compared by AICc, and a hinge was tested "
        "against a flat profile. The covariance of the means followed from how alike the map's "
        "voxels are by their distance and from blocks of 16 mm; limits of 95 % are percentiles "
        "of 400 draws. Effective numbers of samples count independent ones in the same way."
    )


def citation_files(settings: Settings, methods: Set[str] | None = None) -> dict[str, str]:
    """Make CITATION.md, .html, .tex and .bib from the methods text.

    Parameters
    ----------
    settings, methods
        The run's settings, and the methods that were used, as there.

    Returns
    -------
    dict
        Content by file name.
    """
    text = methods_text(settings, methods)
    keys = list(dict.fromkeys(_CITATION.findall(text)))
    numbers = {key: number for number, key in enumerate(keys, start=1)}
    entries = bibliography()
    return {
        "CITATION.md": _markdown(text, numbers, entries),
        "CITATION.html": _html(text, numbers, entries),
        "CITATION.tex": _CITATION.sub(r"\\cite{\1}", _tex(text)) + "\n",
        "CITATION.bib": "\n".join(_bibtex(key, entries[key]) for key in keys),
    }


def _markdown(text: str, numbers: dict[str, int], entries: dict[str, dict[str, str]]) -> str:
    body = _CITATION.sub(lambda found: f"[{numbers[found[1]]}]", text)
    references = _references(numbers, entries, lambda doi: f"doi:{doi}")
    return f"# Methods\n\n{body}\n\n# References\n\n" + "\n".join(references) + "\n"


def _html(text: str, numbers: dict[str, int], entries: dict[str, dict[str, str]]) -> str:
    paragraphs = "".join(f"<p>{html.escape(part)}</p>\n" for part in text.split("\n\n"))
    body = _CITATION.sub(lambda found: f"[{numbers[found[1]]}]", paragraphs)
    items = "".join(
        f"<li>{html.escape(entries[key]['text'])} "
        f'<a href="https://doi.org/{entries[key]["doi"]}">doi:{entries[key]["doi"]}</a></li>\n'
        for key in numbers
    )
    return f"<h2>Methods</h2>\n{body}<h2>References</h2>\n<ol>\n{items}</ol>\n"


def _references(
    numbers: dict[str, int], entries: dict[str, dict[str, str]], link: Callable[[str], str]
) -> list[str]:
    return [
        f"{number}. {entries[key]['text']} {link(entries[key]['doi'])}"
        for key, number in numbers.items()
    ]


def _tex(text: str) -> str:
    return text.replace("%", r"\%").replace("_", r"\_").replace("&", r"\&")


def _bibtex(key: str, entry: dict[str, str]) -> str:
    return f"@misc{{{key},\n  note = {{{entry['text']}}},\n  doi = {{{entry['doi']}}}\n}}\n"
