"""How Sphinx builds the site: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # for the modules of this folder, which name it

import agnostic_lse  # noqa: E402 (after the path, like the next)
from docs._extensions import inventories  # noqa: E402

project = "agnostic_lse"
author = "The agnostic_lse developers"
copyright = "The agnostic_lse developers"  # noqa: A001 (Sphinx's name)
version = release = agnostic_lse.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "matplotlib.sphinxext.plot_directive",
    "docs._extensions.api",
    "docs._extensions.mathml",
    "docs._extensions.pages",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    *("sg_execution_times.rst", "**/sg_execution_times.rst"),  # whose script comes from elsewhere
]
nitpicky = True
default_role = "autolink"

# Pages
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
copybutton_exclude = ".linenos, .gp, .go"

# The reference
toc_object_entries_show_parents = "hide"
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's tables name what there is to say
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

intersphinx_mapping = inventories.mapping(HERE / "inventories.txt", HERE / "_build" / "inventories")

extlinks = {"doi": ("https://doi.org/%s", "doi:%s")}

# Pictures
plot_html_show_source_link = False
plot_html_show_formats = False
plot_include_source = False
plot_basedir = str(HERE)
plot_working_directory = str(HERE.parent)  # so that scripts name each other as they do elsewhere
# Each script draws its picture twice: for a light page, and for a dark one.
plot_template = """
{% for image in images %}
.. figure:: {{ build_dir }}/{{ image.basename }}.{{ default_fmt }}
   :class: {{ ("only-light", "only-dark")[loop.index0] }}
   :figclass: {{ ("only-light", "only-dark")[loop.index0] }}
   {% for option in options if option.startswith(":alt:") %}{{ option }}{% endfor %}
{% endfor %}
"""
plot_formats = [("svg", 100)]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/(classics|classifiers)/",
    "within_subsection_order": "docs._extensions.gallery.Order",
    "default_thumb_file": str(HERE / "_static" / "thumbnail.png"),  # of what is not run
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "reference_url": {"agnostic_lse": None},
    "doc_module": ("agnostic_lse",),
    "backreferences_dir": "reference/backreferences",
    "image_srcset": ["2x"],
}

# Looks
html_theme = "pydata_sphinx_theme"
html_title = "agnostic_lse"
html_logo = html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_last_updated_fmt = None
html_context = {"default_mode": "auto"}
html_theme_options = {
    "logo": {"text": "agnostic_lse", "alt_text": "agnostic_lse, home"},
    "show_prev_next": True,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
}
