"""The methods text and its references, with the parameters that were really used."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path

from wmhflow.bids.naming import TEMPLATE
from wmhflow.core.diffusion.acute import RULE
from wmhflow.core.wmh.filling import LEAST_AGAIN_ML
from wmhflow.core.wmh.model import THICK_MM, LesionModel
from wmhflow.files.versions import software_versions
from wmhflow.labels.schemes import zone_schemes
from wmhflow.plan.acute import ACUTE_B
from wmhflow.plan.atlases import LOBES_ATLAS
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


def methods_text(settings: Settings) -> str:
    """Write the methods text; citations stand as ``[@key]``.

    Parameters
    ----------
    settings
        The run's settings.
    """
    return "\n\n".join(
        [
            _registration_text(settings),
            _mask_text(settings),
            _region_text(settings),
            *_atlas_text(settings),
            _diffusion_text(settings),
            _uptake_text(settings),
            *_acute_text(settings),
            _map_text(),
        ]
    )


def _registration_text(settings: Settings) -> str:
    versions = software_versions()
    reference = {"auto": "T1w image (or the FLAIR, where there was no T1w)"}.get(
        settings.anatomy.reference, f"{settings.anatomy.reference} image"
    )
    indexed = ""
    if settings.inputs.bids_database_dir is not None:
        indexed = f", indexed with PyBIDS {versions['pybids']} [@pybids],"
    return (
        f"Images organised in BIDS [@bids]{indexed} "
        f"were processed with wmhflow {versions['wmhflow']}, a Nipype {versions['nipype']} "
        f"[@nipype] workflow. The {reference} of each visit served as the reference: all label "
        "images were made once in its native grid. Where no transform was given, the other "
        "anatomical image and each group of quantitative maps were registered rigidly to it (by "
        "mutual information, from several starting positions and rotations), and "
        f"it was registered to the symmetric template {TEMPLATE} [@icbm152], as packaged by "
        f"Nilearn {versions['nilearn']} [@nilearn], with an affine and a SyN transform of ANTs "
        f"(antspyx {versions['antspyx']}) [@ants], with one thread and the random seed "
        f"{settings.execution.random_seed}. WMH were filled for that registration "
        "with the brightness of the white matter around them [@filling]; where they were computed, "
        f"which takes a registration, it was made anew from {LEAST_AGAIN_ML:g} ml of WMH on."
    )


def _mask_text(settings: Settings) -> str:
    anatomy = settings.anatomy
    model = LesionModel()
    computed = (
        "computed on the FLAIR's own grid, as outliers from the brightness of the person's own "
        "tissues where the template's priors expect them [@outliers], weighed slice by slice by a "
        "small U-Net [@unet] that was trained on simulated scans, with a probability of at "
        f"least {model.threshold:g}, up to where they stand out {model.edge:.0%} as much as the "
        "core of the lesion, and further in where that is not brighter than the person's cortex by "
        f"{model.above_cortex:.0%} of the brightness of white matter (to {model.highest_edge:.0%} "
        f"of the core at most, {model.thick_highest_edge:.0%} in slices above {THICK_MM:g} mm), "
        "without ventricles and septum"
    )
    if anatomy.wmh_command:
        computed = _program_text(anatomy.wmh_command, anatomy.segmenter_image)
    wmh = {
        "auto": f"given masks were used as they were; where there was none, they were {computed}",
        "given": "given masks were used as they were",
        "compute": f"they were {computed}",
    }[anatomy.wmh_source]
    filled = " Holes in given masks were filled." if anatomy.fill_holes else ""
    guard = f"{anatomy.tissue_guard:g} mm" if anatomy.tissue_guard else "one (smallest) voxel edge"
    return (
        "Tissues and lateral ventricles were read from a given FreeSurfer-coded parcellation "
        "where there was one; otherwise the bias field was corrected with N4 [@n4], tissues were "
        "segmented with a mixture of Gaussians, the template's priors [@mixture] and a Markov "
        "random field [@fast], and cerebrospinal fluid inside the warped ventricle prior was taken "
        "as lateral ventricle. For white matter "
        f"hyperintensities (WMH), {wmh}.{filled} A lesion is a 26-connected component. Where a "
        "mask of infarcts was given, its voxels were kept out of WMH and NAWM, of the metric of "
        "the registration to the template and of the tissues' intensity model. "
        "Normal-appearing white matter (NAWM) is cerebral white matter that is not WMH and whose "
        f"voxel centres lie more than {guard} from those of cerebrospinal fluid and grey matter."
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


def _atlas_text(settings: Settings) -> list[str]:
    """Say which atlases were laid over, by which template, and under which licence; one paragraph.

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
            f"{regions.atlas_threshold:g} on): {listed}. What lies on another template was brought "
            f"to {TEMPLATE} by registering the two templates' images, or the atlas's own labels."
        )
    lobes = known[LOBES_ATLAS]
    if LOBES_ATLAS in given or cached_path(lobes, lobes.image).is_file():
        sentences.append(
            "Where no parcellation gave the parcels of the cortex, every voxel of cortex took the "
            f"lobe of the nearest parcel of {_atlas_words(LOBES_ATLAS, '', lobes)}."
        )
    return [" ".join(sentences)] if sentences else []


def _atlas_words(name: str, path: str, definition: AtlasDefinition | None) -> str:
    if definition is None:
        return f"{name} ({Path(path).name})"
    return f"{definition.title} [@{definition.citation}] (licence: {definition.licence})"


def _diffusion_text(settings: Settings) -> str:
    robust = ""
    if settings.inputs.tensor_fit == "robust":
        robust = (
            ", and again, in and around white matter, by iterated weights that leave out volumes "
            "that do not agree [@rwls]"
        )
    return (
        "Where a diffusion series was there and a map of it was not given, it was computed: the "
        f"tensor by weighted least squares [@wls] from volumes of b up to 1500 s/mm²{robust}; "
        "kurtosis [@kurtosis] by DIPY [@dipy], free water [@freewater], the two parts of "
        "intravoxel incoherent motion [@ivim] and fractions of tissues [@fractions] where the "
        "b-values allowed it. Tables of gradients were compared with the course of fibres "
        "[@coherence]. DTI-ALPS [@alps] was read from tensors that were averaged in each region "
        "and then turned into the frame of the head. The JSON file of each map tells which volumes "
        "were used."
    )


def _uptake_text(settings: Settings) -> str:
    chosen = load_references().get(settings.inputs.suvr_reference)
    region = (
        f"the {chosen.title}"
        if chosen
        else "the pons (FDG) [@pons] or the grey matter of the cerebellum (amyloid and tau)"
    )
    return (
        "Where a PET was there and no map of uptake, it was divided by its mean in "
        f"{region}, without the region's border, WMH and other lesions (SUVR); the JSON file of "
        "the map tells the region and the frames. Single voxels of spectroscopy [@niftimrs] were "
        "joined to tissues and zones by the exact volumes that they share."
    )


def _acute_text(settings: Settings) -> list[str]:
    """Say by which rule acute lesions were found; one paragraph, or none."""
    if settings.anatomy.acute_source != "dwi":
        return []
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
        f"{1e3 * RULE.edge_adc:g} × 10⁻³ mm²/s. A "
        "lesion was called remote from a haemorrhage from "
        f"{settings.regions.remote_mm:g} mm on, from edge to edge [@remote]."
    )
    return [text]


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


def citation_files(settings: Settings) -> dict[str, str]:
    """Make CITATION.md, .html, .tex and .bib from the methods text.

    Parameters
    ----------
    settings
        The run's settings.

    Returns
    -------
    dict
        Content by file name.
    """
    text = methods_text(settings)
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
