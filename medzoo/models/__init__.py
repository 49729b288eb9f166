"""Networks with the input and head that a task needs, strictly loaded, saved, exported and checked."""
