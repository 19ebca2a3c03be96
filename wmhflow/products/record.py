"""What a finished visit was made from, so that a second run knows that nothing is left to do."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from wmhflow.bids.writer import write_json
from wmhflow.files.checksums import checksum
from wmhflow.files.versions import software_versions
from wmhflow.plan.visit import VisitPlan, how_wmh
from wmhflow.products.outputs import promised_files
from wmhflow.settings import Settings


def record_path(subject: str, session: str | None) -> PurePosixPath:
    """Return where it is kept what a finished visit was made from."""
    name = f"ses-{session}_record.json" if session else "record.json"
    return PurePosixPath("logs") / f"sub-{subject}" / name


def visit_record(visit: VisitPlan, settings: Settings) -> dict[str, Any]:
    """State everything that a visit's outputs depend on.

    Parameters
    ----------
    visit
        The plan.
    settings
        The run's settings.

    Returns
    -------
    dict
        Checksums of all inputs, the settings that change results, and versions.
    """
    anatomy, regions = settings.anatomy, settings.regions
    return {
        "inputs": {file.uri: checksum(file.path) for file in visit.sources},
        "settings": {
            "reference": visit.reference,
            "wmh": how_wmh(visit),
            "registration_qc": anatomy.registration_qc,
            "fill_holes": anatomy.fill_holes,
            "tissue_guard": anatomy.tissue_guard,
            "zones": list(regions.zones),
            "bullseye_layers": regions.bullseye_layers,
            "cross": [list(pair) for pair in regions.cross],
            "lesion_rule": regions.lesion_rule,
            "shell_width": regions.shell_width,
            "shell_max": regions.shell_max,
            "lobes": visit.lobes,
            "atlases": [atlas.name for atlas in visit.atlases],
            "atlas_threshold": regions.atlas_threshold,
            "random_seed": settings.execution.random_seed,
        },
        "maps": {
            entry.name: {
                "file": entry.file.uri,
                "unit": entry.definition.unit,
                "valid_range": list(entry.definition.valid_range),
                "alignment": entry.how,
            }
            for entry in visit.maps
        },
        "atlases": {
            atlas.name: {
                "template": atlas.template,
                "by_labels": atlas.by_labels,
                "files": {role: checksum(path) for role, path in atlas.files.items()},
            }
            for atlas in visit.laid_atlases
        },
        "versions": software_versions(),
    }


def is_finished(visit: VisitPlan, settings: Settings) -> bool:
    """Tell whether a visit's outputs exist and were made from the same inputs and settings."""
    path = settings.output_dir / record_path(visit.subject, visit.session)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    outputs = record.pop("outputs", {})
    if set(outputs) != {str(path) for path in promised_files(visit, settings)}:
        return False
    if not all(_has_size(settings.output_dir, name, size) for name, size in outputs.items()):
        return False
    return bool(record == visit_record(visit, settings))


def _has_size(folder: Path, name: str, size: int) -> bool:
    path = folder / PurePosixPath(name)
    return path.is_file() and path.stat().st_size == size


def begin_again(visit: VisitPlan, settings: Settings) -> None:
    """Take back that a visit is finished, and remove what it promised then and not any more.

    Otherwise a table of a map that was withdrawn would stay and be gathered at the group level.
    """
    path = settings.output_dir / record_path(visit.subject, visit.session)
    try:
        outputs = json.loads(path.read_text(encoding="utf-8")).get("outputs", {})
    except (FileNotFoundError, json.JSONDecodeError):
        return
    path.unlink()
    promised = {str(name) for name in promised_files(visit, settings)}
    for name in set(outputs) - promised:
        (settings.output_dir / PurePosixPath(name)).unlink(missing_ok=True)


def write_record(visit: VisitPlan, settings: Settings, made_from: dict[str, Any]) -> None:
    """Note that a visit is finished; this is the last thing written for it.

    Parameters
    ----------
    visit
        The plan.
    settings
        The run's settings.
    made_from
        What :func:`visit_record` said before the run began.
    """
    outputs = {
        str(path): (settings.output_dir / path).stat().st_size
        for path in promised_files(visit, settings)
    }
    path = settings.output_dir / record_path(visit.subject, visit.session)
    write_json(path, made_from | {"outputs": outputs})
