"""What a cluster needs beside the stages: batch scripts, and a look at a machine before a job is submitted."""
