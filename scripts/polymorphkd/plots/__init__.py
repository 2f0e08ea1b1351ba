"""Figures of landscape tables: print-quality images and pages to explore.

Its own room, so that an edited figure never counts as changed code of the landscape, on
which the mapped frames depend.  The report takes its look from here (`style.py`).
"""
