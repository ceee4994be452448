"""Studies: declared sets of training flags over seeds, run as the commands that a user would type, and what each is worth."""
