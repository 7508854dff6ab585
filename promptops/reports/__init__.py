"""What reports and pages have in common: how figures are written, plots drawn, and how it all looks."""
