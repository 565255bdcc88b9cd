"""The course kit: exercises cut from the library, handed out, tested and graded.

exercises.py      the table lessons/course.toml: which bodies a student writes, for how many points
cutting.py        a body out of a file, a blank in its place, and back again
python_bodies.py  where a body begins and ends in Python, cuda_bodies.py in CUDA C
"""
