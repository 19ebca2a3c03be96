"""Programs in the place of others: they check how they are called, and write what the others write.

A lesion is, for all of them, what is brighter than 5 in the FLAIR, or than 450 in that of a head.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

READ = """
import argparse, glob, json, os, sys
import nibabel, numpy

def load(path):
    assert path.endswith('.nii.gz'), path
    image = nibabel.load(path)
    return numpy.asarray(image.dataobj), image.affine

def bright(values):
    return values > (5 if values.max() < 10 else 450)

def save(path, values, affine, kind=nibabel.Nifti1Image):
    nibabel.save(kind(values, affine), path)

def asked(*names, **more):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in names:
        parser.add_argument(name, **more)
    return parser
"""
TOOLS = {
    "lst": """
parser = asked('--t1', '--flair', '--output', '--device', required=True)
parser.add_argument('--segment_only', action='store_true', required=True)
args = parser.parse_args()
load(args.t1)
values, affine = load(args.flair)
assert args.device == 'cpu'
name = 'space-flair_seg-lst.nii.gz'
save(os.path.join(args.output, name), bright(values).astype('uint8'), affine)
open(os.path.join(args.output, 'lesion_stats.csv'), 'w').close()
""",
    "pipeline_nnunet.py": """
parser = asked('--flair', '--t1', '-o', required=True)
args = parser.parse_args()
load(args.t1)
values, affine = load(args.flair)
save(args.o, bright(values).astype('uint8'), affine)
open(args.o.replace('.nii.gz', '_QC.html'), 'w').close()
""",
    # voxels of half the size, stored along other axes
    "mri_WMHsynthseg": """
args = asked('--i', '--o', required=True).parse_args()
values, affine = load(args.i)
codes = numpy.where(bright(values), 77, numpy.where(values > 2, 2, 41)).astype('int32')
fine = codes.repeat(2, 0).repeat(2, 1).repeat(2, 2)
to_fine = affine @ numpy.diag([0.5, 0.5, 0.5, 1])
to_fine[:3, 3] -= to_fine[:3, :3] @ [0.5, 0.5, 0.5]
save(args.o, fine.transpose(2, 0, 1), to_fine[:, [2, 0, 1, 3]])
""",
    "run_samseg": """
parser = asked('--output', required=True)
parser.add_argument('--input', nargs='+', required=True)
parser.add_argument('--lesion-mask-pattern', nargs='+', required=True)
for name in ('--lesion', '--pallidum-separate'):
    parser.add_argument(name, action='store_true', required=True)
args = parser.parse_args()
assert args.lesion_mask_pattern == ['0', '1'][-len(args.input):], args
loaded = [load(path) for path in args.input]
for other, affine in loaded:
    assert other.shape == loaded[-1][0].shape and numpy.allclose(affine, loaded[-1][1])
values = loaded[-1][0]
codes = numpy.where(bright(values), 99, numpy.where(values > 2, 2, 41)).astype('int32')
save(os.path.join(args.output, 'seg.mgz'), codes, affine, nibabel.MGHImage)
open(os.path.join(args.output, 'samseg.stats'), 'w').close()
""",
    "prepare_truenet_data": """
args = asked('--FLAIR', '--T1', '--outname').parse_args()
for name, path in (('FLAIR', args.FLAIR), ('T1', args.T1)):
    if path:
        values, affine = load(path)
        turned = affine @ numpy.diag([-1, 1, 1, 1])
        turned[:3, 3] = affine[:3, 3] + affine[:3, 0] * (len(values) - 1)
        save(f'{args.outname}_{name}.nii.gz', values[::-1], turned)
""",
    "truenet": """
assert sys.argv.pop(1) == 'evaluate'
args = asked('-i', '-m', '-o', required=True).parse_args()
(flair,) = glob.glob(os.path.join(args.i, '*_FLAIR.nii.gz'))
both = glob.glob(os.path.join(args.i, '*_T1.nii.gz'))
assert args.m == ('mwsc' if both else 'mwsc_flair')
values, affine = load(flair)
name = os.path.basename(flair).replace('_FLAIR', '')
chance = numpy.where(bright(values), 0.9, 0.1).astype('float32')
save(os.path.join(args.o, 'Predicted_probmap_truenet_' + name), chance, affine)
""",
}
# What stands for the image is a folder: its programs, and FreeSurfer's set-up.
DAEMON = """
import json, os, subprocess, sys
record, image = {record!r}, {image!r}
words = sys.argv[1:]
with open(record, 'a') as stream:
    stream.write(json.dumps(words) + chr(10))
assert words.pop(0) == 'run'
options = []
while words[0].startswith('-'):
    name = words.pop(0)
    options.append((name, None if name == '--rm' else words.pop(0)))
given = dict(options)
words = [given['--entrypoint'], *words[1:]]
environment = dict(value.split('=', 1) for name, value in options if name == '--env')
cwd = given['--workdir']
"""
SINGULAR = """
import json, os, subprocess, sys
record, image = {record!r}, {image!r}
words = sys.argv[1:]
with open(record, 'a') as stream:
    stream.write(json.dumps(words) + chr(10))
assert words.pop(0) == 'exec'
options = []
while words[0].startswith('-'):
    name = words.pop(0)
    options.append((name, None if name in ('--containall', '--net') else words.pop(0)))
if '--net' in dict(options) and not {network!r}:
    sys.exit('no network of its own')
given = dict(options)
words = words[1:]
if words == ['true']:
    sys.exit(0)
environment = dict(value.split('=', 1) for name, value in options if name == '--env')
environment['HOME'] = given['--home']
cwd = given['--pwd']
"""
INSIDE = """
if words[:2] == ['python', '/opt/scripts/pipeline_nnunet.py']:
    words = ['pipeline_nnunet.py', *words[2:]]
environment |= dict(PATH=image + ':/usr/bin:/bin', FREESURFER_HOME=image)
sys.exit(subprocess.run(words, cwd=cwd, env=environment).returncode)
"""


def make_program(folder: Path, name: str, code: str) -> Path:
    """Write an executable."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
    path.chmod(0o755)
    return path


def make_tools(folder: Path, *names: str) -> Path:
    """Write the programs of some segmenters; all by default."""
    for name in names or TOOLS:
        make_program(folder, name, READ + TOOLS[name])
    return folder


def make_runtime(folder: Path, name: str, *, network: bool = True) -> Path:
    """Write docker's or apptainer's stand-in, and return the file that holds how it was called.

    What it runs lies in the folder ``image`` beside it.
    """
    image, record = make_tools(folder.parent / "image"), folder.parent / f"{name}.jsonl"
    (image / "SetUpFreeSurfer.sh").write_text("echo set up\n", encoding="utf-8")
    code = DAEMON if name in {"docker", "podman"} else SINGULAR
    filled = code.format(record=str(record), image=str(image), network=network)
    make_program(folder, name, filled + INSIDE)
    return record


def calls(record: Path) -> list[list[str]]:
    """Read how a runtime was called."""
    return [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]


def before_path(folder: Path) -> str:
    """Return a PATH on which a folder comes first, and no runtime of the machine's own is left."""
    runtimes = {"docker", "podman", "apptainer", "singularity"}
    places = os.environ["PATH"].split(os.pathsep)
    clean = [place for place in places if not any((Path(place) / one).exists() for one in runtimes)]
    return os.pathsep.join([str(folder), *clean])
