"""What makes the embedded CPU default run; nothing here is active on a CUDA machine."""
