"""A bar chart as SVG: one row per server, one panel per work, legible in light and dark."""

from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT = 820, 150, 120
ROW, BAR, PANEL_HEAD, PANEL_FOOT, HEAD = 26, 16, 44, 34, 44

STYLE = """
text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; font-variant-numeric: tabular-nums }
.title { font-size: 16px; font-weight: 600 } .panel { font-weight: 600 } .tick { font-size: 11px; fill: #59636e }
.grid { stroke: #d1d9e0; stroke-width: 1 } .one { stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 4 3 }
.spread { stroke: #1f2328; stroke-width: 1.5; fill: none }
.engine { fill: #0969da } .floor { fill: #afb8c1 } .peer { fill: #e0823d }
.back { fill: #ffffff } .value { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .tick { fill: #9198a1 } .grid { stroke: #3d444d } .one { stroke: #9198a1 }
  .spread { stroke: #f0f6fc } .engine { fill: #4493f8 } .floor { fill: #656c76 } .peer { fill: #db8d4d } .back { fill: #0d1117 }
  .value { stroke: #0d1117 }
}
"""


@dataclass(frozen=True)
class Bar:
    name: str
    kind: str
    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Panel:
    title: str
    bars: list


def draw(title, panels):
    body, top = [], HEAD
    for panel in panels:
        body += panel_parts(panel, top)
        top += PANEL_HEAD + ROW * len(panel.bars) + PANEL_FOOT
    summary = "; ".join(f"{bar.name} {bar.median:.2f}" for panel in panels for bar in panel.bars)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
            f'role="img" aria-label="{escape(title)}: {escape(summary)}">',
            f"<style>{STYLE}</style>",
            f'<rect class="back" width="{WIDTH}" height="{top}"/>',
            f'<text class="title" x="16" y="28">{escape(title)}</text>',
            *body,
            "</svg>\n",
        ]
    )


def panel_parts(panel, top):
    step = nice_step(max(bar.most for bar in panel.bars))
    ticks = [index * step for index in range(int(max(bar.most for bar in panel.bars) / step) + 2)]
    scale = (WIDTH - LEFT - RIGHT) / ticks[-1]
    x = lambda value: round(LEFT + value * scale, 1)
    rows_top, bottom = top + PANEL_HEAD, top + PANEL_HEAD + ROW * len(panel.bars)
    yield f'<text class="panel" x="16" y="{top + 22}">{escape(panel.title)}</text>'
    for tick in ticks:
        yield f'<line class="grid" x1="{x(tick)}" y1="{rows_top - 4}" x2="{x(tick)}" y2="{bottom}"/>'
        yield f'<text class="tick" x="{x(tick)}" y="{bottom + 16}" text-anchor="middle">{tick:g} ×</text>'
    middles = [rows_top + ROW * index + ROW / 2 for index in range(len(panel.bars))]
    for middle, bar in zip(middles, panel.bars):
        length = round(bar.median * scale, 1)
        yield f'<text x="{LEFT - 8}" y="{middle + 4.5}" text-anchor="end">{escape(bar.name)}</text>'
        yield f'<rect class="{bar.kind}" x="{LEFT}" y="{middle - BAR / 2}" width="{length}" height="{BAR}" rx="2"/>'
    # Over the bars and under their values.
    yield f'<line class="one" x1="{x(1)}" y1="{rows_top - 4}" x2="{x(1)}" y2="{bottom}"/>'
    for middle, bar in zip(middles, panel.bars):
        end = bar.median
        if bar.most > bar.least:
            end = bar.most
            yield (
                f'<path class="spread" d="M{x(bar.least)} {middle}H{x(bar.most)}'
                f'M{x(bar.least)} {middle - 4}v8M{x(bar.most)} {middle - 4}v8"/>'
            )
        yield f'<text class="value" x="{x(end) + 7}" y="{middle + 4.5}">{bar.median:.2f} ×</text>'


def nice_step(most):
    """Of 0.1, 0.2, 0.5, 1, 2, 5 … the smallest that needs at most eight ticks."""
    power = 0.1
    while True:
        for step in (power, 2 * power, 5 * power):
            if most / step <= 7:
                return step
        power *= 10
