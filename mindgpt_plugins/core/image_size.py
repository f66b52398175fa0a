"""How large a picture may be: the numbers of pixels that recipes, servers and requests start from."""

MIN_PIXELS = 32 * 32
"""Pixels (width × height) that smaller pictures are enlarged to: one visual token of Qwen3-VL."""
MAX_PIXELS = 768 * 768
"""Pixels that larger pictures are shrunk to where a recipe or a server's command line does not say otherwise."""
MOST_RATIO = 200
"""Longer side over shorter side that Qwen-VL's processors take (transformers 5.5.4, ``smart_resize``)."""
SENT_PIXELS = 1024 * 1024
"""Pixels that larger pictures are shrunk to before they are sent to a teacher or judge over HTTP."""
