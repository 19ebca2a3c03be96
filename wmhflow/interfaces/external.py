"""WMH by a program of the user's choice, in the place of the program's own segmentation."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from wmhflow.core.space.geometry import same_grid
from wmhflow.errors import InputError
from wmhflow.files.images import load_volume

TAIL_CHARACTERS = 2000


def fill_command(command: str, **paths: str) -> list[str]:
    """Split a command line and put paths in the place of ``{t1w}``, ``{flair}`` and ``{out}``.

    Parameters
    ----------
    command
        As a shell would read it, quotes included; no shell runs it.
    paths
        Path by placeholder. A path stays one word, whatever it holds.

    Returns
    -------
    list of str
        Program and arguments.

    Examples
    --------
    >>> fill_command("tool -i {flair} --out={out}", flair="/a b/f.nii", out="o.nii")
    ['tool', '-i', '/a b/f.nii', '--out=o.nii']
    """
    words = shlex.split(command)
    for name, path in paths.items():
        words = [word.replace("{" + name + "}", path) for word in words]
    return words


class _ExternalInput(BaseInterfaceInputSpec):
    command = traits.Str(mandatory=True, desc="command line with placeholders")
    t1w = File(exists=True, desc="T1w in its own space")
    flair = File(exists=True, desc="FLAIR in its own space")
    reference_name = traits.Enum("T1w", "FLAIR", mandatory=True)
    other_transform = File(exists=True, desc="from the other image to the reference")


class _ExternalOutput(TraitedSpec):
    mask = File(exists=True, desc="what the program wrote")
    transforms = traits.List(File(exists=True), desc="from its grid to the reference")


class ExternalWMH(SimpleInterface):
    """Run a program that writes a WMH mask on the grid of the T1w or of the FLAIR."""

    input_spec = _ExternalInput
    output_spec = _ExternalOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs = self.inputs
        out = Path(runtime.cwd) / "external_wmh.nii.gz"
        given = {name: str(path) for name in ("t1w", "flair") if (path := getattr(inputs, name))}
        run_program(fill_command(inputs.command, out=str(out), **given), runtime.cwd, out)
        grid = grid_of_mask(out, given)
        moved = grid != inputs.reference_name.lower()
        self._results["mask"] = str(out)
        self._results["transforms"] = [inputs.other_transform] if moved else []
        return runtime


def run_program(words: list[str], folder: str, out: Path) -> None:
    """Run a program in a folder; what it prints goes to ``external.log`` there.

    Parameters
    ----------
    words
        Program and arguments.
    folder
        Where it runs.
    out
        The file that it has to write.

    Raises
    ------
    InputError
        If the program fails, or does not write the file; with the end of what it printed.
    """
    log = Path(folder) / "external.log"
    with log.open("wb") as stream:
        done = subprocess.run(
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, check=False
        )
    said = log.read_text(encoding="utf-8", errors="replace")[-TAIL_CHARACTERS:].strip()
    if done.returncode != 0:
        raise InputError(
            f"--wmh-command: {words[0]} ended with exit code {done.returncode}: {said}"
        )
    if not out.is_file():
        raise InputError(f"--wmh-command: {words[0]} did not write {{out}} ({out.name}): {said}")


def grid_of_mask(mask: Path, images: dict[str, str]) -> str:
    """Say on which image's grid a mask lies, and refuse what is no mask.

    Parameters
    ----------
    mask
        The mask.
    images
        Paths by name; the first one with the mask's grid counts.

    Returns
    -------
    str
        The name.

    Raises
    ------
    InputError
        If the mask lies on no image's grid, or holds probabilities.
    """
    data, affine, _ = load_volume(mask)
    values = np.unique(data[np.isfinite(data)])
    if np.any((values > 0) & (values < 1)) and values.size > 2:
        raise InputError(
            f"--wmh-command wrote {values.size} different values between {values.min():g} and "
            f"{values.max():g}, which are no mask; have the program write a mask of 0 and 1."
        )
    for name, path in images.items():
        image: Any = nib.load(path)
        if same_grid(data.shape, affine, image.shape, image.affine):
            return name
    raise InputError(
        "--wmh-command wrote a mask that lies on the grid of none of "
        f"{' and '.join('{' + name + '}' for name in images)}; have the program write it there."
    )
