"""Calls made on the machines of a Ray cluster; pace, budget and log of the batch stay where it was begun."""
