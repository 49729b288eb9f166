"""Features of a frozen network, and linear probes on them."""
