"""The console's pages, one file a noun; each asks one flow and renders one template."""
