"""The course kit: exercises cut from the library, handed out, tested and graded.

exercises.py      the table lessons/course.toml: which bodies a student writes, for how many points
cutting.py        a body out of a file, a blank in its place, and back again
python_bodies.py  where a body begins and ends in Python, cuda_bodies.py in CUDA C
handout.py        a student's repository, and student_readme.py its README
testing.py        what passes in a student's repository; trying.py is what runs there, reports.py what is printed
judging.py        trying exercises in processes of their own, judge/ is what runs in them; trees.py makes what they see
submissions.py    what students handed in; grading.py gives points for it, gradebook.py writes them down
proving.py        that the tests judge rightly: the library, blanks and planted mistakes
"""
