"""The names of damages and short cuts, for ``--help``, which imports no torch. A test holds them to the tables."""

DAMAGE_NAMES = ("blur", "noise", "jpeg", "brightness", "contrast", "gamma", "resolution", "rotation", "stain")
SHORTCUT_NAMES = ("centre", "field", "corners_alone", "border", "outside", "corners")
