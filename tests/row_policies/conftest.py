"""Operations under row policies come by the thousand."""

from tests.support.fast_servers import pytest_asyncio_loop_factories, unlogged

__all__ = ["pytest_asyncio_loop_factories", "unlogged"]
