"""The one adapter: a nipype interface from a step's function, its annotations and what it needs."""

from __future__ import annotations

import inspect
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from wmhflow.bids.writer import read_object
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.diffusion.gradients import UnfitSeriesError
from wmhflow.core.space.geometry import GeometryError
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError, NoSpaceError
from wmhflow.files.checksums import checksum
from wmhflow.files.images import read_series_header
from wmhflow.files.space import full_folder, is_full, no_space
from wmhflow.files.template import Template
from wmhflow.steps.kinds import KINDS, Columns, Kind, Needs, needs_of, save_json

# a name that pickle finds in this module: the function's module and name
_SEPARATOR = ":"
AFTER = "after"
# what the files that a step made held, in the step's own folder
MADE = "made.json"
log = logging.getLogger("wmhflow")


class Port(NamedTuple):
    """An input or output of a step: what kind of file it is, if it is one, and whether of many."""

    name: str
    kind: Kind | None
    is_list: bool = False
    is_text: bool = False
    default: Any = inspect.Parameter.empty


def interface_of(function: Callable[..., Any]) -> SimpleInterface:
    """Make an interface that runs a step's function on files.

    Parameters
    ----------
    function
        A step; see :func:`wmhflow.steps.kinds.step`.
    """
    return _class_of(function)()


class _HashedSpec(BaseInterfaceInputSpec):
    """Inputs known by what their files hold, each read once in a process.

    Nipype reads a file twice whenever it asks whether a step is done already, which for images of
    256 voxels a side took as long as many a step.
    """

    def _get_sorteddict(
        self,
        objekt: Any,
        dictwithhash: bool = False,
        hash_method: str | None = None,
        hash_files: bool = True,
    ) -> Any:
        # pathlib raises where a text is too long for a name
        if hash_files and isinstance(objekt, str) and os.path.isfile(objekt):  # noqa: PTH113
            try:
                digest = checksum(Path(objekt))
            except InputError:
                # gone since: the step that reads it says so
                digest = ""
            return (objekt, digest) if dictwithhash else digest
        return super()._get_sorteddict(objekt, dictwithhash, hash_method, hash_files)


@cache
def _class_of(function: Callable[..., Any]) -> type[SimpleInterface]:
    needs: Needs = needs_of(function)
    inputs, folder = input_ports(function)
    outputs = output_ports(function)

    def run(self: SimpleInterface, runtime: Any) -> Any:
        try:
            return carry_out(self, runtime)
        except Exception as error:
            # whatever it is, a full disk is the reason to be told
            full = _full_disk(error, Path(runtime.cwd))
            if full is None:
                raise
            raise full from error

    def carry_out(self: SimpleInterface, runtime: Any) -> Any:
        values = {port.name: getattr(self.inputs, port.name) for port in inputs}
        values = {name: value for name, value in values.items() if isdefined(value)}
        try:
            given = {port.name: _loaded(port, values[port.name]) for port in inputs
                     if port.name in values}  # fmt: skip
            if folder:
                given[folder] = Path(runtime.cwd)
            made = function(**given)._asdict()
        except (InputError, GeometryError, UnfitImageError, UnfitSeriesError) as error:
            if not needs.gives_maps:
                raise
            made = _without_maps(outputs, values, error)
        for port in outputs:
            value = made[port.name]
            if value is not None:
                self._results[port.name] = _saved(port, Path(runtime.cwd), value)
        _note_made(Path(runtime.cwd), self._results.values())
        return runtime

    members = {
        "_run_interface": run,
        "_always_run": needs.always,
        "seconds": needs.seconds,
        "calls_ants": needs.ants,
        "input_spec": _spec(function, "Inputs"),
        "output_spec": _spec(function, "Outputs"),
    }
    return type(_pickled_name(function, "Interface"), (SimpleInterface,), _located(members))


def _without_maps(
    outputs: Iterable[Port], values: Mapping[str, Any], error: Exception
) -> dict[str, Any]:
    """Say why a step makes no maps of an image, and give NaN on the image's grid in their place.

    The image is what the step takes first. One that is gone since is another matter: the visit's.
    """
    first = next(iter(values.values()))
    path = Path(first[0] if isinstance(first, list) else first)
    if not path.is_file():
        raise error
    shape, affine, _ = read_series_header(path)
    log.warning("No map is made of %s, and what would be is n/a: %s", path, error)
    nothing: dict[Kind | None, Any] = {
        KINDS[Grid3D]: Grid3D(np.full(shape[:3], np.nan, np.float32), affine),
        KINDS[Columns]: Columns(np.empty((0, 6)), np.zeros(shape[:3], bool), affine),
        None: {"refused": 1},
    }
    return {port.name: nothing[port.kind] for port in outputs}


@cache
def _spec(function: Callable[..., Any], part: str) -> type:
    """Make the traits of a step's inputs or outputs."""
    base: Any = _HashedSpec if part == "Inputs" else TraitedSpec
    ports = input_ports(function)[0] if part == "Inputs" else output_ports(function)
    members = {port.name: _trait(port, is_input=part == "Inputs") for port in ports}
    if part == "Inputs":
        # what has to be there before, and is not read
        members[AFTER] = traits.Any()
    return type(base)(_pickled_name(function, part), (base,), _located(members))


def _full_disk(error: Exception, folder: Path) -> NoSpaceError | None:
    """Say that a step failed for a full disk, which libraries say in ways of their own."""
    if isinstance(error, NoSpaceError):
        return None
    caches = filter(None, map(os.environ.get, ("NUMBA_CACHE_DIR", "MPLCONFIGDIR")))
    found = full_folder([folder, tempfile.gettempdir(), *caches])
    if found is None and is_full(error):
        name = getattr(error, "filename", None)
        found = Path(name).parent if name else folder
    return None if found is None else no_space(found)


def _trait(port: Port, *, is_input: bool) -> Any:
    needed = {"mandatory": True} if is_input and port.default is inspect.Parameter.empty else {}
    if port.kind and not port.is_text:
        # whether a given file is there says who reads it: nipype would forget the path of one that
        # is gone since, and end the run of all persons where it asks for it in the main process
        if not port.is_list:
            return File(exists=not is_input, **needed)
        return InputMultiObject(File(), **needed) if is_input else traits.List(File())
    if is_input and not needed and port.default is not None:
        return traits.Any(port.default, usedefault=True)
    return traits.Any(**needed)


def input_ports(function: Callable[..., Any]) -> tuple[list[Port], str | None]:
    """Read a step's parameters; a folder that it may fill is named apart."""
    hints = get_type_hints(function, include_extras=True)
    ports, folder = [], None
    for name, parameter in inspect.signature(function).parameters.items():
        if get_origin(hints[name]) is Annotated and "folder" in hints[name].__metadata__:
            folder = name
        else:
            ports.append(_port(name, hints[name])._replace(default=parameter.default))
    return ports, folder


def output_ports(function: Callable[..., Any]) -> list[Port]:
    """Read what a step gives: the fields of the named tuple that it returns."""
    given = get_type_hints(function)["return"]
    return [_port(name, hint) for name, hint in get_type_hints(given, include_extras=True).items()]


def _port(name: str, hint: Any) -> Port:
    """Find out what an annotation means: a kind of file, several of them, or a plain value."""
    if get_origin(hint) in (Union, UnionType):
        hint = next(part for part in get_args(hint) if part is not NoneType)
    if get_origin(hint) in (list, tuple, Sequence) and _kind(get_args(hint)[0]):
        return Port(name, _kind(get_args(hint)[0]), is_list=True)
    return Port(name, _kind(hint), is_text=hint is Template)


def _kind(hint: Any) -> Kind | None:
    if get_origin(hint) is Annotated:
        return next((KINDS[mark] for mark in hint.__metadata__ if mark in KINDS), None)
    return KINDS.get(hint) if isinstance(hint, type) else None


def _loaded(port: Port, value: Any) -> Any:
    if port.kind is None:
        return value
    return [port.kind.load(path) for path in value] if port.is_list else port.kind.load(value)


def _saved(port: Port, folder: Path, value: Any) -> Any:
    """Write what a step gave, and return its path; paths and plain values stay as they are."""
    if port.is_list:
        return [str(path) for path in value]
    if port.kind is None:
        return value
    if port.kind.save is None:
        return str(value)
    path = folder / f"{port.name}{port.kind.ending}"
    port.kind.save(path, value)
    return str(path)


def _note_made(folder: Path, results: Iterable[Any]) -> None:
    """Note what the files hold that a step made in its own folder."""
    paths = [Path(part) for value in results for part in _texts(value)]
    own = [path for path in paths if path.is_relative_to(folder) and path.is_file()]
    made = {path.relative_to(folder).as_posix(): checksum(path) for path in own}
    save_json(folder / MADE, made)


def _texts(value: Any) -> list[str]:
    return [part for part in (value if isinstance(value, list) else [value])
            if isinstance(part, str)]  # fmt: skip


def is_intact(folder: Path) -> bool:
    """Tell whether what a step made is still there as it was made.

    Parameters
    ----------
    folder
        The step's own.
    """
    made = read_object(folder / MADE)
    try:
        return (folder / MADE).is_file() and all(
            checksum(folder / name) == held for name, held in made.items()
        )
    except (InputError, OSError):
        return False


# ---- classes made here are found again by pickle, in whatever process it runs --------------------


def _pickled_name(function: Callable[..., Any], part: str) -> str:
    return _SEPARATOR.join([*function.__module__.split("."), function.__name__, part])


def _located(members: dict[str, Any]) -> dict[str, Any]:
    return members | {"__module__": __name__}


def __getattr__(name: str) -> Any:
    """Make a class again that pickle asks for by its name."""
    *module, function, part = ["", *name.split(_SEPARATOR)]
    if len(module) < 2:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(".".join(module[1:])), function)
    return _class_of(found) if part == "Interface" else _spec(found, part)
