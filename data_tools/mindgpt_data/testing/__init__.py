"""What a user needs to try a recipe without a model: a stub server that speaks the OpenAI protocol."""
