"""Data sets in any form a user has them: read, checked, decoded and split."""
