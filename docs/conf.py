"""How Sphinx builds these pages: Markdown in, the furo theme out, every warning an error."""

project = "meterhouse"
author = "The meterhouse authors"
project_copyright = "The meterhouse authors"
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "meterhouse"
exclude_patterns = ["_build"]
