"""Answers: what stored results say: tables, comparisons, hypotheses with their verdicts, and the page."""
