from __future__ import annotations

from pipelines.dag import Kind, as_mermaid, as_text, plan_rounds

GROUPS = [("ucc", 0), ("ucc", 1), ("uvi", 0)]


def test_every_step_comes_after_what_it_needs() -> None:
    seen: set[str] = set()
    for each in plan_rounds(GROUPS, 3):
        for step in each.steps:
            assert set(step.needs) <= seen, step.name
            seen.add(step.name)


def test_a_round_extracts_labels_every_group_and_trains_on_all_of_them() -> None:
    first, second, final = plan_rounds(GROUPS, 2)
    assert [step.title for step in first.of(Kind.LABEL)] == [
        "label[ucc/0]",
        "label[ucc/1]",
        "label[uvi/0]",
    ]
    (train,) = first.of(Kind.TRAIN)
    assert set(train.needs) == {step.name for step in first.of(Kind.LABEL)}
    assert second.of(Kind.EXTRACT)[0].needs == (train.name,)
    assert not final.of(Kind.TRAIN)
    assert final.folder == "final"


def test_label_steps_do_not_wait_for_each_other() -> None:
    first, second, _ = plan_rounds(GROUPS, 2)
    own = {step.name for step in second.of(Kind.LABEL)}
    for step, before in zip(second.of(Kind.LABEL), first.of(Kind.LABEL), strict=True):
        assert not own & set(step.needs)
        assert before.name in step.needs


def test_evaluation_can_be_every_round_at_the_ends_or_never() -> None:
    def evaluated(mode: str | None) -> list[str]:
        rounds = plan_rounds(GROUPS, 3, evaluate=mode)
        return [each.folder for each in rounds if each.of(Kind.EVALUATE)]

    assert evaluated("every") == ["round-001", "round-002", "round-003", "final"]
    assert evaluated("ends") == ["round-001", "final"]
    assert evaluated(None) == []


def test_the_printed_forms_name_every_step() -> None:
    rounds = plan_rounds([("a b/c", 0)], 1)
    text, chart = as_text(rounds), as_mermaid(rounds)
    assert "label[a b/c/0]" in text
    assert chart.count("-->") == sum(len(step.needs) for each in rounds for step in each.steps)
    assert "a b/c" not in rounds[0].of(Kind.LABEL)[0].name
