"""HTTP for calls of models: one connection per call, or a pool; bodies bounded and decompressed."""
