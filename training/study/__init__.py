"""The study: every weight on every target, its statistics and report."""
