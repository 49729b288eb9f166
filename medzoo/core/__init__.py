"""What every other folder needs and nothing of images: errors, tables, files, progress, the cache folder."""
