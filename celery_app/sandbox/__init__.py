"""What keeps hostile code in: mounts, Landlock, system call filter, limits, control groups."""
