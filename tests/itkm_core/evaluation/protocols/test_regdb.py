"""RegDB: one side against the other, nothing left out."""

from __future__ import annotations

from naive_protocol import check, make_images, naive, never, summaries


def test_agrees_with_loops() -> None:
    # One camera number for both sides, which leaves nothing out.
    images, features = make_images([(1, 1, "query"), (0, 1, "gallery")], most=6)
    thermal, visible = ([each for each in images if each.group == group] for group in (1, 0))
    found = summaries("regdb", images, features)
    assert list(found) == ["thermal to visible", "visible to thermal"]
    check(found["thermal to visible"], [naive(thermal, visible, features, never)], (1, 0))
    check(found["visible to thermal"], [naive(visible, thermal, features, never)], (0, 1))
