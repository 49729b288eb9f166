"""Plots, HTML reports and model cards."""
