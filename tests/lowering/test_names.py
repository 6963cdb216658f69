"""Names of values: each once, in time that is linear in their number."""

from __future__ import annotations

from lossgraph.lowering.names import Names, snake_case


class Counting(set):
    asked = 0

    def __contains__(self, name):
        self.asked += 1
        return super().__contains__(name)


def test_names_are_numbered_in_linear_time():
    names = Names(())
    names._taken = taken = Counting()
    assert [names.fresh("exp") for _ in range(3000)] == [f"exp_{i}" for i in range(3000)]
    assert taken.asked <= 2 * 3000


def test_a_name_that_is_given_is_passed_over():
    names = Names(["exp_0", "exp_2"])
    names.take("exp_3")
    assert [names.fresh("exp") for _ in range(3)] == ["exp_1", "exp_4", "exp_5"]


def test_snake_case():
    assert snake_case("LogSoftmax") == "log_softmax"
    assert snake_case("IsNaN") == "is_na_n"  # as models have it
