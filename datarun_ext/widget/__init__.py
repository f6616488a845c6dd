"""Live views for notebooks, of stock ipywidgets: no JavaScript of our own."""

from datarun_ext.widget.panel import Panel
from datarun_ext.widget.submission import SubmissionView

__all__ = ["Panel", "SubmissionView"]
