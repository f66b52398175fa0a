"""How many QA each image gets, and how they spread over capabilities."""
