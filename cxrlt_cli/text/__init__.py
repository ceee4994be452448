"""Label texts and their encoders."""
