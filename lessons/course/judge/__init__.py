"""Judging one exercise in a process of its own.

server.py   forks a child for each exercise from a process that has numpy, numba and pytest loaded
trial.py    what the child does: locks itself in, runs the tests, reports
limits.py   what the kernel holds it to: memory, time, no processes, no network, no writing elsewhere
watch.py    what Python reports of it: imports that are not allowed, files it must not touch
oracles.py  libraries that have the answers
calls.py    the proof that the student's functions ran
canary.py   tests that must fail, and whether the tests are still what they were

Nothing here imports minigrad, nn or models: in the child they come from the tree that is judged.
"""
