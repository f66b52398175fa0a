"""Stage ``world``: rendered scenes with exact truth become training sets."""
