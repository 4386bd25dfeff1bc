"""``shopscope doctor``: one marked request from the SDK, followed through every component, and what stands in its way.

``_request`` sends it, ``_trail`` asks each component for it, ``_checks`` looks at clocks, ports, versions, limits, disk
and queue. What an answer means is judged by pure functions (``_judge*``); asking is in ``_http``.
"""
