"""The frameworks that xcheck knows out of the box, one module each.

Nothing here imports a framework before it is used, and no adapter imports xcheck or another adapter: each is an
ordinary object with the methods of `xcheck.protocol`, registered through the entry-point group `xcheck.backends`
exactly as a third party's would be.
"""
