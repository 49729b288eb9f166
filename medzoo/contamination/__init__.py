"""Contamination: which images of a data set were part of pretraining."""
