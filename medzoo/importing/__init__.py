"""Checkpoints of others turned into bundles: ``medzoo.import_weights``."""
