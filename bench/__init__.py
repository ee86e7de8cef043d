"""What is measured and checked beside the tests: loads, comparisons, the lock. Run from the project's directory."""
