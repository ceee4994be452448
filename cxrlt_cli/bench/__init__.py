"""How fast this machine does each part of the work, beside what it could do at most."""
