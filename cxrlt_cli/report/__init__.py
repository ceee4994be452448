"""One self-contained HTML page about runs, and its figures as files."""
