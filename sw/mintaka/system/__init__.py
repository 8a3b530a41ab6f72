"""What the operating system gives: programs that are started and ended, and a cache of what they made."""
