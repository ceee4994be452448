"""What is said of an image file that gives no gray values."""


class UnreadableImageError(Exception):
    """An image file that cannot be turned into gray values; the message is the reason."""
