"""What the lessons share.

kit.py         the source of what runs, a goal to reach, a smaller size for the tests, a corpus
digits.py      pictures of digits, dates.py dates to translate, small_text.py a text about which the truth is known
cuda.py        where kernels run, and a kernel written in a lesson; cuda_source.py finds a kernel's text to show
grey.mplstyle  what figures look like: plt.style.use("lessons.material.grey")
"""
