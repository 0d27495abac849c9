"""perflab's graders: measure a lab, judge it, report it. Run as ``python3 -m graders``."""
