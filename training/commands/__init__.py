"""The commands of ``python -m training``, by theme, and the options they share."""
