"""Sphinx settings; ``make docs`` builds the site."""

import medzoo

project = "medzoo"
author = "The medzoo developers"
release = medzoo.__version__
html_title = "medzoo"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["studies/*/cards", "studies/*/study"]
templates_path = ["_templates"]
highlight_language = "none"  # of a block without a language
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False

myst_heading_anchors = 3
myst_enable_extensions = ["attrs_block"]
suppress_warnings = ["myst.header"]  # a card's levels begin below its page's title

autosummary_generate = True
python_maximum_signature_line_length = 90
autodoc_member_order = "bysource"
napoleon_custom_sections = [("Attributes", "params_style")]  # by that name, and not as "Variables"
napoleon_use_rtype = False
napoleon_attr_annotations = False  # it writes "numpy.str_" as a link
copybutton_exclude = ".linenos, .gp, .go"
