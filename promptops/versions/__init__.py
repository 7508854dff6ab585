"""References resolved to versions: from the working tree, a commit, or a channel's frozen files."""
