"""minigrad's lessons: from a tensor to a GPT and its kernels, one file each, NN_name.py.

`minigrad lesson` lists them, `minigrad lesson 1` runs the first. What a lesson looks like is told in catalogue.py.
"""
