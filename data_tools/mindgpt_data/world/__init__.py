"""The quickstart's rendered world: scenes with exact truth, graded easy to hard, so that every QA is right."""
