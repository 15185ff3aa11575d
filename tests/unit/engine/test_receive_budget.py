from kiteward.engine.receive_budget import ReceiveBudget


class Response:
    def __init__(self) -> None:
        self.proceeds = 0

    def proceed(self) -> None:
        self.proceeds += 1


def test_memory_is_given_in_order_and_as_a_whole() -> None:
    budget = ReceiveBudget(100, unreserved=10)
    first, second, third = Response(), Response(), Response()
    assert budget.reserve(first, 60)
    assert not budget.reserve(second, 60)
    assert not budget.reserve(third, 20)
    assert budget.held == 60
    budget.release(first)
    assert (second.proceeds, third.proceeds) == (1, 1)
    assert budget.held == 80
    budget.release(second)
    budget.release(third)
    assert budget.held == 0


def test_response_that_gives_up_waiting_lets_others_pass() -> None:
    budget = ReceiveBudget(100, unreserved=10)
    first, second, third = Response(), Response(), Response()
    budget.reserve(first, 50)
    budget.reserve(second, 80)
    budget.reserve(third, 50)
    budget.release(second)
    assert (second.proceeds, third.proceeds) == (0, 1)


def test_releasing_twice_gives_nothing_twice() -> None:
    budget = ReceiveBudget(100, unreserved=10)
    first = Response()
    budget.reserve(first, 100)
    budget.release(first)
    budget.release(first)
    assert budget.reserve(Response(), 100)
    assert not budget.reserve(Response(), 1)
