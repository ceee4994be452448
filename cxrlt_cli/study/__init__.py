"""Studies: declared sets of training flags over seeds, run as commands and compared with each other."""
