"""Publishing a weight: validated, with its licence and golden vector, into a folder zoo or onto the Hub."""
