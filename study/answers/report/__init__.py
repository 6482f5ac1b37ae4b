"""Report: the answer page. One HTML file with everything in it, and the same figures and tables as files."""

from study.answers.report.chapter import Chapter, chapters
from study.answers.report.files import write_files
from study.answers.report.page import write_page

__all__ = ["Chapter", "chapters", "write_files", "write_page"]
