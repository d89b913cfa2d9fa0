"""The page's one style sheet: light and dark by the reader's choice, a phone's width, and paper."""

import base64
import hashlib

STYLE = """
:root{--ink:#1b2430;--soft:#55606f;--line:#d5dbe3;--paper:#fff;--card:#f6f8fa;--accent:#1a63d8;--good:#1a7f37;
--warn:#8a5a00;--bad:#c0262d;--h0:#e9eef4;--h1:#d3e3f5;--h2:#a9cbef;--h3:#fbd38d;--h4:#f6993f;--h5:#e3542f;--h6:#a3151b}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa7b5;--line:#313b47;--paper:#0f141a;
--card:#171e26;--accent:#6cb0ff;--good:#4ac26b;--warn:#e0a82e;--bad:#ff7b72;--h0:#222c37;--h1:#1d3a5c;--h2:#2a5c94;
--h3:#8a6416;--h4:#b8651b;--h5:#d4522f;--h6:#ff6b6b}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main,header,footer{max-width:64rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.5rem}footer{padding:1rem 1rem 2rem;color:var(--soft)}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .25rem}h2{font-size:1.25rem;margin:2.2rem 0 .5rem}
h3{font-size:1rem;margin:0 0 .35rem;overflow-wrap:anywhere}
p{margin:.3rem 0}a{color:var(--accent)}.soft{color:var(--soft)}.lead{font-size:1.1rem;margin:.6rem 0}
.skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:.5rem;background:var(--paper);padding:.25rem .5rem}
.strip{list-style:none;margin:1rem 0;padding:0}
.strip>li{border-left:5px solid var(--line);background:var(--card);padding:.75rem 1rem;margin:.6rem 0;
border-radius:0 6px 6px 0}
.strip>.critical{border-color:var(--bad)}.strip>.warning{border-color:var(--warn)}
.strip>.info{border-color:var(--accent)}.strip>.good{border-color:var(--good)}
figure{margin:.6rem 0}figcaption{font-size:.85rem}
.wide table{min-width:60rem}
.tag{display:inline-block;margin-right:.4rem;font-size:.75rem;font-weight:600;text-transform:uppercase;letter-spacing:.03em}
.tag.critical{color:var(--bad)}.tag.warning{color:var(--warn)}.tag.info{color:var(--accent)}
.tag.good,.tag.resolved{color:var(--good)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.75rem;margin:1rem 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.75rem 1rem;min-width:0}
.card h3{font-weight:600}.dataset{margin:.75rem 0}.spark{max-width:20rem}
.big{font-size:2rem;font-weight:700;line-height:1.1;overflow-wrap:anywhere}
.big small{font-size:1rem;font-weight:400;color:var(--soft)}
.good-text{color:var(--good)}.bad-text{color:var(--bad)}.warn-text{color:var(--warn)}
.fields{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:.75rem}
svg{width:100%;height:auto;display:block;margin:.4rem 0}
.series{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}.dot,.bar{fill:var(--accent)}
.bound{fill:none;stroke:var(--soft);stroke-width:1.5;stroke-dasharray:6 4}.broken{fill:var(--bad)}
.grid{stroke:var(--line);stroke-width:1}.tick{font-size:12px;fill:var(--soft)}.end{text-anchor:end}
.bars{list-style:none;margin:.3rem 0;padding:0}.bars li{margin:.35rem 0}.bars div{display:flex;flex-wrap:wrap;
justify-content:space-between;gap:0 1rem}.bars svg{margin:.15rem 0;height:.55rem}
.none{fill:none}.h0{fill:var(--h0)}.h1{fill:var(--h1)}.h2{fill:var(--h2)}.h3{fill:var(--h3)}.h4{fill:var(--h4)}
.h5{fill:var(--h5)}.h6{fill:var(--h6)}
.swatch{display:inline-block;width:.9rem;height:.9rem;vertical-align:-.1rem;border:1px solid var(--line)}
.s0{background:var(--h0)}.s1{background:var(--h1)}.s2{background:var(--h2)}.s3{background:var(--h3)}
.s4{background:var(--h4)}.s5{background:var(--h5)}.s6{background:var(--h6)}
.key{display:inline-block;margin-right:.9rem;font-size:.85rem;color:var(--soft)}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;margin:.4rem 0;min-width:100%}
caption{text-align:left;color:var(--soft);padding-bottom:.25rem}
th,td{text-align:left;padding:.25rem .6rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top;
overflow-wrap:break-word}
thead th{color:var(--soft);font-weight:600;white-space:nowrap}tbody th{font-weight:500;min-width:7rem}
summary{cursor:pointer;color:var(--accent);font-size:.9rem}
ul.plain{margin:.3rem 0;padding-left:1.1rem}li,p,dd{overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .75rem;margin:.3rem 0;font-size:.9rem}dt{color:var(--soft)}
dd{margin:0}
@media(max-width:40rem){.fields,.cards{grid-template-columns:1fr}.tick{font-size:22px}.card .tick{font-size:12px}
.strip>li{padding:.6rem .75rem}h1{font-size:1.4rem}#how dl{grid-template-columns:1fr}#how dd{margin-bottom:.5rem}}
@media print{@page{margin:14mm}body{font-size:10pt}main,header,footer{max-width:none;padding:0}a{color:inherit}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;display:block;block-size:auto;height:auto}
summary{color:inherit;list-style:none;font-weight:600}.skip{display:none}
.scroll{overflow:visible}.wide table{min-width:0;font-size:7.5pt}table{font-size:8.5pt}thead th{white-space:normal}
.wide tbody th{min-width:0}tr,figcaption,.legend,svg,dl{break-inside:avoid}h2,h3{break-after:avoid}
.fields{display:block;columns:2}.fields .card{margin-bottom:3mm}
details .narrow{columns:3}.card details .narrow{columns:2}
.card .scroll table{font-size:7.5pt}th,td{padding:.05rem .4rem .05rem 0}}
"""


def style_source() -> str:
    """Return what the page's policy says of its style: this sheet, by its digest, and no other."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return f"'sha256-{digest}'"
