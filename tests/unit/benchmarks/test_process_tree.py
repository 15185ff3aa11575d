import os
import subprocess
import sys
import time

from benchmarks.process_tree import Cost, descendants, processor_time, resident

STAT = "41 (a) b (c) S 7 41 41 0 -1 4194304 900 0 0 0 {user} {system} 0 0 20 0 1 0 100 8000000 {pages} 0 0 0"


def test_name_of_a_program_may_hold_brackets() -> None:
    cost = Cost.parse(STAT.format(user=3, system=4, pages=10))
    assert cost == Cost(7, 7e6 / os.sysconf("SC_CLK_TCK"), 10 * os.sysconf("SC_PAGE_SIZE"))


def test_descendants_are_found_at_any_depth_and_others_are_not() -> None:
    parents = {1: 0, 2: 1, 3: 2, 4: 3, 5: 1, 6: 5}
    costs = {number: Cost(parent, 0.0, 0) for number, parent in parents.items()}
    assert set(descendants(costs, 2)) == {2, 3, 4}


def test_time_of_this_process_and_its_children_is_counted() -> None:
    before, spent = processor_time(os.getpid()), time.process_time()
    while time.process_time() - spent < 0.2:
        pass
    assert 100_000 < processor_time(os.getpid()) - before < 5_000_000


def test_memory_of_a_child_is_counted() -> None:
    program = "import sys; held = b'x' * 50_000_000; print('holding', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program]
    before = resident(os.getpid())
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "holding\n"
        assert resident(os.getpid()) - before > 50_000_000
        assert resident(child.pid) > 50_000_000
        child.communicate()
