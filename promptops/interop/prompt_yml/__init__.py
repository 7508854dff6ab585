"""``.prompt.yml`` files of GitHub Models."""
