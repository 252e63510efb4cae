"""Scores and grades: points of tags, policies, and the tags that they make."""
