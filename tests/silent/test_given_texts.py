"""Files of options, filters and maps that do not say what they seem to: one row per case.

Each row is the file's text, and a part of the one sentence that refuses it. What was taken before,
in silence, narrowed or added nothing, or ended in a traceback.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from wmhflow.bids.query import check_dataset, read_filters
from wmhflow.errors import InputError, UsageError
from wmhflow.files.transforms import read_transform
from wmhflow.registries.maps import load_maps
from wmhflow.settings import read_config_file
from wmhflow.workflows.plugins import read_plugin

DEEP = 200_000
FLOW = 'name = "Flow"\nunit = "1"\nvalid_range = [0.0, 1.0]\nquery = { suffix = "cbf" }\n'
MAP = f"[[map]]\n{FLOW}"


def refusal(reader: object, path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        reader(path)
    said = str(refused.value)
    assert str(path) in said
    assert "\n" not in said
    assert len(said) < 1000
    return said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("[" * DEEP, "nested too deep", id="deep"),
        pytest.param('{"map": {"run": 1' + "1" * 5000 + "}}", "thousands of digits", id="digits"),
        ('{"map": {"suffix": {"is": "cbf"}}}', "'map' has 'suffix', which is neither text nor"),
        ('{"map": {"suffix": [["cbf"]]}}', "'suffix', which is neither"),
        ('{"map": {"suffix": true}}', "'suffix', which is neither"),
        ('{"map": {"run": 1.5}}', "'run', which is neither"),
        # off, or absent? JSON has a null for the latter
        ('{"map": {"mt": false}}', "'mt', which is false (null says that a file has none)"),
        ('{"t1w": {"acquisition": ["a", false]}}', "'acquisition', which is false"),
        ('{"t1w": {"acq": "mprage"}}', "'acquisition' seems to be meant"),
        ('{"map": {"Suffix": "cbf"}}', "'suffix' seems to be meant"),
        ('{"map": {"sufix": "cbf"}}', "'suffix' seems to be meant"),
        ('{"wmh": {"labels": "WMH"}}', "'label' seems to be meant"),
        ("", "cannot be read as JSON"),
        ("[]", "must hold an object of objects"),
    ],
)
def test_filters(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(read_filters, tmp_path / "filters.json", text)


def test_filters_of_ones_own_entities_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "filters.json"
    path.write_text('{"wmh": {"rater": ["a", 2], "acquisition": null, "run": 1}}', encoding="utf-8")
    assert read_filters(path) == {"wmh": {"rater": ["a", 2], "acquisition": None, "run": 1}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds none, where [[map]] tables are meant"),
        (f"[map]\n{FLOW}", "holds none"),
        (f"[[maps]]\n{FLOW}", "holds 'maps'"),
        (f"x = 1\n{MAP}", "holds 'x'"),
        (f'{MAP}transfrom_from = ["asl"]\n', "'transfrom_from', which is no field of a map"),
        (f'{MAP}transform_from = "asl"\n', "transform_from, which is no list of texts"),
        (f"{MAP}transform_from = [1]\n", "transform_from, which is no list of texts"),
        (f"{MAP}companions = [{{}}]\n", "companions, which is no list of entities"),
        (f"{MAP}companions = [1]\n", "a query, which is no table of entities"),
        (f"{MAP}description = 1\n", "description, which is no text"),
        (MAP.replace('"1"', "1"), "unit, which is no text"),
        (MAP.replace('"Flow"', "1979-05-27"), "name, which is no text"),
        (MAP.replace('"Flow"', '"Flöw"'), "a name of letters and digits"),
        (MAP.replace('"Flow"', f'"{"a" * 300}"'), "a name of letters and digits"),
        (MAP.replace("[0.0, 1.0]", '["0", "1"]'), "valid_range, which is no pair of numbers"),
        (MAP.replace("[0.0, 1.0]", "[false, true]"), "valid_range, which is no pair of numbers"),
        (MAP.replace("[0.0, 1.0]", "[0.0, nan]"), "a valid_range whose first value is the smaller"),
        (MAP.replace("0.0, 1.0", f"0, 1{'0' * 400}"), "too large"),
        (MAP.replace('suffix = "cbf"', "suffix = { a = 1 }"), "'suffix', which is neither"),
        (MAP.replace('suffix = "cbf"', "suffix = 1979-05-27"), "'suffix', which is neither"),
        pytest.param(f"x = {'[' * DEEP}", "nested too deep", id="deep"),
        pytest.param(f"x = 1{'0' * 5000}", "thousands of digits", id="digits"),
    ],
)
def test_maps(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(load_maps, tmp_path / "maps.toml", text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[inputs]\nparticipant-label = [{ a = 1 }]\n", "neither text nor a number"),
        ("[inputs]\nparticipant-label = true\n", "neither text nor a number"),
        ("[inputs]\nparticipant-label = 1979-05-27\n", "neither text nor a number"),
        ('[inputs]\nparticipant-label = [["01"]]\n', "neither text nor a number"),
        ('[execution]\nwork-dir = "a\\u0000b"\n', "neither text nor a number"),
        ("[regions]\nshell-max = 10\nshell_max = 12\n", "names shell_max twice"),
        pytest.param(f"x = {'[' * DEEP}", "nested too deep", id="deep"),
        pytest.param(f"x = 1{'0' * 5000}", "thousands of digits", id="digits"),
    ],
)
def test_options(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(read_config_file, tmp_path / "wmhflow.toml", text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("[" * 5000, "it is too deep", id="deep"),
        ("plugin: [", "cannot be read as YAML"),
        ("plugin: \x01", "cannot be read as YAML"),
        ("[]", "it has to be names with values"),
    ],
)
def test_plugins(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(read_plugin, tmp_path / "plugin.yml", text)


ITK = (
    "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
    "Parameters: 1 0 0 0 1 0 0 0 1 4 5 6\nFixedParameters: 7 8 9\n"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ITK.replace("FixedParameters", "FixdParameters"), "line 5 is no line of an ITK"),
        (ITK.replace("FixedParameters", "\x00\x00xedParameters"), "line 5 is no line"),
        (ITK.replace("\nFixed", "Fixed"), "could not convert"),
        (ITK.replace(" 7 8 9", " 7 8"), "2 fixed parameters, and its centre takes 3"),
        (ITK.replace("FixedParameters: 7 8 9\n", ""), "0 fixed parameters"),
        (f"{ITK}rest\n", "line 6 is no line"),
    ],
)
def test_transforms_whose_centre_is_damaged(tmp_path: Path, text: str, said: str) -> None:
    """The centre had counted as 0, which moved points by centimetres."""
    path = tmp_path / "from-FLAIR_to-T1w_mode-image_xfm.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_transform(path)
    path.write_text(ITK, encoding="utf-8")
    assert read_transform(path).matrix is not None


@pytest.mark.parametrize("text", ["[" * DEEP, '{"Name": 1' + "1" * 5000 + "}", "\x00", ""])
def test_descriptions(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset_description.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be read"):
        check_dataset(tmp_path, "BIDS_DIR")
