"""Train once, apply often: a network for a whole microscope instead of a fit to each image.

`train` and `iter_train` stand in `train`; `state` is what a checkpoint holds; `collapse` notices a
failing training.
"""
