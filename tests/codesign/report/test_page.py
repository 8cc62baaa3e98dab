from codesign.report.page import Section, Table, render_page


def test_text_is_escaped_and_everything_is_there() -> None:
    table = Table(("a", "b"), (("1", "<2>"),))
    page = render_page("T & U", "sub", {"speed": "3 ms"}, [Section("S", "text", "p.png", table), Section("R", "r")])
    assert "T &amp; U" in page
    assert "&lt;2&gt;" in page
    assert '<img src="p.png" alt="S">' in page
    assert "<b>3 ms</b><span>speed</span>" in page
    assert page.count("<img") == 1
    assert page.count("<table>") == 1
