"""minigrad's lessons: from a tensor to a GPT and its kernels, one file each, NN_name.py.

`minigrad lesson` lists them, `minigrad lesson 1` runs the first. material/ has what lessons share, running/ how one
is read and run, course/ the exercises (course.toml lists them), commands/ `minigrad lesson` and `minigrad course`.
"""
