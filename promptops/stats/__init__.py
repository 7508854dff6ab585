"""Statistics in plain Python: pure functions and small states, nothing read, nothing written.

What may be looked at after every call (valid at any time, by Ville's inequality)
    eprocess      betting against "the mean is at most / at least m"; pairs
    two_arm       betting against "the canary is no worse" and "... is worse by the margin"
    percentiles   latency and cost as losses in [0, 1]
    sample_ratio  whether the arms were really drawn with the weights that were logged
    guards        several guards at once, and which of them it was
    sequences     confidence sequences: the same bets, inverted
    forecast      how many calls a verdict will need

What is looked at once, when all is in
    intervals     rates, quantiles             paired      McNemar, sign-flip, paired differences
    agreement     kappa, alpha                 correlation Pearson, Spearman
    multiple      Holm, Benjamini-Hochberg     distributions  the functions under these
    strata        differences step by step

``verdicts`` holds the four words and the sentences that they are shown as.
"""
