"""One visit as one self-contained HTML page, made from its session log alone."""
