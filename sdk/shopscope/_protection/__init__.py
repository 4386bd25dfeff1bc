"""Libraries of breakers, retries and limiters, one a file, each imported when the service has imported the library.

Only public hooks are used, or methods that have had their name for years; a library that has changed is left alone.
"""
