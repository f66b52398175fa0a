"""What a recipe's real run costs: steps, tokens, pictures, FLOPs and GPU-hours of each stage."""
