"""Published image encoders: their files on this machine, preprocessing, network and weights, each from its own library."""
