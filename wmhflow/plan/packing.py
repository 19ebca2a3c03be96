"""Plans as bytes, for processes that plan for another one: what all share is named, not copied."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable
from typing import Any

from wmhflow.bids.query import FoundFile
from wmhflow.plan.atlases import PlannedAtlases
from wmhflow.registries.maps import MapDefinition
from wmhflow.registries.producers import load_producers


def rows_of_run(maps: Iterable[MapDefinition], atlases: PlannedAtlases) -> tuple[object, ...]:
    """List the rows of registries that everybody's plans hold.

    Parameters
    ----------
    maps
        The run's registry of maps.
    atlases
        The run's atlases.
    """
    files = (file for producer in load_producers().values() for file in producer.files)
    return (*maps, *files, *atlases.asked)


class Packing:
    """Turns objects into bytes and back, between a process and one that was forked from it.

    Parameters
    ----------
    shared
        Objects that both have; where one of them stands its place in this list is written.
    """

    def __init__(self, shared: Iterable[object] = ()) -> None:
        self._shared = tuple(shared)
        self._places = {id(one): place for place, one in enumerate(self._shared)}
        kinds = {type(one) for one in self._shared}
        self._ways: dict[type, Callable[[Any], Any]] = dict.fromkeys(kinds, self._reduced)
        self._ways[FoundFile] = _fields_of_file

    def pack(self, what: object) -> bytes:
        """Return an object as bytes."""
        stream = io.BytesIO()
        pickler = pickle.Pickler(stream, pickle.HIGHEST_PROTOCOL)
        pickler.dispatch_table = self._ways
        pickler.dump(what)
        return stream.getvalue()

    def unpack(self, content: bytes) -> Any:
        """Return the object that :meth:`pack` was given, or one that equals it."""
        return _Unpickler(io.BytesIO(content), self._shared).load()

    def _reduced(self, one: Any) -> Any:
        place = self._places.get(id(one))
        return one.__reduce_ex__(pickle.HIGHEST_PROTOCOL) if place is None else (shared, (place,))


def shared(place: int) -> object:
    """Stand in packed plans for what both processes have; :class:`Packing` puts it there."""
    raise LookupError(f"{place} stands for an object of the process that planned")


def _fields_of_file(file: FoundFile) -> Any:
    # without what was found out about it meanwhile
    return FoundFile, (file.path, file.entities, file.dataset, file.root, file.kind, file.part)


class _Unpickler(pickle.Unpickler):
    """Reads what this program's own processes wrote, and puts shared objects in their places."""

    def __init__(self, stream: io.BytesIO, objects: tuple[object, ...]) -> None:
        super().__init__(stream)
        self._objects = objects

    def find_class(self, module: str, name: str) -> Any:
        """Return a class or function by its name; of :func:`shared` what looks here."""
        if (module, name) == (shared.__module__, shared.__name__):
            return self._objects.__getitem__
        return super().find_class(module, name)
