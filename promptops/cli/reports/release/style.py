"""How the page of a release looks: light and dark, wide and narrow, on paper."""

from markupsafe import Markup

STYLE = Markup("""
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --ink: #16202e; --soft: #556274; --rule: #dfe3e9;
  --good: #0a6b3d; --good-bg: #dcf3e6; --bad: #b3261e; --bad-bg: #fce5e3; --ask: #7a5200; --ask-bg: #fdf0d0;
  --band: #2456d6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f141b; --card: #171e28; --ink: #e6ebf2; --soft: #9eabbd; --rule: #2c3645;
    --good: #5fd39a; --good-bg: #12362a; --bad: #ff9a91; --bad-bg: #43201f; --ask: #f2c464;
    --ask-bg: #3b2f14; --band: #86a8ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink); font-variant-numeric: tabular-nums;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 860px; margin: 0 auto; padding: 32px 20px; }
header, article {
  background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 20px 24px;
  margin: 0 0 14px;
}
.channel + .channel { margin-top: 44px; }
p, ul, ol, dl, dd, h1, h2, figure { margin: 0; }
h1 { font-size: 20px; line-height: 1.4; overflow-wrap: anywhere; }
h2 { font-size: 15px; margin-bottom: 4px; overflow-wrap: anywhere; }
code { font: 13px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
small, .about, .eyebrow span, figcaption { color: var(--soft); font-size: 13px; font-weight: 400; }
.eyebrow { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 4px 16px;
  margin-bottom: 8px; }
.badge { padding: 2px 10px; border-radius: 99px; font-size: 13px; background: var(--ask-bg);
  color: var(--ask); }
.badge.progressing, .badge.idle { background: var(--good-bg); color: var(--good); }
.badge.invalid { background: var(--bad-bg); color: var(--bad); }
.alert, .why { margin-top: 10px; padding: 8px 12px; border-radius: 6px; background: var(--ask-bg);
  color: var(--ask); overflow-wrap: anywhere; }
.path { display: flex; flex-wrap: wrap; gap: 6px; padding: 0; margin: 14px 0 8px; list-style: none; }
.path li { padding: 2px 12px; border: 1px solid var(--rule); border-radius: 99px; font-size: 13px; }
.path .done { background: var(--good-bg); color: var(--good); }
.path .now { border-color: var(--band); box-shadow: inset 0 0 0 1px var(--band); font-weight: 650; }
.path .later { color: var(--soft); }
.verdict { float: right; font-size: 13px; color: var(--ask); }
.verdict.worse { color: var(--bad); }
.verdict.not-worse, .verdict.better { color: var(--good); }
figure { margin-top: 12px; }
svg { display: block; width: 100%; height: 96px; border-bottom: 1px solid var(--rule); }
svg * { vector-effect: non-scaling-stroke; }
.band { fill: var(--band); fill-opacity: .22; stroke: var(--band); }
.same { stroke: var(--soft); stroke-dasharray: 4 4; }
.limit { stroke: var(--bad); stroke-width: 2; }
figcaption { display: flex; justify-content: space-between; gap: 16px; }
.next ul { padding-left: 20px; margin-bottom: 12px; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 4px 16px; }
dd { color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { padding: 5px 12px 5px 0; text-align: left; vertical-align: baseline; font-weight: 400;
  border-top: 1px solid var(--rule); overflow-wrap: anywhere; }
th { white-space: nowrap; color: var(--soft); }
td:last-child { min-width: 5em; padding-right: 0; overflow-wrap: break-word; }
@media (max-width: 560px) {
  dl { grid-template-columns: 1fr; } header, article { padding: 16px; }
  tr { display: block; padding: 8px 0; border-top: 1px solid var(--rule); }
  th, td { display: block; padding: 0; border: 0; }
}
@media print { body { background: #fff; } header, article { break-inside: avoid; } }
""")
