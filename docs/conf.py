"""Sphinx configuration; the tables and the REST reference are made from the code at each build."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import generate  # noqa: E402

from datarun_ext import __version__  # noqa: E402

project = "datarun"
copyright = "datarun developers"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
html_theme = "alabaster"
html_theme_options = {"description": "Train and test models on folds", "page_width": "1100px"}
html_static_path: list[str] = []


def setup(app: Any) -> None:
    """Write the generated parts before the pages that include them are read."""
    app.connect("builder-inited", lambda _app: generate.write(HERE / "_build" / "generated"))
