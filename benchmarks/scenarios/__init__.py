"""One file a scenario; each has `async def run() -> list[Result]`."""
