"""Stages that the training benchmarks share: a budget of labels, a teacher, its labels, students.

Each stage keeps its result in the folder of its case and is skipped where that is there, so a
benchmark that was stopped goes on where it was.
"""
