"""What ``doctor`` looks at: the environment, the project, its releases and its models."""
