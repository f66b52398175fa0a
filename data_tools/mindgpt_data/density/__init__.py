"""Image density: how much there is to ask about an image."""
