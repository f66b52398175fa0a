"""Weight interpolation (2109.01903) over safetensors shards, for full checkpoints and LoRA adapters. No host import."""
