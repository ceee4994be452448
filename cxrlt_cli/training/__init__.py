"""Training. Read `loop.py` first; `recipe.py` is the one place that chooses tricks from flags."""
