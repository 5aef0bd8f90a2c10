"""In JupyterLab, with a kernel: the cells of a chapter run, and figures follow their sliders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tools import lab

PATIENCE = 90_000  # milliseconds: a kernel starts, and imports what a chapter needs


def test_cells_run_and_figures_follow_their_sliders(browser: Any, tmp_path: Path) -> None:
    cells = [cell for cell in lab.beginning().cells if cell.cell_type == "code"]
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    with lab.jupyterlab(tmp_path) as address:
        page.goto(address)
        lab.run_all_cells(page)
        page.locator(".jp-CodeCell .jp-InputPrompt").get_by_text(f"[{len(cells)}]:").wait_for()
        assert page.locator('.jp-Notebook [data-mime-type*="stderr"]').count() == 0
        live, drawn_on_the_spot = (page.locator(lab.FIGURE).nth(number) for number in range(2))
        drawn_on_the_spot.locator("img").wait_for()

        before = picture(live)
        live.locator(".noUi-handle").first.press("ArrowRight")
        expect(live.locator("img")).not_to_have_attribute("src", before)

        before = picture(drawn_on_the_spot)
        handle = drawn_on_the_spot.locator(".noUi-handle").last
        handle.hover()  # and so scrolled to, and at rest
        at = handle.bounding_box()
        page.mouse.down()
        page.mouse.move(at["x"] + 150, at["y"] + at["height"] / 2, steps=5)
        page.mouse.up()
        expect(drawn_on_the_spot.locator("img")).not_to_have_attribute("src", before)

        for figure in (live, drawn_on_the_spot):
            assert len(figure.locator("img").get_attribute("alt")) > 10
            assert "Error" not in figure.inner_text()
    context.close()


def picture(figure: Any) -> str:
    return str(figure.locator("img").get_attribute("src"))
