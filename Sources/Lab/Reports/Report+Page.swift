internal import Text

extension Report {
  /// The whole report as one page that needs nothing else.
  ///
  /// `pictures` are SVG texts by the names of ``plots``; those without one are left out.
  package func page(pictures: [String: String]) -> String {
    """
    <!doctype html>
    <html lang="en">
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(Self.escaped(scenario.name)) – Freshet Lab</title>
    <style>\(Self.style)</style>
    <main>
    <header>
    <p class="kicker">Freshet Lab · \(Self.escaped(engine)) fidelity</p>
    <h1>\(Self.escaped(scenario.name))</h1>
    <p class="lead">\(Self.escaped(scenario.summary))</p>
    </header>
    \(facts)
    <section>
    <h2>Side by side</h2>
    \(table)
    </section>
    \(comparison.page)
    \(plots.map { figure($0, pictures[$0.name]) }.joined(separator: "\n"))
    \(films)
    \(blame)
    <section class="notes">
    <h2>What the figures mean</h2>
    <dl>\(Column.all.map { "<dt>\($0.name)</dt><dd>\($0.meaning)</dd>" }.joined())</dl>
    <p>A delivery is expected of each peer for each chunk that was published while the peer took part and whose deadline
    it lived to see. Medians over the seeds; in brackets the 95 % interval of the median by order statistics (with
    fewer than six seeds: least and greatest). Bold: the best, and all that cannot be told from it.</p>
    \(remark)
    <h2>Again</h2>
    <pre>\(Self.escaped(rerun))</pre>
    </section>
    </main>
    </html>

    """
  }

  private var remark: String {
    Experiment.Fidelity.allCases.filter { engine.hasSuffix($0.rawValue) }
      .compactMap(\.remark).map { "<p>\(Self.escaped($0))</p>" }.joined()
  }

  /// The world and its bounds in a few numbers.
  private var facts: String {
    let stream = scenario.stream
    var facts: [(String, String)] = [
      ("peers", "\(scenario.count)"),
      ("stream", "\(Number.rate(Double(stream.rate)))"),
      ("chunks", "\(stream.chunkSize) bytes"),
      ("deadline", "\(Number.fixed(stream.deadline.milliseconds, decimals: 0)) ms"),
      ("runs", "\(lines.map(\.runs.count).max() ?? 0) seeds"),
    ]
    if let bound = lines.first?.runs.first?.bound {
      facts.append(("rate bound", "\(Number.fixed(bound.rate / Double(max(1, stream.rate)), decimals: 2)) r"))
      let times = lines.flatMap(\.runs).compactMap(\.bound.most).map { Double($0) / 1e6 }
      if let time = Spread(times) {
        facts.append(("delay bound p99", "\(Number.fixed(time.median, decimals: 0)) ms"))
      }
    }
    let items = facts.map { "<div><dt>\($0.0)</dt><dd>\($0.1)</dd></div>" }
    return "<dl class=\"facts\">\(items.joined())</dl>"
  }

  private var table: String {
    let best = Column.all.map { $0.best(lines) }
    let head = Column.all.map { column in
      "<th title=\"\(column.meaning)\">\(column.name)\(column.unit.isEmpty ? "" : "<small> \(column.unit)</small>")</th>"
    }
    let rows = lines.enumerated().map { index, line in
      let cells = zip(Column.all, best).map { column, best in
        guard let spread = column.spread(line) else { return "<td>–</td>" }
        let middle = column.text(spread.median)
        let ends = [spread.interval.lowerBound, spread.interval.upperBound].map(column.text)
        let range = ends[0] == ends[1] ? "" : "<small>[\(ends[0]), \(ends[1])]</small>"
        return "<td>\(best.contains(index) ? "<b>\(middle)</b>" : middle)\(range)</td>"
      }
      let dot = "<i style=\"background:\(Plot.colour(index))\"></i>"
      return "<tr><th>\(dot)\(Self.escaped(line.composition))</th>\(cells.joined())</tr>"
    }
    return """
      <div class="wide"><table><thead><tr><th></th>\(head.joined())</tr></thead>
      <tbody>\(rows.joined(separator: "\n"))</tbody></table></div>
      """
  }

  private func figure(_ plot: Plot, _ picture: String?) -> String {
    guard let picture else { return "" }
    // What stands before the element is for files of their own.
    let drawing = picture.firstRange(of: "<svg").map { picture[$0.lowerBound...] } ?? picture[...]
    return """
      <section><h2>\(plot.title)</h2>
      <figure>\(Self.own(String(drawing), plot.name))<figcaption>\(plot.caption)</figcaption></figure></section>
      """
  }

  /// The first run of each composition, to be watched.
  private var films: String {
    let films = lines.compactMap { $0.runs.first?.film }.filter { film in
      film.changes.contains { $0.kind != .joined && $0.kind != .left }
    }
    guard !films.isEmpty else { return "" }
    return """
      <section><h2>To be watched</h2>
      <p>One run of each, ten times as fast: where peers lie on the map, and who feeds them (their first stripe). The source
      is black, peers without a parent are red, and the deeper a peer stands, the lighter it is.</p>
      \(films.enumerated().map { $1.figure($0) }.joined(separator: "\n"))</section>
      """
  }

  /// Who is to blame for what was late or lost.
  private var blame: String {
    let rows = lines.compactMap { line -> String? in
      let counts = Measurement.Blame.allCases.map { blame in
        line.runs.reduce(UInt64(0)) { $0 + ($1.measurement.blame[blame] ?? 0) }
      }
      let total = counts.reduce(0, +)
      guard total > 0 else { return nil }
      let cells = counts.map {
        "<td>\($0 == 0 ? "" : Number.fixed(Double($0) / Double(total) * 100, decimals: 1) + " %")</td>"
      }
      return "<tr><th>\(Self.escaped(line.composition))</th><td>\(total)</td>\(cells.joined())</tr>"
    }
    guard !rows.isEmpty else { return "" }
    let head = ["detached", "waited for an upload", "lost on the way", "false chunk", "the way was too long"]
    return """
      <section><h2>Why chunks were late or lost</h2><div class="wide"><table>
      <thead><tr><th></th><th>chunks</th>\(head.map { "<th>\($0)</th>" }.joined())</tr></thead>
      <tbody>\(rows.joined(separator: "\n"))</tbody></table></div></section>
      """
  }

  /// Names within a picture that stay apart from those of the other pictures on the page.
  private static func own(_ picture: String, _ name: String) -> String {
    picture.replacing("id=\"", with: "id=\"\(name)-").replacing("url(#", with: "url(#\(name)-")
      .replacing("xlink:href='#", with: "xlink:href='#\(name)-").replacing("id='", with: "id='\(name)-")
  }

  static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }

  private static let style = """
    :root{color-scheme:light}
    body{margin:0;background:#fff;color:#1b1f24;font:16px/1.5 system-ui,'Helvetica Neue',Helvetica,Arial,sans-serif}
    main{max-width:960px;margin:0 auto;padding:40px 24px 80px}
    .kicker{margin:0;color:#5b6570;letter-spacing:.04em;font-size:14px}
    h1{margin:.1em 0 .2em;font-size:40px;line-height:1.1;letter-spacing:-.02em}
    h2{margin:44px 0 10px;font-size:21px}
    .lead{font-size:18px;color:#3a424b;max-width:44em;margin:0}
    .facts{display:flex;flex-wrap:wrap;gap:10px 32px;margin:24px 0 0;padding:14px 0;border:solid #d8dde3;border-width:1px 0}
    .facts dt{font-size:13px;color:#5b6570}.facts dd{margin:0;font-size:18px;font-variant-numeric:tabular-nums}
    .wide{overflow-x:auto}
    table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}
    th,td{padding:7px 8px;text-align:right;border-bottom:1px solid #e7ebef;vertical-align:top;white-space:nowrap}
    thead th{font-weight:600;color:#3a424b;border-bottom-color:#aab2bb;white-space:normal}
    tbody th{text-align:left;font-weight:600}
    td small{display:block;color:#6b7580;font-size:11px}th small{font-weight:400;color:#6b7580}
    i{display:inline-block;width:10px;height:10px;border-radius:50%;margin-right:7px}
    figure{margin:0}figure svg,canvas{width:100%;height:auto;display:block}
    figcaption{color:#4a535d;font-size:14px;max-width:52em;margin-top:4px}
    dt{font-weight:600}.notes dd{margin:0 0 6px}
    pre{background:#f4f6f8;padding:12px 14px;overflow-x:auto;border-radius:6px;font-size:13px}
    button{font:inherit;padding:4px 14px;border:1px solid #aab2bb;border-radius:6px;background:#fff;cursor:pointer}
    @media print{section{break-inside:avoid}main{max-width:none;padding:0}button{display:none}}
    """
}
