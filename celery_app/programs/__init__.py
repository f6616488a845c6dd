"""Programs that run inside a sandboxed process, one function per kind of run.

They are the only code of ours that touches untrusted code or data. They hold no credential and
speak to the runner through their `Context` alone; whatever they hand over is checked again outside.
"""
