"""Report: the answer page. One HTML file with everything in it, and the same figures and tables as files."""

from study.report.answer import answer
from study.report.chapter import Chapter, chapters
from study.report.files import write_files
from study.report.page import write_page

__all__ = ["Chapter", "answer", "chapters", "write_files", "write_page"]
