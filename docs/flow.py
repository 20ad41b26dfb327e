#!/usr/bin/env python3
"""Draws docs/flow.svg, the picture in the README: python3 docs/flow.py > docs/flow.svg

Time goes from left to right, one row for each who takes part.
"""

ROWS = {"sidecars": 62, "proa": 152, "your command": 242}
HEIGHT = 36
# When things happen, as x.
BEGIN, READY, OPEN, ENDED, TOLD, GONE, EXIT = 140, 300, 330, 570, 600, 700, 730
COLOURS = {"pale": "#e3e8ee", "sidecar": "#9fd3b0", "proa": "#8fb8e8", "sleep": "#dbe8f7", "command": "#f3c98b"}


def bar(row, start, end, colour, text):
    top, middle = ROWS[row], (start + end) / 2
    return (
        f'<rect x="{start}" y="{top}" width="{end - start}" height="{HEIGHT}" rx="4" fill="{COLOURS[colour]}"/>'
        f'<text x="{middle:g}" y="{top + 23}" text-anchor="middle">{text}</text>'
    )


def arrow(start, end, text, right=True, dashed=False):
    (row, x), (other, until) = start, end
    down = ROWS[row] < ROWS[other]
    y = ROWS[row] + (HEIGHT if down else 0)
    target = ROWS[other] + (0 if down else HEIGHT)
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    place = f'x="{max(x, until) + 8}"' if right else f'x="{min(x, until) - 8}" text-anchor="end"'
    return (
        f'<line x1="{x}" y1="{y}" x2="{until}" y2="{target}" stroke="#444" stroke-width="1.5"{dash} '
        f'marker-end="url(#head)"/><text {place} y="{(y + target) / 2 + 5:g}" class="small">{text}</text>'
    )


def main():
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 310" role="img" '
        'font-family="sans-serif" font-size="14" fill="#222">',
        "<title>Gate, run and teardown over time</title>",
        "<style>.small{font-size:12px;fill:#444}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#444"/></marker></defs>',
        '<rect width="860" height="310" rx="8" fill="#fff"/>',
    ]
    for row, top in ROWS.items():
        parts.append(f'<text x="128" y="{top + 23}" text-anchor="end" font-weight="bold">{row}</text>')
    parts += [
        bar("sidecars", BEGIN, READY, "pale", "start"),
        bar("sidecars", READY + 2, TOLD, "sidecar", "serve"),
        bar("sidecars", TOLD + 2, GONE, "pale", "stop"),
        bar("proa", BEGIN, OPEN, "proa", "gate"),
        bar("proa", OPEN + 2, ENDED, "sleep", "run: asleep"),
        bar("proa", ENDED + 2, EXIT, "proa", "teardown"),
        bar("your command", OPEN, ENDED, "command", "runs"),
        arrow(("sidecars", READY), ("proa", OPEN), "ready"),
        arrow(("proa", OPEN), ("your command", OPEN), "start", right=False),
        arrow(("proa", 450), ("your command", 450), "signals", dashed=True),
        arrow(("your command", ENDED), ("proa", ENDED), "exit code"),
        arrow(("proa", ENDED), ("sidecars", TOLD), "stop request", right=False),
        arrow(("sidecars", GONE), ("proa", EXIT), "ended"),
        f'<text x="{EXIT + 8}" y="{ROWS["proa"] + 16}" class="small">exits with the</text>',
        f'<text x="{EXIT + 8}" y="{ROWS["proa"] + 32}" class="small">command\'s code</text>',
        f'<text x="{BEGIN}" y="36" class="small">time →</text>',
        "</svg>",
    ]
    print("\n".join(parts))


main()
