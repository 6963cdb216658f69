"""How Sphinx builds these pages: ``tools/docs`` runs it."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

import lossgraph  # noqa: E402

project = "lossgraph"
author = "the authors of lossgraph"
project_copyright = author
version = release = lossgraph.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mathml",
    "listings",
    "gallery",
]
# A console shows input of many lines, which the lexer of a console takes for an open quote.
suppress_warnings = ["misc.highlighting_failure"]
exclude_patterns = ["_build", "jupyter_execute", "tutorials/data", "node_modules"]

# --- pages ---

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 4  # losses.md has its losses there
myst_fence_as_directive = ["math"]  # as GitHub writes displayed formulas
html_math_renderer = "mathml"  # browsers set it without a script

nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

# --- reference ---

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 110
napoleon_numpy_docstring = False
napoleon_use_rtype = False
add_module_names = False

# --- looks ---

html_theme = "pydata_sphinx_theme"
html_title = "lossgraph"
html_static_path = ["_static", "tutorials/tutorials.css"]
html_css_files = ["tutorials.css", "site.css"]
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}  # light or dark, as the browser has it
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
