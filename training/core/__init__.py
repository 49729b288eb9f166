"""What a run of any kind needs: its provenance."""
