"""The parts of ``medzoo.compare``: splits, cells, the grid that runs them, and the statistics of what they found."""
