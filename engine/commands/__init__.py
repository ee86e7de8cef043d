"""What ``frontdesk`` can be told to do, one file per command."""
