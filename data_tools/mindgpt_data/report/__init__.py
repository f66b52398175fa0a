"""The data report: one page that shows what the steps made of a corpus, and its figures as JSON."""
