"""Tables of releases: observations, exposure, breakers, the judge's queue; their export and import."""
