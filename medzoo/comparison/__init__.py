"""Paired comparisons of pretrained weights: ``medzoo.compare``, its runs, statistics and report."""
