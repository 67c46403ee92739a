"""What the recorder and the probes in the target's processes say to each other."""
