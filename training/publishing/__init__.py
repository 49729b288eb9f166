"""Publish weights: validated, with licence and golden vector, to a folder zoo or the Hub."""
