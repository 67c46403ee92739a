"""At home in Jupyter: magics, a live curve while recording, and the notebooks' own words."""
