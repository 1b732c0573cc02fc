"""New definitions: looked for by a schedule or by hand, fetched, tried, and put in force (DEF-01..17)."""
