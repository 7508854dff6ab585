"""Tables of runs: queries, search, statistics, outcomes, cached answers, pruning."""
