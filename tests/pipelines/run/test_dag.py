from __future__ import annotations

import pytest

from pipelines.run.dag import Kind, Round, Stage, Step, as_mermaid, as_text, plan_rounds

GROUPS = [("ucc", 0), ("ucc", 1), ("uvi", 0)]


def titles(each: Round, *kinds: Kind) -> list[str]:
    return [step.title for step in each.steps if not kinds or step.kind in kinds]


def only(each: Round, kind: Kind, scenario: str = "") -> Step:
    (step,) = [step for step in each.of(kind) if not scenario or step.scenario == scenario]
    return step


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("matching", [True, False])
@pytest.mark.parametrize("moving_text", [True, False])
def test_every_step_comes_after_what_it_needs(
    text: bool, matching: bool, moving_text: bool
) -> None:
    seen: set[str] = set()
    for each in plan_rounds(GROUPS, 2, 3, text=text, matching=matching, moving_text=moving_text):
        for step in each.steps:
            assert set(step.needs) <= seen, step.name
            assert step.name not in seen
            seen.add(step.name)


def test_a_round_extracts_labels_every_group_and_trains_on_all_of_them() -> None:
    first, second, final = plan_rounds(GROUPS, 2)
    assert titles(first, Kind.LABEL) == ["label[ucc/0]", "label[ucc/1]", "label[uvi/0]"]
    train = only(first, Kind.TRAIN)
    assert set(train.needs) == {step.name for step in first.of(Kind.LABEL)}
    assert only(second, Kind.EXTRACT).needs == (train.name,)
    assert train.name in only(second, Kind.TRAIN).needs
    assert not final.of(Kind.TRAIN)
    assert final.folder == "final"
    assert [each.stage for each in (first, final)] == [Stage.HOMOGENEOUS, Stage.NOTHING]


def test_without_rounds_of_stage_three_there_is_neither_text_nor_matching() -> None:
    kinds = {step.kind for each in plan_rounds(GROUPS, 2, 0) for step in each.steps}
    assert kinds == {Kind.EXTRACT, Kind.LABEL, Kind.TRAIN, Kind.EVALUATE}


def test_stage_two_comes_once_and_matches_in_every_round_of_stage_three() -> None:
    _, third, fourth, final = plan_rounds(GROUPS, 1, 2)
    assert [each.stage for each in (third, fourth)] == [Stage.HETEROGENEOUS] * 2
    frozen, prompts = only(third, Kind.FROZEN), only(third, Kind.PROMPTS)
    assert frozen.needs == ()
    labels = {step.name for step in third.of(Kind.LABEL)}
    assert set(prompts.needs) == {*labels, frozen.name}
    assert not fourth.of(Kind.FROZEN) + fourth.of(Kind.PROMPTS) + final.of(Kind.MATCH)
    for each in (third, fourth):
        assert titles(each, Kind.MATCH) == ["match[ucc]", "match[uvi]"]
        matches = {step.name for step in each.of(Kind.MATCH)}
        assert matches <= set(only(each, Kind.TRAIN).needs)
        assert matches <= set(only(each, Kind.EVALUATE).needs)


def test_a_match_needs_its_scenarios_labels_the_features_and_the_text_of_before() -> None:
    _, third, fourth, _ = plan_rounds(GROUPS, 1, 2)
    first, second = only(third, Kind.MATCH, "ucc"), only(fourth, Kind.MATCH, "ucc")
    assert set(first.needs) == {
        "round-002/extract",
        "round-002/label/ucc-0",
        "round-002/label/ucc-1",
        "round-002/prompts",
    }
    assert set(second.needs) == {
        "round-003/extract",
        "round-003/label/ucc-0",
        "round-003/label/ucc-1",
        first.name,
    }


@pytest.mark.parametrize("text", [True, False])
def test_matches_may_look_at_the_frozen_clip_in_every_round(text: bool) -> None:
    rounds = plan_rounds(GROUPS, 1, 2, text=text, frozen=True)
    (frozen,) = [step for each in rounds for step in each.of(Kind.FROZEN)]
    for each in rounds[1:3]:
        assert frozen.name in only(each, Kind.MATCH, "ucc").needs


def test_texts_that_stay_are_always_those_of_stage_two() -> None:
    _, _, fourth, _ = plan_rounds(GROUPS, 1, 2, moving_text=False)
    needs = only(fourth, Kind.MATCH, "ucc").needs
    assert "round-002/prompts" in needs
    assert not [need for need in needs if "/match/" in need]


def test_without_text_there_is_no_stage_two_and_no_match_of_a_single_group() -> None:
    _, third, fourth, _ = plan_rounds(GROUPS, 1, 2, text=False)
    for each in (third, fourth):
        assert not each.of(Kind.FROZEN) + each.of(Kind.PROMPTS)
        assert titles(each, Kind.MATCH) == ["match[ucc]"]
        needs = set(only(each, Kind.MATCH).needs)
        assert needs == {
            f"{each.folder}/extract",
            f"{each.folder}/label/ucc-0",
            f"{each.folder}/label/ucc-1",
        }


def test_text_without_matching_still_moves_with_the_labels() -> None:
    _, third, _, _ = plan_rounds(GROUPS, 1, 2, matching=False)
    assert titles(third, Kind.MATCH) == ["match[ucc]", "match[uvi]"]


def test_with_neither_stage_three_goes_on_as_stage_one() -> None:
    rounds = plan_rounds(GROUPS, 1, 2, text=False, matching=False)
    assert not [step for each in rounds for step in each.of(Kind.MATCH)]
    assert [titles(each) for each in rounds[1:3]] == [titles(rounds[0])] * 2


def test_a_single_group_of_a_single_scenario_has_text_alone() -> None:
    _, third, _ = plan_rounds([("plain", 0)], 1, 1)
    assert titles(third, Kind.MATCH, Kind.PROMPTS) == ["prompts", "match[plain]"]
    _, without, _ = plan_rounds([("plain", 0)], 1, 1, text=False)
    assert not without.of(Kind.MATCH)


def test_label_steps_do_not_wait_for_each_other() -> None:
    first, second, _ = plan_rounds(GROUPS, 2)
    own = {step.name for step in second.of(Kind.LABEL)}
    for step, before in zip(second.of(Kind.LABEL), first.of(Kind.LABEL), strict=True):
        assert not own & set(step.needs)
        assert before.name in step.needs


def test_evaluation_can_be_every_round_at_the_ends_or_never() -> None:
    def evaluated(mode: str | None) -> list[str]:
        rounds = plan_rounds(GROUPS, 2, 1, evaluate=mode)
        return [each.folder for each in rounds if each.of(Kind.EVALUATE)]

    assert evaluated("every") == ["round-001", "round-002", "round-003", "final"]
    assert evaluated("ends") == ["round-001", "final"]
    assert evaluated(None) == []


def test_the_printed_forms_name_every_step() -> None:
    rounds = plan_rounds([("a b/c", 0), ("a b/c", 1)], 1, 1)
    text, chart = as_text(rounds), as_mermaid(rounds)
    for title in ("label[a b/c/0]", "match[a b/c]", "prompts", "frozen"):
        assert title in text
    assert chart.count("-->") == sum(len(step.needs) for each in rounds for step in each.steps)
    for each in rounds:
        for step in each.of(Kind.LABEL) + each.of(Kind.MATCH):
            assert "a b/c" not in step.name
