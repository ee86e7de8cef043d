"""What is measured and checked beside the tests: sweeps, soaks, micro benches, comparisons, the lock.

Run from the project's directory. ``loadtests`` and ``machine`` are what several of them share.
"""
