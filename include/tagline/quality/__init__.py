"""Great Expectations for clean tables and tag profiles; nothing else imports the library."""

from tagline.quality.report import CheckReport, ExpectationResult, TableCheck
from tagline.quality.tables import check

__all__ = ["CheckReport", "ExpectationResult", "TableCheck", "check"]
