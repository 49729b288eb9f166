"""Pretraining: corpus, recipe, run and run record."""
