"""The argument parser, made from the settings tree."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import wmhflow
from wmhflow import settings as st
from wmhflow.errors import UsageError
from wmhflow.registries.reading import path_of

EPILOG = """wmhflow atlas --help: atlases, and masks laid on them.
wmhflow submit, status, cancel, check --help: runs on a cluster.
exit codes: 0 everything promised was written; 1 a step failed (the others went on);
2 wrong use; 70 nothing to do was found; 127 a required program is missing."""


COMMANDS = ("submit", "status", "cancel", "check", "atlas")
SUBMIT_FLAGS = frozenset(
    flag for _, _, opt in st.iter_options(st.SUBMIT_GROUPS) for flag in opt.flags
)


class OneSentenceParser(argparse.ArgumentParser):
    """A parser whose complaints are errors of wrong use, one sentence each."""

    _words: frozenset[str] = frozenset()

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read words; of one that is no option's, say which one seems to be meant."""
        self._words = frozenset(sys.argv[1:] if args is None else args)
        given, left = self.parse_known_args(args, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}{self._meant(left)}")
        return given

    def _meant(self, words: Iterable[str]) -> str:
        for word in words:
            name = word.partition("=")[0]
            if name.startswith("--"):
                if near := nearest_word(name, self._option_string_actions):
                    return f"; {near} seems to be meant"
                if name in SUBMIT_FLAGS:
                    return f"; {name} is an option of 'wmhflow submit'"
        return ""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found, as one sentence."""
        if message.startswith("the following arguments are required") and self._takes_several():
            message += (
                "; they stand before options that take several values, as these take all words up "
                "to the next option"
            )
        raise UsageError(f"{message[0].upper()}{message[1:]} (see {self.prog} --help).")

    def _takes_several(self) -> bool:
        return any(
            one.nargs == "+" and self._words & {*one.option_strings} for one in self._actions
        )


def nearest_word(word: str, known: Iterable[str]) -> str:
    """Return the known word that another one nearly is; nothing if it is none.

    Examples
    --------
    >>> nearest_word("--exectuor", ["--executor", "--time"]), nearest_word("--x", ["--time"])
    ('--executor', '')
    """
    return next(iter(get_close_matches(word.lower(), list(known), 1, cutoff=0.75)), "")


class _Once(argparse.Action):
    """An option that cannot be given twice, of which argparse would take the last in silence."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
        option_string: str | None = None,
    ) -> None:  # fmt: skip
        """Keep the value."""
        if hasattr(namespace, self.dest):
            parser.error(f"{option_string} is given twice; write all options into one file")
        setattr(namespace, self.dest, values)


def build_parser() -> argparse.ArgumentParser:
    """Make the command line's parser; every option comes from :mod:`wmhflow.settings`."""
    parser = OneSentenceParser(
        prog="wmhflow",
        description="From a BIDS dataset to white matter hyperintensities, their zones and "
        "shells, and every quantitative map sampled in them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add_places(parser)
    parser.add_argument(
        "level",
        choices=st.LEVELS,
        metavar=f"{{{','.join(st.LEVELS)}}}",
        help="Each person by themselves, or the study's tables.",
    )
    add_options(parser, st.GROUPS)
    return parser


def add_places(parser: argparse.ArgumentParser) -> None:
    """Let a parser take the two folders of a run."""
    for name, told in (("bids_dir", "The BIDS dataset."),
                       ("output_dir", "Where derivatives are written.")):  # fmt: skip
        parser.add_argument(name, type=with_reason(path_of), metavar=name.upper(), help=told)


def add_options(parser: argparse.ArgumentParser, groups: Mapping[str, type]) -> None:
    """Let a parser take all options of some groups, and a file of those of a run."""
    parser.add_argument("--version", action="version", version=f"wmhflow {wmhflow.__version__}")
    parser.add_argument(
        "--config-file",
        type=with_reason(path_of),
        action=_Once,
        metavar="FILE",
        help="A TOML file of options; what the command line states as well, wins.",
    )
    for group, cls in groups.items():
        section = parser.add_argument_group(group, cls.__doc__)
        for owner, entry, opt in st.iter_options(groups):
            if owner == group:
                section.add_argument(*opt.flags, **_argument(group, entry.name, opt))


def _argument(group: str, name: str, opt: st.Option) -> dict[str, Any]:
    common: dict[str, Any] = {"dest": f"{group}.{name}", "help": opt.explained.replace("%", "%%")}
    if st.is_flag(group, name):
        return common | {"action": "store_true"}
    if opt.count:
        return common | {"action": "count"}
    common |= {"type": with_reason(opt.parse), "metavar": opt.metavar}
    if opt.allowed:
        common |= {"choices": opt.allowed}
    if opt.many:
        common |= {"nargs": "+", "action": "extend"}
    return common


def with_reason(parse: Any) -> Any:
    """Let argparse show the reason that a value was refused, which it hides otherwise."""

    def parse_or_explain(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse_or_explain


def parse_settings(arguments: Sequence[str] | None = None) -> st.Settings:
    """Read the command line and, if it names one, the configuration file.

    Parameters
    ----------
    arguments
        The words after the program's name; by default those of the process.

    Returns
    -------
    Settings

    Raises
    ------
    UsageError
        If anything is wrong with them.
    """
    if arguments:
        _check_command(arguments[0])
    given = vars(build_parser().parse_args(arguments))
    positional = {key: given.pop(key) for key in ("bids_dir", "output_dir", "level")}
    return st.build(**positional, chosen=chosen_values(given, st.GROUPS))


def _check_command(word: str) -> None:
    """Refuse a first word that is nearly a command, and no folder."""
    near = nearest_word(word, COMMANDS)
    if near and not Path(word).exists():
        raise UsageError(
            f"There is neither a command nor a folder called '{word}'; '{near}' seems to be meant "
            "(see wmhflow --help)."
        )


def chosen_values(given: dict[str, Any], groups: Mapping[str, type]) -> dict[str, dict[str, Any]]:
    """Sort what a parser with :func:`add_options` found, after what its configuration file says.

    Parameters
    ----------
    given
        What it found, but for the positional arguments.
    groups
        The groups of options that it takes.

    Returns
    -------
    dict
        Values by group and field name.

    Raises
    ------
    UsageError
        If an option has no value, or the configuration file is wrong.
    """
    config_file = given.pop("config_file", None)
    chosen = st.read_config_file(config_file, groups) if config_file else {}
    many = {f"{group}.{entry.name}" for group, entry, opt in st.iter_options(groups) if opt.many}
    for key, value in given.items():
        group, name = key.split(".")
        if isinstance(value, list) and key not in many:
            # argparse takes '--option=--' for an option with an empty list
            raise UsageError(f"--{name.replace('_', '-')} needs a value (see wmhflow --help).")
        plain = tuple(value) if isinstance(value, list) else value
        chosen.setdefault(group, {})[name] = plain
    return chosen
