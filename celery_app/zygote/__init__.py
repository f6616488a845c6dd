"""Fresh sandboxed processes in milliseconds.

warden
    A small process beside the runner. Owns the socket, starts zygotes, and ends everything when
    the runner is gone.
zygote
    Has imported numpy, pandas and scikit-learn, and forks. It runs no user code and computes
    nothing.
spawner, init
    Level ``full`` only: the spawner forks, from a small process, the *init* of each fold: process 1
    of the fold's pid namespace, which makes its mounts.
fold
    Forked by the zygote into init's namespaces. Everything it says is a claim.
keeper
    A thread of the client per run: reads what the fold says, measures it, enforces its limits.
"""
