"""Training. Read `loop.py` first; `batch_pipeline.py` chooses tricks from flags, `build.py` the network."""
