"""Who writes the QA: one teacher per file; :mod:`~mindgpt_data.teachers.base` says what a teacher is."""
