"""Basics without images: errors, registries, atomic files, progress bars, the cache folder."""
