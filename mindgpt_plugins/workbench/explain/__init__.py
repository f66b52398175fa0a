"""What a recipe's rewards and advantage do with recorded rollouts, without training; no host import."""
