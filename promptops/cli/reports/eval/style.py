"""How an HTML report looks: light and dark, wide and narrow, on paper."""

from markupsafe import Markup

STYLE = Markup("""
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --ink: #16202e; --soft: #556274; --rule: #dfe3e9; --grid: #e8ebf0;
  --good: #0a6b3d; --good-bg: #dcf3e6; --bad: #b3261e; --bad-bg: #fce5e3; --ask: #7a5200; --ask-bg: #fdf0d0;
  --control: #667085; --candidate: #2456d6; --chip: #eef1f5;
  --s0: #2456d6; --s1: #b54708; --s2: #067647; --s3: #7f3fbf; --s4: #b0245f; --s5: #0b6e86;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f141b; --card: #171e28; --ink: #e6ebf2; --soft: #9eabbd; --rule: #2c3645; --grid: #252e3b;
    --good: #5fd39a; --good-bg: #12362a; --bad: #ff9a91; --bad-bg: #43201f; --ask: #f2c464;
    --ask-bg: #3b2f14;
    --control: #9eabbd; --candidate: #86a8ff; --chip: #232d3a;
    --s0: #86a8ff; --s1: #f5a35c; --s2: #5fd39a; --s3: #c8a2f5; --s4: #f58ab5; --s5: #62cbe0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
main { max-width: 1000px; margin: 0 auto; padding: 32px 24px 24px; }
header, section, footer { margin: 0 0 20px; }
header, main > section:not(.cases) {
  background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 24px 28px;
}
p, ul, dl, dd, fieldset, h1, h2, h3 { margin: 0; padding: 0; }
h1 { font-size: 24px; line-height: 1.3; font-weight: 650; letter-spacing: -.01em; text-wrap: pretty;
  overflow-wrap: anywhere; }
h2 { font-size: 17px; font-weight: 650; }
h3 { font-size: 12px; font-weight: 600; color: var(--soft); text-transform: uppercase;
  letter-spacing: .06em; }
code { font: 13px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
  overflow-wrap: anywhere; }
small { color: var(--soft); font-size: 12.5px; }
.about { color: var(--soft); font-size: 13.5px; margin-top: 2px; max-width: 70ch; }
.eyebrow { display: flex; flex-wrap: wrap; gap: 2px 0; color: var(--soft); font-size: 13.5px;
  margin-bottom: 14px; }
.eyebrow span + span::before { content: "·"; margin: 0 8px; }
.eyebrow span:first-child { color: var(--ink); font-weight: 600; }
.badge { display: inline-block; padding: 3px 12px 3px 10px; border-radius: 99px; font-size: 14px;
  font-weight: 650;
  margin-bottom: 8px; background: var(--ask-bg); color: var(--ask); }
.badge.worse { background: var(--bad-bg); color: var(--bad); }
.badge.better, .badge.not-worse { background: var(--good-bg); color: var(--good); }
.alert { margin-top: 14px; padding: 10px 14px; border-left: 4px solid var(--bad);
  border-radius: 4px 8px 8px 4px;
  background: var(--bad-bg); color: var(--bad); font-weight: 600; overflow-wrap: anywhere; }
.note { color: var(--soft); font-size: 13.5px; margin-top: 10px; }
.note + .note { margin-top: 2px; }
.changed { margin-top: 18px; padding-top: 16px; border-top: 1px solid var(--rule); }
.changed h2 { font-size: 13.5px; margin-bottom: 4px; }
.changed ul { padding-left: 18px; font-size: 14px; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 12px -28px 0; padding: 0 28px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { padding: 7px 0 7px 20px; text-align: right; border-top: 1px solid var(--grid); font-weight: 400;
  vertical-align: baseline; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th.text, td.text { text-align: left; white-space: normal; }
thead th, thead td { border: 0; color: var(--soft); font-size: 12.5px; vertical-align: bottom; }
thead code { color: var(--ink); white-space: normal; }
tbody th { color: var(--soft); white-space: normal; }
tbody th code { color: var(--ink); }
tbody tr:first-child > * { border-top-color: var(--rule); }
.role, .kind { display: block; font-size: 12px; color: var(--soft); }
.role::first-letter { text-transform: uppercase; }
.kind { display: inline-block; min-width: 44px; }
.slices { margin-top: 16px; border-top: 1px solid var(--rule); }
.slices summary { padding: 12px 0 0; font-weight: 600; font-size: 14px; }
.slices tbody th { color: var(--ink); }
.side-name { min-width: 210px; }
thead th { white-space: normal; }
.good { color: var(--good); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
.front { display: inline-block; margin-left: 4px; padding: 0 8px; border-radius: 99px;
  background: var(--good-bg);
  color: var(--good); font-size: 12px; font-weight: 600; white-space: nowrap; }
.plot { margin-top: 14px; }
.plot h3 { margin: 16px 0 4px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; list-style: none; margin-bottom: 8px;
  font-size: 13.5px; }
.legend li { overflow-wrap: anywhere; }
tbody th { overflow-wrap: break-word; }
.scores { padding-left: 18px; font-size: 14px; }
section > h3 { margin: 16px 0 4px; }
.mark { vertical-align: -2px; }
.row { display: grid; grid-template-columns: minmax(120px, 26%) 1fr 108px; gap: 0 20px;
  align-items: center; }
.row { padding: 4px 0; }
.row .name { font-size: 14px; line-height: 1.3; overflow-wrap: anywhere; }
.row .name small { display: block; }
.row .value { text-align: right; font-size: 14px; line-height: 1.3; }
.row .value > * { display: block; }
.value.many > * { font-size: 12px; line-height: 14px; }
.track svg, .field > svg { display: block; overflow: visible; }
.grid { stroke: var(--grid); }
.whisker { stroke-width: 2.5; stroke-linecap: round; }
line.control { stroke: var(--control); } line.candidate { stroke: var(--candidate); }
path.control, .mark.control path { fill: var(--card); stroke: var(--control); stroke-width: 2.5; }
path.candidate, .mark.candidate path { fill: var(--candidate); stroke: var(--card); }
.s0 { --side: var(--s0); } .s1 { --side: var(--s1); } .s2 { --side: var(--s2); }
.s3 { --side: var(--s3); } .s4 { --side: var(--s4); } .s5 { --side: var(--s5); }
line[class*=" s"] { stroke: var(--side); }
path[class^=s], .mark[class*=" s"] path { fill: var(--side); stroke: var(--card); }
.ticks { display: flex; justify-content: space-between; color: var(--soft); font-size: 12px;
  margin: 4px 0 0; }
.ticks span { width: 0; display: flex; justify-content: center; white-space: nowrap; }
.scatter { display: grid; grid-template-columns: 52px 1fr; gap: 0 12px; margin: 20px 16px 0 0; }
.scatter .up { flex-direction: column; margin: 0; align-items: flex-end; }
.scatter .up span { width: auto; height: 0; align-items: center; }
.scatter > .ticks:not(.up), .scatter .unit { grid-column: 2; }
.scatter .unit { text-align: center; font-size: 12.5px; color: var(--soft); }
line.front { stroke: var(--good); stroke-width: 2; stroke-dasharray: 5 4; }
.filter { border: 0; display: flex; flex-wrap: wrap; gap: 6px; margin: 28px 0 16px; }
.filter legend { font-size: 13.5px; color: var(--soft); padding: 0; margin-bottom: 6px; }
.filter input { position: absolute; opacity: 0; pointer-events: none; }
.filter label { padding: 3px 12px; border: 1px solid var(--rule); border-radius: 99px;
  background: var(--card);
  font-size: 13.5px; cursor: pointer; overflow-wrap: anywhere; }
.filter input:checked + label { background: var(--ink); border-color: var(--ink); color: var(--page); }
.filter input:focus-visible + label, summary:focus-visible, .wide:focus-visible {
  outline: 2px solid var(--candidate); outline-offset: 2px; }
.cases > section > h2 { margin: 28px 0 10px; }
.cases h2 span { color: var(--soft); font-weight: 400; }
h2.broke::before, h2.failed::before { content: "✕ "; color: var(--bad); }
h2.fixed::before { content: "✓ "; color: var(--good); }
.case { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; margin-bottom: 8px; }
summary { padding: 10px 16px; cursor: pointer; overflow-wrap: anywhere; }
summary::marker { color: var(--soft); }
summary code { font-weight: 600; margin-right: 8px; }
.chip { display: inline-block; padding: 0 8px; margin-right: 4px; border-radius: 99px;
  background: var(--chip);
  font-size: 12.5px; }
.reason { color: var(--soft); font-size: 13.5px; margin-left: 6px; }
.asked { padding: 2px 16px 12px; font-size: 14px; }
.asked div { display: grid; grid-template-columns: 96px 1fr; gap: 12px; padding: 2px 0; }
dt { color: var(--soft); overflow-wrap: anywhere; }
.asked dd, .output { white-space: pre-wrap; overflow-wrap: anywhere; }
.asked dd { max-height: 12em; overflow-y: auto; }
.beside { display: grid; grid-template-columns: 1fr 1fr; border-top: 1px solid var(--rule); }
.beside.one { grid-template-columns: 1fr; }
.side { padding: 12px 16px 14px; min-width: 0; }
.side + .side { border-left: 1px solid var(--rule); }
.side h3 { display: flex; justify-content: space-between; margin-bottom: 6px; }
.passed h3 span { color: var(--good); } .failed h3 span { color: var(--bad); }
.output { font-size: 14px; max-height: 24em; overflow-y: auto; }
.side ul { margin-top: 8px; padding: 0; list-style: none; color: var(--bad); font-size: 13.5px;
  overflow-wrap: anywhere; }
del, ins { padding: 1px 0; border-radius: 3px; text-decoration: underline; text-decoration-thickness: 1px;
  text-underline-offset: 3px; }
del { background: var(--bad-bg); text-decoration-color: var(--bad); }
ins { background: var(--good-bg); text-decoration-color: var(--good); }
footer { color: var(--soft); font-size: 12.5px; padding: 8px 4px; }
footer dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 6px 24px;
  margin-bottom: 12px; }
footer dd { overflow-wrap: anywhere; color: var(--ink); }
@media (max-width: 640px) {
  main { padding: 12px 10px; }
  header, main > section:not(.cases) { padding: 18px 16px; }
  h1 { font-size: 20px; }
  .wide { margin: 10px -16px 0; padding: 0 16px; }
  th, td { padding-left: 10px; }
  .side-name { min-width: 130px; }
  td small { display: block; }
  .row { grid-template-columns: 1fr auto; gap: 0 12px; padding: 5px 0 3px; }
  .row .name small { display: inline; margin-left: 6px; }
  .row .track, .row .ticks { grid-column: 1 / -1; grid-row: 2; margin: 0 8px; }
  .row .value > * { display: inline; margin-left: 8px; }
  .beside { grid-template-columns: 1fr; }
  .side + .side { border-left: 0; border-top: 1px solid var(--rule); }
  .asked div { grid-template-columns: 1fr; gap: 0; }
}
@media print {
  :root { color-scheme: light; --page: #fff; --card: #fff; --ink: #000; --soft: #444; --rule: #bbb;
    --grid: #ddd;
    --good: #0a6b3d; --bad: #b3261e; --candidate: #2456d6; --control: #667085; --good-bg: #e6f5ec;
    --bad-bg: #fdeceb; }
  body { font-size: 12px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  header, main > section:not(.cases) { border: 0; padding: 8px 0; }
  .row, tr, summary, .side { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .filter { display: none; }
  .wide { overflow: visible; margin: 8px 0 0; padding: 0; }
  .output, .asked dd { max-height: none; overflow: visible; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
""")
