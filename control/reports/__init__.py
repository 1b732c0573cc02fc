"""Reports on what the journal has: summary, single events, CSV, saved questions, mail (RPT-01..18)."""
