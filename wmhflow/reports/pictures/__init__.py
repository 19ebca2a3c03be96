"""The pictures of a visit, one module per family; `PICTURES` says which there are."""

from wmhflow.reports.pictures.picture import Picture, PictureMaker
from wmhflow.reports.pictures.table import PICTURES

__all__ = ["PICTURES", "Picture", "PictureMaker"]
