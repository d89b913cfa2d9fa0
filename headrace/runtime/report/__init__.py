"""The quality report as one self-contained page: pure functions from plain dicts to HTML and SVG."""
