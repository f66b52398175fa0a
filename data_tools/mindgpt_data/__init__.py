"""Data tools: label tree, density, budget, generation, gates and export; usable without the trainers."""
