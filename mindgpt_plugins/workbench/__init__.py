"""Looks at recipes and runs, and trains nothing: rehearsal, cost, parallel plans, explanations, reports, serving."""
