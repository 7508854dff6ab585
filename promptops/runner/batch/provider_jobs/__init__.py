"""Calls that a provider's batch service answers: submitted as jobs, and taken up hours later.

A command goes over its work in passes. A call whose answer is not there is parked: the run has neither ended
nor failed, and the pass goes on with the next. What was parked is submitted as jobs, and once these are over
the command goes over its work again, and finds the answers. A run has the same id in each pass, whatever
process makes it, so that nothing is logged or paid for twice, and a pass may be cut off anywhere.
"""
