"""The study's results as tables, pictures and one self-contained page."""

from training.study_report.report import write_report

__all__ = ["write_report"]
