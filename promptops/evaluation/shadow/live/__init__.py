"""The shadow of a channel: a version that answers a sample of its calls too; users do not see it."""
