"""Findings: tables, figures and exports of FINDINGS.md, each with the command that made it; not in the wheel."""
