"""Sphinx settings; the options table is made from the settings tree at every build."""

from pathlib import Path

import wmhflow
from wmhflow.labels.schemes import schemes_table
from wmhflow.labels.tables import regions_tables
from wmhflow.products.tables import columns_tables
from wmhflow.registries.atlases import atlases_table
from wmhflow.registries.maps_table import maps_table
from wmhflow.registries.mask_labels import mask_labels_table
from wmhflow.registries.producers import load_producers, producer_page, producers_table
from wmhflow.registries.quality import measures_table, quality_table
from wmhflow.registries.segmenters import segmenters_table
from wmhflow.registries.spaces import spaces_table
from wmhflow.settings import SUBMIT_GROUPS, options_table

project = "wmhflow"
author = "The wmhflow developers"
copyright = author
version = release = wmhflow.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
# what a page includes is no page
exclude_patterns = ["_build", "_generated/*.md"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Types stand in the docstrings, with shape and unit; in the signatures they would be there twice.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = True
autosummary_ignore_module_all = False
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"wmhflow {release}"
html_copy_source = False

_generated = Path(__file__).parent / "_generated"
_generated.mkdir(exist_ok=True)
(_generated / "options.md").write_text(options_table(), encoding="utf-8")
(_generated / "submit_options.md").write_text(options_table(SUBMIT_GROUPS), encoding="utf-8")
(_generated / "tables.md").write_text(columns_tables(), encoding="utf-8")
(_generated / "quality.md").write_text(quality_table(), encoding="utf-8")
(_generated / "measures.md").write_text(measures_table(), encoding="utf-8")
(_generated / "regions.md").write_text(regions_tables(), encoding="utf-8")
(_generated / "zones.md").write_text(schemes_table(), encoding="utf-8")
(_generated / "atlases.md").write_text(atlases_table(), encoding="utf-8")
(_generated / "maps.md").write_text(maps_table(), encoding="utf-8")
(_generated / "mask_labels.md").write_text(mask_labels_table(), encoding="utf-8")
(_generated / "spaces.md").write_text(spaces_table(), encoding="utf-8")
(_generated / "segmenters.md").write_text(segmenters_table(), encoding="utf-8")
(_generated / "producers.md").write_text(producers_table(), encoding="utf-8")
_pages = _generated / "producers"
_pages.mkdir(exist_ok=True)
for _name, _producer in load_producers().items():
    (_pages / f"{_name}.md").write_text(producer_page(_producer), encoding="utf-8")
