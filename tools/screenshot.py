"""The picture in the README: the live figure of the front page, in assets/book.png. After make book.

python -m tools.screenshot
"""

from tools.browser import ROOT, SITE, chromium, served


def main() -> None:
    with chromium() as browser, served(SITE) as address:
        page = browser.new_page(viewport={"width": 1000, "height": 1400}, device_scale_factor=1.5)
        page.goto(f"{address}chapters/index.html", wait_until="load")
        figure = page.locator("figure.lrbs-live").first
        page.add_style_tag(content="figure.lrbs-live { background: white; padding: 12px !important; }")
        page.add_style_tag(content="figure.lrbs-live :is(figcaption, .lrbs-numbers) { display: none; }")
        figure.screenshot(path=ROOT / "assets" / "book.png")


if __name__ == "__main__":
    main()
