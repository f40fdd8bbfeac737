#include "report/html_parts.h"
#include "report/svg_plot.h"

namespace daybreak::detail {

std::string report_css() {
  static constexpr const char* kCss = R"css(
:root{color-scheme:light dark;--ground:#f5f6f8;--card:#fff;--ink:#1b2330;--text:#3c4553;
--mute:#687282;--edge:#e2e6ec;--soft:#f0f2f5;--accent:#2563eb;--right:21,146,79;--wrong:208,47,75;
--warn-ground:#fff7e6;--warn-edge:#f2c14e}
@media (prefers-color-scheme:dark){:root{--ground:#0d1117;--card:#161b22;--ink:#e6eaf0;
--text:#c3cbd6;--mute:#8d98a8;--edge:#2a313c;--soft:#1d242e;--accent:#6ca2ff;--right:63,185,116;
--wrong:240,95,120;--warn-ground:#2b2310;--warn-edge:#8a6a1d}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--text);font:15px/1.55 system-ui,-apple-system,
'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:28px;line-height:1.2;margin:0 0 4px;color:var(--ink);overflow-wrap:anywhere}
h2{font-size:19px;margin:0 0 4px;color:var(--ink)}
h3{font-size:14px;margin:20px 0 8px;color:var(--ink)}
p{margin:0 0 12px}a{color:var(--accent)}
.sub,.note{color:var(--mute)}.note{font-size:13.5px;margin:0 0 14px}
.lead{font-size:17px;margin:14px 0 18px;max-width:76ch}.lead b{color:var(--ink)}
.state{display:inline-block;font-size:12px;font-weight:600;padding:2px 10px;border-radius:999px;
vertical-align:5px;margin-left:10px;background:rgba(var(--right),.15);color:rgb(var(--right))}
.state.running{background:rgba(37,99,235,.14);color:var(--accent)}
.state.bad{background:rgba(var(--wrong),.14);color:rgb(var(--wrong))}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(132px,1fr));gap:12px;
margin:0 0 20px}
.figure{background:var(--card);border:1px solid var(--edge);border-radius:12px;padding:12px 16px}
.figure b{display:block;font-size:22px;line-height:1.25;color:var(--ink);font-weight:650;
font-variant-numeric:tabular-nums;white-space:nowrap}
.figure span{font-size:12.5px;color:var(--mute)}
nav{font-size:13.5px;margin:0 0 8px}nav a{margin-right:16px;text-decoration:none;white-space:nowrap}
nav a:hover{text-decoration:underline}
section{background:var(--card);border:1px solid var(--edge);border-radius:12px;padding:20px 22px;
margin:16px 0}
.warnings{background:var(--warn-ground);border-color:var(--warn-edge)}
.warnings ul{margin:6px 0 0;padding-left:20px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:14px 22px}
.plots svg,.plots img{display:block;width:100%;height:auto}
.scroll{overflow:auto;max-width:100%}.tall{max-height:620px}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums}
th,td{padding:5px 12px;text-align:right;border-bottom:1px solid var(--edge);white-space:nowrap}
th{font-weight:600;color:var(--mute);font-size:12.5px}
th:first-child,td:first-child{padding-left:2px}
tbody tr:last-child td,tbody tr:last-child th{border-bottom:0}
.l{text-align:left}td.l{color:var(--ink)}tr.best td{font-weight:650;color:var(--ink)}
.matrix{border-collapse:separate;border-spacing:2px}
.matrix td{border:0;padding:0 4px;min-width:48px;height:38px;text-align:center;border-radius:4px;
background:var(--soft)}
.matrix td.zero{color:transparent}.matrix td.strong{color:#fff}
.matrix th{border:0;padding:0 8px;font-weight:500;color:var(--text)}
.matrix thead th{vertical-align:bottom;padding:0 0 6px;text-align:center}
.matrix thead th span{writing-mode:vertical-rl;transform:rotate(180deg);display:inline-block;
max-height:150px;overflow:hidden}
.matrix tbody th{text-align:right}.matrix .axis{color:var(--mute);font-size:12px;text-align:left}
.beside{display:flex;flex-wrap:wrap;gap:20px 48px}.beside>div{min-width:0;max-width:100%}
.beside h3{margin-top:0}.full{width:100%}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:8px 36px}
.bar{display:inline-block;width:72px;height:6px;border-radius:3px;background:var(--soft);
margin-right:8px;vertical-align:2px;overflow:hidden}
.bar i{display:block;height:100%;border-radius:3px;background:rgb(var(--right))}
.shots{display:grid;grid-template-columns:repeat(auto-fill,minmax(132px,1fr));gap:18px 16px}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(280px,1fr));gap:18px 16px}
.found{margin:0;font-size:12.5px}
.key{margin-right:18px}.key i{display:inline-block;width:12px;height:12px;border-radius:3px;
margin-right:6px;vertical-align:-1px}
.found img{display:block;width:100%}
.shot{margin:0;font-size:12.5px;line-height:1.4;min-width:0}
.shot img{display:block;width:100%;aspect-ratio:1;object-fit:contain;background:var(--soft);
border-radius:8px;margin-bottom:6px}
.pixels{image-rendering:pixelated}
.shot div{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.said{color:rgb(var(--wrong));font-weight:600}.true{color:rgb(var(--right));font-weight:600}
.shot .no{color:var(--mute)}
.wide{display:block;max-width:100%;height:auto;border-radius:8px;background:#fff}
pre{margin:0;font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;
color:var(--text);background:var(--soft);border-radius:8px;padding:14px 16px;overflow:auto;
max-height:560px;tab-size:2}
footer{color:var(--mute);font-size:12.5px;margin-top:20px}
@media (max-width:600px){main{padding:20px 12px 40px}section{padding:16px 14px}h1{font-size:23px}
.lead{font-size:16px}}
@media print{:root{--ground:#fff;--card:#fff;--ink:#000;--text:#222;--mute:#555;--edge:#ccc;
--soft:#f3f3f3}body{font-size:11pt}main{max-width:none;padding:0}nav{display:none}
section{border:0;padding:8px 0;break-inside:auto}.plots svg,.shot,tr{break-inside:avoid}
h2{break-after:avoid}pre,.tall{max-height:none}pre{white-space:pre-wrap}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
)css";
  return kCss + plot_css();
}

}  // namespace daybreak::detail
